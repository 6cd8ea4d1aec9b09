"""`mape`: errors are shares of the amounts, in whatever unit these are."""

from typing import Any

import numpy as np
import pytest

from aias.core.catalog import member
from aias.core.deadline import Deadline
from aias.core.events import nobody
from aias.core.task import Task
from aias.learners.boosting import SHARES_MAX, least_of
from aias.learners.contract import Examples, Fit

TASK = Task("y", "regression", "mape")
SUBSAMPLED: dict[str, dict[str, Any]] = {"xgboost": {"subsample": 1.0}, "catboost": {"bootstrap_type": "No"}}


@pytest.mark.parametrize("unit", [1e-4, 1.0, 1e4])
@pytest.mark.parametrize("learner", ["boosted_trees", "xgboost", "catboost"])
def test_amounts_below_one_are_learned_as_all_others(learner: str, unit: float) -> None:
    """Of 1, 3 and 9, each as often, 1 is the answer whose shares are least; libraries take amounts below 1 for 1."""
    pytest.importorskip("lightgbm" if learner == "boosted_trees" else learner, reason=f"{learner} is not installed")
    x = np.zeros((180, 2))
    x[90:, 0] = 1.0
    train = Examples(x, unit * np.tile(np.repeat([1.0, 3.0, 9.0], 30), 2))
    settings = {"rounds": 150, **SUBSAMPLED.get(learner, {})}
    how = Fit(TASK, 0, Deadline.after(600), 1, nobody, settings)

    found = member("learners", learner).fit(train, None, how).scores(np.zeros((1, 2)))

    assert found.ravel() / unit == pytest.approx(1.0, abs=0.3)


def test_an_amount_next_to_nothing_is_not_all_that_counts() -> None:
    assert least_of(np.array([1e-300, 2.0, 3.0])) == 2.0 / SHARES_MAX
    assert least_of(np.array([-0.5, 2.0, 3.0])) == 0.5
