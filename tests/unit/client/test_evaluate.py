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
