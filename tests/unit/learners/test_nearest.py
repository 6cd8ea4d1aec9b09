from functools import partial

import numpy as np
import pytest

from aias.core.deadline import Deadline
from aias.core.events import Event, nobody
from aias.encoders.rows import Layout
from aias.learners.contract import Examples, Fit
from aias.learners.nearest import Nearest
from learned import TASKS, answered

LAYOUT = Layout(4, (0, 1, 2), (3,), (50,), 0, 0)


def examples(classes: int, rows: int = 400, *, seed: int = 0) -> Examples:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 4))
    x[:, 3] = rng.integers(2, 50, rows)
    z = x[:, 0] + (x[:, 3] < 20) * 2 + rng.normal(size=rows) / 3
    x[:, :2][rng.random((rows, 2)) < 0.1] = np.nan
    x[:3, 1] = [np.inf, -np.inf, 1e308]
    y = {2: (z > 1).astype(np.int64), 3: np.digitize(z, [0, 1]).astype(np.int64), 0: 1e6 * z}[classes]
    return Examples(x, y)


def fit(classes: int, *, train: Examples | None = None, valid: Examples | None = None, watch=nobody, **settings):
    how = Fit(
        TASKS[classes], 0, Deadline.after(600), 1, watch, settings, categories=(3,), category_sizes=(50,)
    )  # fmt: skip
    return Nearest.fit(train or examples(classes), valid, how)


run = partial(answered, LAYOUT)


def odd_rows() -> np.ndarray:
    x = examples(2, 300).x.copy()
    odd = [np.nan, np.inf, -np.inf, 1e308, -1e308, 5e-324, 0.0, -0.0, 16777217.0, 3.5e38]
    x[:100, :3] = np.random.default_rng(0).choice(odd, (100, 3))
    x[100:120, 3], x[120:140, 3] = 0, 1
    return x


@pytest.mark.parametrize("k", [1, 5, 400])
@pytest.mark.parametrize("classes", [0, 2, 3])
def test_the_graph_answers_as_the_neighbours_do(classes: int, k: int) -> None:
    fitted = fit(classes, k=k)
    expected = fitted.scores(odd_rows())
    found = run(fitted, classes, odd_rows())
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(found, expected if classes else expected[:, 0], atol=1e-7, rtol=1e-9)


def test_equal_distances_are_answered_equally_alone_and_in_a_batch() -> None:
    rng = np.random.default_rng(0)
    x = np.column_stack([np.zeros((300, 3)), rng.integers(2, 6, 300)]).astype(float)
    fitted = fit(2, train=Examples(x, rng.integers(0, 2, 300)), k=7)
    together = run(fitted, 2, x)
    np.testing.assert_allclose(together, fitted.scores(x), atol=1e-7)
    np.testing.assert_allclose(np.vstack([run(fitted, 2, row[None]) for row in x[:5]]), together[:5], atol=1e-7)


def test_one_neighbour_gives_a_training_row_its_own_answer() -> None:
    data = examples(0)
    np.testing.assert_allclose(fit(0, k=1).scores(data.x[10:]), data.y[10:, None], rtol=1e-6)


def test_the_number_of_neighbours_is_chosen_by_validation_and_told() -> None:
    told: list[Event] = []
    fitted = fit(2, valid=examples(2, seed=1), watch=told.append)
    assert 1 < fitted.settings["k"] < 400
    assert {"round", "validation_loss", "seconds_left"} <= told[0].facts.keys()
