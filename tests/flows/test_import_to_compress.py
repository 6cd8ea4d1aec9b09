"""A model that was trained elsewhere becomes a version, and a smaller one that is proved no worse."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import aias
from aias.core.errors import UserError
from aias.core.events import Event, nobody
from aias.core.schema import Schema
from aias.data.read import read
from aias.teaching.seen import seen
from aias.training.parent import Parent, rows_of
from compression_contexts import small_students, soon

lightgbm: Any = pytest.importorskip("lightgbm")


def rows(count: int = 1_500) -> tuple[dict[str, Any], Any]:
    rng = np.random.default_rng(0)
    a, b = rng.uniform(-1, 1, (2, count))
    y = 2.0 * (a * b > 0) + (a > 0.5) + rng.normal(size=count) / 3
    return {"a": a.tolist(), "b": b.tolist(), "y": y.tolist()}, np.column_stack([a, b])


@pytest.fixture(scope="module", autouse=True)
def _soon() -> Iterator[None]:
    with soon():
        yield


@pytest.fixture
def _small_students(monkeypatch: pytest.MonkeyPatch) -> None:
    small_students(monkeypatch)


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> aias.Model:
    home = tmp_path_factory.mktemp("home")
    held, x = rows()
    settings = {"verbose": -1, "num_threads": 1, "num_leaves": 31, "learning_rate": 0.1}
    data = lightgbm.Dataset(x[:500], np.array(held["y"][:500]), feature_name=["a", "b"])
    lightgbm.train(settings, data, 300).save_model(home / "amounts.txt")
    return aias.import_model(home / "amounts.txt", like=held, target="y", home=home)


@pytest.mark.usefixtures("_small_students")
def test_an_imported_version_teaches_a_smaller_one(parent: aias.Model) -> None:
    found = parent.compress(max_loss="20%", time="600s", data=rows()[0], inline=True)

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
    assert "drop members" in once and "distill network" not in once
    assert any("network" in name and ("distilled" in name or "PyTorch" in said) for name, said in reasons.items())
    assert len(found.model.predict(rows(5)[0])) == 5
    home = parent.registry.home
    judges = read(rows()[0], schema=Schema(manifest.inputs))
    assert seen(manifest, judges, home=home) == 1_500
    assert seen(parent.manifest, judges, home=home) == 0  # nobody knows


@pytest.mark.usefixtures("_small_students")
def test_rows_that_belong_together_certify_together(parent: aias.Model) -> None:
    who = np.repeat(np.arange(300), 5)
    held = rows()[0] | {"who": who.tolist()}
    teacher = Parent(parent.ref, parent.manifest, parent.runtime, parent.folder)

    dataset, _ = rows_of(teacher, held, split="group:who", watch=nobody)
    table = teacher.taught(dataset, how="group:who", seconds=600.0, watch=nobody).table
    assert all(len(set(table.folds[who == each])) == 1 for each in range(300))
    assert table.judged_clusters is not None and len(set(table.judged_clusters)) == 300

    asked: dict[str, Any] = {"data": held, "max_loss": "30%", "time": "600s", "inline": True}
    found = parent.compress(**asked, split="group:who", techniques=["distill"])
    assert found.better, found.frontier.verdict
    assert found.model.manifest.lineage.settings["proof"]["split"] == "group:who"  # type: ignore[index]
    again = {"data": rows()[0], "time": "5s"}
    with pytest.raises(UserError, match="who"):  # it is parted so again, and these rows do not say how
        found.model.compress(**again)


@pytest.mark.parametrize(("split", "said"), [("time:a", "cannot be split by 'time:a'"), ("group:who", "who")])
def test_how_rows_of_an_imported_version_are_parted_is_checked(parent: aias.Model, split: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        parent.compress(time="5s", data=rows()[0], split=split)


def test_rows_without_labels_certify_that_a_smaller_one_agrees(parent: aias.Model) -> None:
    bare = {name: values for name, values in rows()[0].items() if name != "y"}
    told: list[Event] = []

    found = parent.compress(
        max_loss="5%", time="600s", data=bare, techniques=["distill"], inline=True, watch=told.append
    )  # fmt: skip

    assert found.better, found.frontier.verdict
    assert [each.name for each in told if each.level == "warning"][:1] == ["compress.agreement"]
    wanted = f"agreement with {parent.ref} in r2"
    assert (found.frontier.metric, found.frontier.margin) == (wanted, 0.05)
    manifest = found.model.manifest
    assert manifest.task.metric == "rmse"
    (measured,) = manifest.measurements
    assert (manifest.judged, measured.metric) == ("agreement", wanted)
    ours, theirs = (np.array(each.predict(bare)) for each in (found.model, parent))
    assert 1 - np.mean((ours - theirs) ** 2) / np.var(theirs) > 0.95
    assert "without labels" in (found.model.folder / "card.md").read_text()
    with pytest.raises(UserError, match="not measured on the same rows"):
        aias.compare({"imported": parent, "smaller": found.model}, bare)


def test_whoever_always_says_the_same_is_not_agreed_with(parent: aias.Model) -> None:
    with pytest.raises(UserError, match="one and the same answer"):
        parent.compress(time="5s", data={"a": [0.5] * 100, "b": [0.5] * 100}, inline=True)


def test_without_rows_there_is_nobody_to_teach(parent: aias.Model) -> None:
    with pytest.raises(UserError, match="was imported") as fault:
        parent.compress(time="5s")
    assert "--data" in fault.value.hint
    with pytest.raises(UserError, match="was imported"):
        parent.optimize(time="5s")
