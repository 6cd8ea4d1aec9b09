"""What certifies an ensemble answers as what is published will."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from aias.core.task import Task
from aias.optimize import optimize
from aias.training.scoring.answering import Answering


@pytest.mark.parametrize("forward", [False, True])
def test_answers_are_set_by_groups_and_forward_in_time_as_in_training(monkeypatch, forward) -> None:
    rows, given = 40, dict[str, Any]()
    y, groups = np.arange(rows) % 2, np.arange(rows) // 2
    scores = np.column_stack([0.7 - 0.4 * y, 0.3 + 0.4 * y])

    def fit(*_args: Any, **settings: Any) -> tuple[Any, Any]:
        given.update(settings)
        return SimpleNamespace(calibration=None, label_weights=None), None

    monkeypatch.setattr(optimize, "Answering", SimpleNamespace(fit=fit))
    board = SimpleNamespace(
        y=y, folds=np.arange(rows) % 4, groups=groups, forward=forward, honest=lambda **_: scores,
        members=[SimpleNamespace(name="a")],
    )  # fmt: skip
    whole = SimpleNamespace(y=y)
    job: Any = SimpleNamespace(
        board=board, held=SimpleNamespace(held=np.ones(rows, np.bool_)), whole={"a": scores},
        parent=SimpleNamespace(weights={"a": 1.0}, manifest=SimpleNamespace(calibration=None, label_weights=())),
        task=Task("y", "binary", "f1", ("no", "yes")), recipe=SimpleNamespace(seed=0),
        table=SimpleNamespace(class_costs=None, whole=whole, judged=np.arange(rows), judged_clusters=None),
    )  # fmt: skip
    gain = optimize._Job._gain_on_reserved(job, np.ones(1), serving=False)
    assert gain.value == 0.0 and given["groups"] is groups and given["forward"] == forward
    Answering.fit(job.task, y, scores, board.folds, **given)  # which takes what it is given
