"""From scores to what is answered."""

from dataclasses import replace

import numpy as np

from aias.core.task import Task
from aias.training.answering import Answering
from aias.training.calibration import Platt

TASK = Task("y", "binary", "roc_auc", ("no", "yes"))


def leaning(rows: int = 4_000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Answers of which one in ten is yes, scores as of a fit in which each of these counted ninefold, and folds."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=rows) - 2.9
    y = (rng.random(rows) < 1 / (1 + np.exp(-x * 1.5))).astype(int)
    second = 1 / (1 + np.exp(-x * 1.5 - np.log(9)))
    return y, np.column_stack([1 - second, second]), np.arange(rows) % 5


def test_labels_lean_as_was_asked_for_though_probabilities_no_longer_do() -> None:
    y, scores, folds = leaning()
    costs = np.array([0.5, 4.5])

    answering, honest = Answering.fit(TASK, y, scores, folds, seed=0, costs=costs)

    assert isinstance(answering.calibration, Platt)
    assert abs(honest.scores[:, 1].mean() - y.mean()) < 0.01
    assert answering.label_weights == honest.label_weights == (0.1, 0.9)
    assert all(type(weight) is float for weight in answering.label_weights), "a manifest holds no other numbers"


def test_nobody_who_asked_for_nothing_gets_label_weights() -> None:
    y, scores, folds = leaning()

    answering, _ = Answering.fit(TASK, y, scores, folds, seed=0)

    assert answering.label_weights is None


def test_labels_are_judged_by_thresholds_that_other_folds_set() -> None:
    y, scores, folds = leaning()

    answering, honest = Answering.fit(replace(TASK, metric="f1"), y, scores, folds, seed=0)

    assert answering.label_weights is not None
    assert np.shape(honest.label_weights) == (4_000, 2)
    assert len(np.unique(honest.label_weights, axis=0)) == 5


def test_intervals_know_of_rows_that_belong_together() -> None:
    rng = np.random.default_rng(0)
    groups, found = np.arange(1_500) // 75, rng.normal(size=1_500)
    y, task = found + rng.normal(size=20)[groups], replace(TASK, type="regression", metric="rmse", classes=())

    apart, together = (
        Answering.fit(task, y, found[:, None], groups % 5, seed=0, groups=each)[0].intervals for each in (None, groups)
    )

    assert apart is not None
    assert together is not None
    assert len(apart.edges) > len(together.edges) == 0
