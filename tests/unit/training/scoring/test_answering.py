"""From scores to what is answered."""

from dataclasses import replace

import numpy as np

from aias.core.task import Task
from aias.training.scoring.answering import Answering
from aias.training.scoring.calibration import Offsets, Platt
from aias.training.scoring.thresholds import decision_weights

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


def test_of_several_classes_too_probabilities_no_longer_lean() -> None:
    rng, costs = np.random.default_rng(0), np.array([0.2, 1.8, 7.2])
    true = rng.dirichlet([9.0, 1.0, 0.5], 4_000)
    y = (true.cumsum(axis=1) < rng.random((4_000, 1))).sum(axis=1)
    scores = true * costs / (true * costs).sum(axis=1, keepdims=True)
    task = Task("y", "multiclass", "log_loss", ("a", "b", "c"))

    answering, honest = Answering.fit(task, y, scores, np.arange(4_000) % 5, seed=0, costs=costs)

    assert isinstance(answering.calibration, Offsets)
    assert np.abs(honest.scores.mean(axis=0) - np.bincount(y) / 4_000).max() < 0.01
    assert answering.label_weights == tuple((costs / costs.sum()).tolist())


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


def test_under_time_no_row_is_answered_by_what_came_later() -> None:
    y, scores, folds = leaning()
    later = np.where((folds == 4) & (np.arange(4_000) % 100 == 4), 1 - y, y)
    known = (folds > 0) & (folds < 4)  # before the first there is nothing, and others tell it

    first, second = (Answering.fit(TASK, each, scores, folds, seed=0, forward=True)[1].scores for each in (y, later))
    np.testing.assert_array_equal(first[known], second[known])

    task = replace(TASK, metric="f1")
    weights = [decision_weights(task, each, first, folds, seed=0, forward=True) for each in (y, later)]
    assert weights[0] and weights[1]
    np.testing.assert_array_equal(weights[0][1][known], weights[1][1][known])


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
