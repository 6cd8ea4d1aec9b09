"""A chat service labels rows, a small model learns from them, and another learns from that model: the whole way."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import aias
from aias.core.events import nobody
from aias.data.errors import NoSuchFile
from aias.training.ledger import Ledger
from aias.training.parent import Parent, rows_of
from aias.training.selection.configuration import Unit
from chat_service import serving

WARM, COLD = ("lovely", "friendly", "bright", "warm"), ("cold", "rude", "loud", "dirty")


def mood(text: str) -> str:
    return "good" if any(word in text for word in WARM) else "bad"


def test_a_service_teaches_a_model_that_needs_no_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIAS_HOME", str(tmp_path / "home"))
    rng = np.random.default_rng(1)
    texts = [f"{(WARM if i % 2 else COLD)[rng.integers(4)]} room, number {rng.integers(1000)}" for i in range(150)]
    path = tmp_path / "rooms.csv"
    pl.DataFrame({"text": texts, "mood": [mood(each) if i < 50 else None for i, each in enumerate(texts)]}).write_csv(
        path
    )

    with serving(mood) as service:
        model = aias.train(
            path, target="mood", time="600s", learners=("linear",), folds=2, search=False, inline=True,
            teacher=aias.Teacher(service.url, "tiny"),
        )  # fmt: skip
    student = aias.train(
        path, target="mood", name="student", time="600s", learners=("linear",), folds=2, search=False, inline=True,
        teacher=model.ref,
    )  # fmt: skip

    assert model.version.name == "rooms" and model.manifest.rows["test"] == 25
    assert model.predict([{"text": "a bright room"}, {"text": "a rude room"}]).tolist() == ["good", "bad"]
    assert model.manifest.lineage.settings["teacher"]["who"] == f"tiny at {service.url}"
    card = (model.folder / "card.md").read_text()
    assert "gave the answers of 100 rows, 50 rows had their own." in card
    assert student.manifest.lineage.settings["teacher"]["who"] == model.ref
    assert model.evaluate({"text": texts[:50], "mood": [mood(each) for each in texts[:50]]})[0].value == 1.0


def test_a_version_teaches_how_sure_it_is_and_own_answers_judge(tmp_path: Path) -> None:
    home, rng = tmp_path / "home", np.random.default_rng(0)
    a, b = rng.normal(size=(2, 2_400))
    y = np.where(rng.random(2_400) < 0.3 / (1 + np.exp(-3 * a)), "yes", "no")
    frame = pl.DataFrame({"a": a, "b": b, "y": y})
    trees = {"boosted_trees": {"learning_rate": 0.1}}
    how: dict[str, Any] = {"learners": trees, "folds": 3, "search": False, "inline": True, "home": home}
    big = aias.train(frame[:1200], target="y", name="big", time="600s", **how)
    own = frame[1200:].with_columns(y=pl.when(pl.int_range(1200) < 300).then("y"))

    student = aias.train(own, target="y", name="small", time="600s", teacher=aias.Teacher(big.ref, synthetic=1), **how)

    taught = student.manifest.lineage.settings["teacher"]
    assert taught["soft"] == taught["answered"] == 900 + 1050 and taught["own"] == 300
    assert student.manifest.rows == {"train": 2_100, "folds": 3, "test": 150}
    assert student.manifest.measurements[0].n == 150
    shares = student.predict_proba(frame[1200:].drop("y"))[:, 1]
    assert shares.max() < 0.6 and np.corrcoef(shares, 1 / (1 + np.exp(-3 * a[1200:])))[0, 1] > 0.8
    assert "as probabilities" in (student.folder / "card.md").read_text()
    parent = Parent(student.ref, student.manifest, student.runtime)
    rows = Path(taught["opinions"]).parent
    found = parent.prepared(
        *rows_of(parent, student.manifest.lineage.settings["source"], watch=nobody), ledger=None, seconds=600.0,
        watch=nobody,
    )  # fmt: skip
    unit = Unit(parent.configurations[0], 0, parent.recipe.seed)
    assert Ledger(home / "work" / "small").has(unit.key(found.table.digest))  # what was fitted is found again

    Path(taught["opinions"]).unlink()
    with pytest.raises(NoSuchFile, match=f"no longer whole in {rows}"):
        parent.prepared(*rows_of(parent, None, watch=nobody), ledger=None, seconds=600.0, watch=nobody)
