import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression, Ridge

from aias.core.deadline import Deadline
from aias.core.events import Event, nobody
from aias.core.task import Task
from aias.learners.contract import Examples, Fit
from aias.learners.linear import Linear

TASKS = {
    2: Task("y", "binary", "roc_auc", ("a", "b")),
    3: Task("y", "multiclass", "log_loss", ("a", "b", "c")),
    0: Task("y", "regression", "rmse"),
}


def examples(classes: int, rows: int = 500) -> Examples:
    rng = np.random.default_rng(classes)
    x = rng.normal(size=(rows, 6))
    z = x[:, 0] - 2 * x[:, 1] + rng.normal(size=rows)
    y = {2: (z > 0).astype(np.int64), 3: np.digitize(z, [-1, 1]).astype(np.int64), 0: 50 + 10 * z}[classes]
    return Examples(sparse.csr_matrix(x), y)


def how(classes: int, **changes) -> Fit:
    return Fit(TASKS[classes], 0, changes.pop("deadline", Deadline.after(60)), 1, changes.pop("watch", nobody), changes)


@pytest.mark.parametrize("classes", [2, 3])
def test_logistic_regression_agrees_with_scikit_learn(classes: int) -> None:
    train = examples(classes)
    found = Linear.fit(train, None, how(classes, C=0.1)).scores(train.x)
    peer = LogisticRegression(C=0.1, tol=1e-8, max_iter=2000).fit(train.x, train.y).predict_proba(train.x)
    np.testing.assert_allclose(found, peer, atol=0.01)


def test_ridge_agrees_with_scikit_learn() -> None:
    train = examples(0)
    found = Linear.fit(train, None, how(0, C=0.1)).scores(train.x)[:, 0]
    peer = Ridge(alpha=10).fit(train.x, train.y).predict(train.x)
    np.testing.assert_allclose(found, peer, atol=0.2)


@pytest.mark.parametrize("classes", [0, 2, 3])
def test_the_strength_is_chosen_by_validation_and_told(classes: int) -> None:
    told: list[Event] = []
    model = Linear.fit(examples(classes), examples(classes, 200), how(classes, watch=told.append))
    losses = {event.facts["C"]: event.facts["validation_loss"] for event in told}
    assert model.settings["C"] == min(losses, key=lambda c: losses[c])
    assert {"round", "rows_per_second", "seconds_left"} <= told[0].facts.keys()


def test_a_deadline_that_has_passed_still_gives_a_model() -> None:
    late = Deadline(0.0, 0.0, clock=lambda: 1.0)
    scores = Linear.fit(examples(2), examples(2, 100), how(2, deadline=late)).scores(examples(2).x)
    assert np.isfinite(scores).all()


def test_a_class_that_is_absent_from_a_fold_keeps_its_column() -> None:
    train = examples(3)
    kept = np.flatnonzero(train.y != 2)
    model = Linear.fit(Examples(train.x[kept], train.y[kept]), None, how(3, C=1.0))
    assert model.scores(train.x).shape == (500, 3)
