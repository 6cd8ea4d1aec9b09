from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import Lasso, LogisticRegression, Ridge

from aias.core.deadline import Deadline
from aias.core.events import Event, nobody
from aias.core.side_by_side import SideBySide
from aias.learners.contract import Examples, Fit
from aias.learners.linear import RATIO_MIN, SPARSE, Linear, _Path, _Problem, _Step, _Steps
from learned import TASKS


def examples(classes: int, rows: int = 500) -> Examples:
    rng = np.random.default_rng(classes)
    x = rng.normal(size=(rows, 6))
    z = x[:, 0] - 2 * x[:, 1] + rng.normal(size=rows)
    y = {2: (z > 0).astype(np.int64), 3: np.digitize(z, [-1, 1]).astype(np.int64), 0: 50 + 10 * z}[classes]
    return Examples(sparse.csr_matrix(x), y)


def how(classes: int, **changes) -> Fit:
    return Fit(
        TASKS[classes], 0, changes.pop("deadline", Deadline.after(600)), 1, changes.pop("watch", nobody), changes
    )


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


@pytest.mark.parametrize("classes", [0, 2])
def test_of_few_rows_those_that_are_fitted_on_judge_the_strength_too(classes: int) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 80)), rng.normal(size=60)
    train = Examples(sparse.csr_matrix(x), y if classes == 0 else (y > 0).astype(np.int64))
    known = train.take(np.arange(4))  # as if by luck: the better they are learned by heart, the better

    alone = Linear.fit(train, known, how(classes))
    together = Linear.fit(train, known, replace(how(classes), folds=np.arange(60) % 5))

    assert alone.settings["C"] == 100
    assert together.settings["C"] <= 0.01


