"""A model that was trained elsewhere becomes a version, and a smaller one that is proved no worse."""

from typing import Any

import numpy as np
import pytest

import aias
from aias.core.errors import UserError

lightgbm: Any = pytest.importorskip("lightgbm")


def rows(count: int = 1_500) -> tuple[dict[str, Any], Any]:
    rng = np.random.default_rng(0)
    a, b = rng.uniform(-1, 1, (2, count))
    y = 2.0 * (a * b > 0) + (a > 0.5) + rng.normal(size=count) / 3
    return {"a": a.tolist(), "b": b.tolist(), "y": y.tolist()}, np.column_stack([a, b])


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> aias.Model:
    home = tmp_path_factory.mktemp("home")
    held, x = rows()
    settings = {"verbose": -1, "num_threads": 1, "num_leaves": 31, "learning_rate": 0.1}
    data = lightgbm.Dataset(x[:500], np.array(held["y"][:500]), feature_name=["a", "b"])
    lightgbm.train(settings, data, 300).save_model(home / "amounts.txt")
    return aias.import_model(home / "amounts.txt", like=held, target="y", home=home)


def test_an_imported_version_teaches_a_smaller_one(parent: aias.Model) -> None:
    found = parent.compress(max_loss="20%", time="30s", data=rows()[0], inline=True)

    assert found.better, found.frontier.verdict
    manifest = found.model.manifest
    assert (manifest.form, manifest.lineage.verb, manifest.lineage.parents) == (
        "compressed", "compress", (parent.version.digest,),
    )  # fmt: skip
    assert found.model.ref == "amounts@2" and found.model.version.size_bytes < parent.version.size_bytes
    published = next(each for each in found.frontier.points if each.state == "published")
    assert published.certified is not None and published.certified.high < found.frontier.margin
    reasons = {each.name: each.reason for each in found.frontier.points}
    (once,) = [reason for reason in reasons.values() if "imported" in reason]
    assert "drop members" in once
    assert len(found.model.predict(rows(5)[0])) == 5


def test_without_rows_there_is_nobody_to_teach(parent: aias.Model) -> None:
    with pytest.raises(UserError, match="was imported") as fault:
        parent.compress(time="5s")
    assert "--data" in fault.value.hint
    with pytest.raises(UserError, match="was imported"):
        parent.optimize(time="5s")
