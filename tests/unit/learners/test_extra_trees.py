from functools import partial

import numpy as np
import pytest

from aias.core.deadline import Deadline
from aias.core.events import nobody
from aias.encoders.rows import Layout
from aias.learners import extra_trees
from aias.learners.contract import Examples, Fit
from aias.learners.extra_trees import ExtraTrees
from learned import TASKS, answered

LAYOUT = Layout(4, (0, 1, 2), (3,), (30,), 0, 0)


def examples(classes: int, rows: int = 400, *, missing: float = 0.1) -> Examples:
    rng = np.random.default_rng(classes)
    x = rng.normal(size=(rows, 4))
    x[:, 3] = rng.integers(2, 30, rows)
    z = x[:, 0] + np.isin(x[:, 3] % 7, [1, 3]) * 2 + rng.normal(size=rows) / 3
    x[:, :3][rng.random((rows, 3)) < missing] = np.nan
    x[:3, 1] = [np.inf, -np.inf, 1e308]
    y = {2: (z > 1).astype(np.int64), 3: np.digitize(z, [0, 1]).astype(np.int64), 0: 1e6 * z}[classes]
    return Examples(x, y)


def fit(classes: int, *, train: Examples | None = None, valid: Examples | None = None, seed: int = 0, **settings):
    how = Fit(TASKS[classes], seed, Deadline.after(600), 1, nobody, {"trees": 8, **settings}, categories=(3,))
    return ExtraTrees.fit(train or examples(classes), valid, how)


run = partial(answered, LAYOUT)


def odd_rows() -> np.ndarray:
    x = examples(2, 300).x.copy()
    odd = [np.nan, np.inf, -np.inf, 1e308, -1e308, 5e-324, 0.0, -0.0, 16777217.0, 3.5e38]
    x[:100, :3] = np.random.default_rng(0).choice(odd, (100, 3))
    x[100:120, 3], x[120:140, 3] = 0, 1
    return x


def test_a_threshold_in_float64_parts_as_scikit_learn_does_in_float32() -> None:
    rng = np.random.default_rng(0)
    t = np.concatenate([rng.normal(size=300) * 10.0 ** rng.integers(-44, 38, 300), [0.0, -0.0, 1.0, -1.0, 3.4e38]])
    near = t.astype(np.float32)
    for step in (-2, -1, 0, 1, 2):
        other = near
        for _ in range(abs(step)):
            other = np.nextafter(other, np.float32(np.sign(step) * np.inf))
        half = (other.astype(np.float64) + np.nextafter(other, np.float32(np.inf)).astype(np.float64)) / 2
        for x in (other.astype(np.float64), half, np.nextafter(half, np.inf), np.nextafter(half, -np.inf)):
            np.testing.assert_array_equal(x <= extra_trees._widened(t), extra_trees._narrow(x) <= t)


def test_trees_of_one_leaf_are_read_too() -> None:
    x = np.zeros((40, 4))
    for classes, y in ((2, np.arange(40) % 2), (3, np.arange(40) % 3), (0, np.arange(40.0))):
        trees = fit(classes, train=Examples(x, y))
        np.testing.assert_allclose(run(trees, classes, x[:3]), run(trees, classes, odd_rows()[:3]))


def test_a_class_that_is_missing_from_the_rows_has_no_probability() -> None:
    data = examples(3)
    keep = data.y != 1
    trees = fit(3, train=Examples(data.x[keep], data.y[keep]))
    scores = trees.scores(odd_rows())
    np.testing.assert_array_equal(scores[:, 1], 0)
    np.testing.assert_allclose(scores.sum(axis=1), 1)


def test_there_are_more_trees_where_they_are_small(monkeypatch) -> None:
    monkeypatch.setattr(extra_trees, "TREES", (5, 10))
    grown = {}
    for most in (20_000, 2_000, 200):
        monkeypatch.setattr(extra_trees, "NODES_MAX", most)
        how = Fit(TASKS[2], 0, Deadline.after(600), 1, nobody, {}, categories=(3,))
        grown[most] = ExtraTrees.fit(examples(2), None, how)
    assert [each.settings["trees"] for each in grown.values()] == [10, 10, 5]
    assert all(each.forest().nodes <= most for most, each in grown.items())


def test_a_deadline_ends_the_growing_with_the_trees_so_far() -> None:
    ticks = iter(range(10_000))
    deadline = Deadline(100.0, 100.0, clock=lambda: float(next(ticks)))
    how = Fit(TASKS[2], 0, deadline, 1, nobody, {"trees": 1000})
    trees = ExtraTrees.fit(examples(2), None, how)
    assert how.cuts == ["extra_trees"]
    assert 0 < trees.settings["trees"] < 200
    again = fit(2, **trees.settings)
    np.testing.assert_array_equal(again.scores(odd_rows()), trees.scores(odd_rows()))


def test_the_number_of_nodes_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extra_trees, "NODES_MAX", 1000)
    noise = Examples(np.random.default_rng(0).normal(size=(3000, 4)), np.arange(3000) % 3)
    assert fit(3, train=noise, trees=20).forest().nodes <= 1000


def test_rows_count_by_their_weight_and_states_are_kept() -> None:
    kept: list = []
    x, y = np.zeros((40, 4)), np.arange(40) % 2
    how = Fit(TASKS[2], 0, Deadline.after(600), 1, nobody, {"trees": 3}, keep=lambda make: kept.append(make()))
    ExtraTrees.fit(Examples(x, y, weight=np.tile([1.5, 0.5], 20)), Examples(x, y), how)
    np.testing.assert_allclose(kept[0].scores(x[:1]), [[0.75, 0.25]])


@pytest.mark.parametrize("classes", TASKS)
def test_thinned_it_has_a_part_of_its_trees_and_answers_at_the_same_height(classes: int) -> None:
    whole = fit(classes)
    thinned = [whole.thinned(count) for count in (1, 3, 100)]
    each = [trees.forest().trees // trees.forest().outputs for trees in thinned]
    assert each == [8, 3, 1]
    np.testing.assert_array_equal(thinned[0].scores(odd_rows()), whole.scores(odd_rows()))
    x = examples(classes).x
    for trees in thinned:
        scores = trees.scores(x)
        assert np.corrcoef(scores[:, -1], whole.scores(x)[:, -1])[0, 1] > 0.7
        assert scores.sum(axis=1) == pytest.approx(np.ones(len(x))) or not classes
        np.testing.assert_allclose(run(trees, classes, x).reshape(len(x), -1), scores, rtol=1e-6)


def test_noise_is_shrunk_away_and_what_is_certain_is_not() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(900, 4))
    noise, certain = rng.integers(0, 2, 900), (x[:, 0] > 0).astype(np.int64)
    found = {
        name: fit(2, train=Examples(x[:600], y[:600]), valid=Examples(x[600:], y[600:])).settings["shrinkage"]
        for name, y in {"noise": noise, "certain": certain}.items()
    }
    assert found["noise"] >= 100 > 3 >= found["certain"]
