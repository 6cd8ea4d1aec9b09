"""How far what has only its first folds is ahead of what has all."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from aias.core.task import Task
from aias.training.selection.lead import lead, share_gained

TASK = Task("y", "binary", "roc_auc", ("no", "yes"))


def test_a_member_of_one_fold_is_compared_on_its_rows() -> None:
    rng = np.random.default_rng(0)
    y, folds = rng.integers(0, 2, 400), np.arange(400) % 4
    second = np.where(folds == 0, 0.5, y)  # all right but on the rows of the first fold
    board = SimpleNamespace(
        task=TASK, y=y, folds=folds, groups=None, weights=np.ones(1), class_costs=None,
        members=[SimpleNamespace(scores=np.column_stack([1 - second, second]))],
    )  # fmt: skip
    right = np.column_stack([1 - y, y])[folds == 0] * 0.9
    assert lead(board, SimpleNamespace(units=[0], scores=right)) == pytest.approx(1.0)
    assert lead(board, SimpleNamespace(units=[0], scores=board.members[0].scores[folds == 0])) == 0.0


@pytest.mark.parametrize("metric", ["roc_auc", "log_loss", "accuracy", "mcc", "brier"])
def test_what_only_luck_makes_better_is_not_ahead(metric: str) -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 200)

    def scores(noise: float) -> np.ndarray:
        second = 1 / (1 + np.exp(-(2.0 * y - 1 + noise * rng.normal(size=len(y)))))
        return np.column_stack([1 - second, second])

    task = replace(TASK, metric=metric)
    poor = scores(4.0)
    assert share_gained(task, y, poor, scores(0.3)) > 0.3
    assert share_gained(task, y, scores(0.3), poor) == 0.0
    alike = [share_gained(task, y, scores(1.0), scores(1.0)) for _ in range(20)]
    assert np.mean(np.array(alike) > 0) <= 0.1


@pytest.mark.parametrize("metric", ["rmse", "mae", "r2", "quantile_loss:0.5"])
def test_amounts_too(metric: str) -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=300)
    task = Task("y", "regression", metric)
    near, far = (y[:, None] + noise * rng.normal(size=(300, 1)) for noise in (0.2, 1.0))
    assert share_gained(task, y, far, near) > 0.5
    assert share_gained(task, y, near, far) == 0.0


def test_rows_of_one_group_count_as_one() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=300)
    groups = np.arange(300) // 150
    task = Task("y", "regression", "rmse")
    before = y + 1.0 * np.where(groups == 0, 1.0, 0.1)
    after = y + 0.5 * np.where(groups == 0, 1.0, 0.3)
    assert share_gained(task, y, before[:, None], after[:, None]) > 0.3
    assert share_gained(task, y, before[:, None], after[:, None], groups=groups) == 0.0