@pytest.mark.parametrize("classes", [0, 2])
def test_what_copies_in_another_part_know_judges_no_strength(classes: int) -> None:
    rng = np.random.default_rng(0)
    x, y = np.repeat(rng.normal(size=(60, 80)), 2, axis=0), np.repeat(rng.normal(size=60), 2)
    train = Examples(sparse.csr_matrix(x), y if classes == 0 else (y > 0).astype(np.int64))
    known = train.take(np.arange(4))
    parted = replace(how(classes), folds=np.arange(120) % 5)

    by_heart = Linear.fit(train, known, parted)
    apart = Linear.fit(train, known, replace(parted, copies=np.arange(120) // 2))

    assert by_heart.settings["C"] == 100
    assert apart.settings["C"] <= 0.1


@pytest.mark.parametrize("classes", [0, 2, 3])
def test_many_columns_of_numbers_are_multiplied_as_they_are(classes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As CSR they took a quarter of a minute of training."""
    rng = np.random.default_rng(classes)
    numbers, flags = rng.normal(size=(1_300, 400)), np.zeros((1_300, 400))
    flags[::100, 7] = 1  # a value that is missing here and there
    z = numbers[:, :40].sum(axis=1) / 4 + flags[:, 7] + rng.normal(size=1_300)
    y = {2: (z > 0).astype(np.int64), 3: np.digitize(z, [-1, 1]).astype(np.int64), 0: 50 + 10 * z}[classes]
    train = Examples(sparse.csr_matrix(np.hstack([numbers, flags])), y)
    held = _Problem(train, classes, how(classes)).x
    assert held.dense.shape == (1_300, 400) and held.sparse.shape == (1_300, 400)

    found = Linear.fit(train, None, how(classes, C=0.1)).scores(train.x)
    monkeypatch.setattr("aias.learners.linear.WIDE", 10_000)
    assert isinstance(_Problem(train, classes, how(classes)).x, sparse.csr_matrix)
    expected = Linear.fit(train, None, how(classes, C=0.1)).scores(train.x)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_without_rows_that_judge_nothing_is_told() -> None:
    told: list[Event] = []
    Linear.fit(examples(2), None, how(2, watch=told.append))
    assert told == []


def test_of_many_columns_that_each_say_little_nearly_all_is_held_back() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 300))
    y = x @ rng.normal(size=300) / 300**0.5 + rng.normal(size=300)
    parts = [Examples(sparse.csr_matrix(x[rows]), y[rows]) for rows in (slice(200), slice(200, 300))]
    found = Linear.fit(*parts, how(0))
    errors = [y[200:] - Ridge(alpha=alpha).fit(x[:200], y[:200]).predict(x[200:]) for alpha in np.logspace(0, 5, 21)]
    assert np.sqrt(np.mean((found.scores(x[200:])[:, 0] - y[200:]) ** 2)) < 1.01 * min(
        np.sqrt(np.mean(error**2)) for error in errors
    )
    assert found.settings["C"] < 0.03


@pytest.mark.parametrize(
    ("first", "tried"), [(1.0, [1, 3, 0.3, 0.1, 0.03]), (10.0, [10, 30, 3, 1, 0.3, 0.1, 0.03]), (20.0, [20, 30, 10, 3])]
)
def test_the_path_begins_where_it_is_told_and_goes_down_where_up_is_no_help(first: float, tried: list[float]) -> None:
    told: list[Event] = []
    train, rng = examples(2), np.random.default_rng(0)
    by_chance = Examples(train.x, rng.permutation(train.y))  # the less is learned, the better
    Linear.fit(train, by_chance, how(2, watch=told.append, first=first))
    assert [event.facts["C"] for event in told][: len(tried)] == tried


@pytest.mark.parametrize(("at_three", "chosen"), [(1.328, 0.1), (1.2, 3.0)])
def test_less_regularisation_that_gains_next_to_nothing_is_no_reason_not_to_try_more(
    at_three: float, chosen: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 3,072 pixels 200 iterations are no solution, and C = 10 was better than 1 by a ten thousandth."""
    losses = {1.0: 1.3281, 3.0: at_three, 10.0: 1.329, 0.3: 0.9, 0.1: 0.7, 0.03: 0.8}

    def step(_path: _Path, _before: Any, c: float) -> _Steps:
        model: Any = SimpleNamespace(settings={"C": c})
        return _Steps([_Step(np.zeros(0), model, losses[c])], losses[c])

    monkeypatch.setattr(_Path, "step", step)
    assert Linear.fit(examples(2), examples(2, 100), how(2)).settings["C"] == chosen


def test_a_deadline_that_has_passed_still_gives_a_model() -> None:
    late = Deadline(0.0, 0.0, clock=lambda: 1.0)
    scores = Linear.fit(examples(2), examples(2, 100), how(2, deadline=late)).scores(examples(2).x)
    assert np.isfinite(scores).all()


def test_a_class_that_is_absent_from_a_fold_keeps_its_column() -> None:
    train = examples(3)
    kept = np.flatnonzero(train.y != 2)
    model = Linear.fit(Examples(train.x[kept], train.y[kept]), None, how(3, C=1.0))
    assert model.scores(train.x).shape == (500, 3)


def marked(rows: int = 60) -> Examples:
    """Two classes. The first column is there in nearly all rows of the second class only, the others by chance."""
    rng = np.random.default_rng(0)
    y = np.arange(rows) % 2
    x = (rng.random((rows, 8)) < 0.5).astype(float)
    x[:, 0] = np.where(rng.random(rows) < 0.05, 1 - y, y)
    return Examples(sparse.csr_matrix(x), y)


def test_with_ratios_a_feature_that_tells_the_classes_apart_is_held_back_less() -> None:
    train = marked()
    plain, ratios = (Linear.fit(train, None, how(2, C=0.1, **more)) for more in ({}, {"ratios": True}))
    assert ratios.weights[0, 0] > 1.2 * plain.weights[0, 0]
    shares = [np.abs(model.weights[1:]).sum() / model.weights[0, 0] for model in (plain, ratios)]
    assert shares[1] < shares[0]
    assert ratios.settings == {"C": 0.1, "ratios": True}


def test_ratios_agree_with_scikit_learn_on_scaled_columns() -> None:
    train = marked()
    there, second = train.x.toarray() > 0, train.y == 1
    inside = (there[second].sum(axis=0) + 1) / (second.sum() + 2)
    outside = (there[~second].sum(axis=0) + 1) / ((~second).sum() + 2)
    scaled = train.x.toarray() * (np.abs(np.log(inside / outside)) + RATIO_MIN)
    peer = LogisticRegression(C=0.1, tol=1e-8, max_iter=2000).fit(scaled, train.y).predict_proba(scaled)
    found = Linear.fit(train, None, how(2, C=0.1, ratios=True)).scores(train.x)
    np.testing.assert_allclose(found, peer, atol=0.01)


def test_vectors_beside_words_have_no_ratios() -> None:
    train = marked()
    dense = np.random.default_rng(1).normal(size=(train.x.shape[0], 3))
    both = Examples(SideBySide(dense, train.x), train.y)
    assert Linear.fit(both, None, how(2, C=0.1, ratios=True)).weights.shape == (11, 1)
    nothing = Examples(SideBySide(dense, sparse.csr_matrix((len(train.y), 0))), train.y)
    models = [Linear.fit(nothing, None, how(2, C=0.1, **more)) for more in ({}, {"ratios": True})]
    np.testing.assert_array_equal(models[0].weights, models[1].weights)


@pytest.mark.parametrize("c", [1.0, 10.0])
def test_the_sparse_one_is_the_lasso(c: float) -> None:
    x = np.random.default_rng(0).normal(size=(80, 200))
    y = x[:, :5].sum(axis=1) + x[:, 5] / 10
    lasso = Lasso(SPARSE / c, tol=1e-8, max_iter=100_000).fit(x, (y - y.mean()) / y.std())

    found = Linear.fit(Examples(sparse.csr_matrix(x), y), None, how(0, C=c, sparse=True))

    assert found.weights[:, 0] / y.std() == pytest.approx(lasso.coef_, abs=0.02)
    assert (np.abs(found.weights[6:]) < 0.05 * y.std()).mean() > 0.9
