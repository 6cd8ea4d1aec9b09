"""`Model.evaluate`: other rows are measured by the very answers that they get."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

import aias


def test_labels_are_judged_as_they_are_answered(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    x = chance.normal(size=(2, 1_000))
    rows = {"a": x[0], "b": x[1], "y": np.where(x[0] + chance.normal(size=1_000) > 1.8, "rare", "usual")}
    model = aias.train(
        rows, target="y", metric="balanced_accuracy", time="600s", learners=["linear"], folds=2, search=False,
        inline=True, home=tmp_path,
    )  # fmt: skip

    assert model.manifest.label_weights
    expected = balanced_accuracy_score(rows["y"], model.predict(rows))
    assert {one.metric: one.value for one in model.evaluate(rows)}["balanced_accuracy"] == pytest.approx(expected)


def test_rows_of_one_group_are_not_counted_as_if_each_were_new(tmp_path: Path) -> None:
    """Forty patients of twenty rows each, whose answers are the patient's: there are forty things to be wrong about."""
    chance = np.random.default_rng(0)

    def rows(patients: range) -> dict[str, object]:
        who = np.repeat(np.array(patients), 20)
        sick = chance.random(patients.stop) < 0.5
        hints = np.where(sick, 0.4, -0.4) + chance.normal(size=patients.stop)
        x = hints[who] + 0.1 * chance.normal(size=len(who))
        return {"x": x, "who": [f"p{each}" for each in who], "y": np.where(sick[who], "sick", "well")}

    learners = {"learners": ("linear",), "search": False, "time": 600, "inline": True}
    model = aias.train(rows(range(40)), target="y", split="group:who", home=tmp_path, **learners)
    others = rows(range(40, 80))

    grouped, alone = (
        {one.metric: one for one in model.evaluate(each)}["accuracy"]
        for each in (others, {name: others[name] for name in ("x", "y")})
    )

    assert grouped.value == alone.value and grouped.n == alone.n == 800
    assert grouped.high - grouped.low > 2 * (alone.high - alone.low)
