from functools import partial

import numpy as np
import pytest

from aias.core.deadline import Deadline
from aias.core.events import Event, nobody
from aias.learners.contract import Examples, Fit
from aias.learners.nearest import Nearest
from learned import LAYOUT, TASKS, answered, examples, odd_rows


def fit(classes: int, *, train: Examples | None = None, valid: Examples | None = None, watch=nobody, **settings):
    how = Fit(
        TASKS[classes], 0, Deadline.after(600), 1, watch, settings, categories=(4,), category_sizes=(30,)
    )  # fmt: skip
    return Nearest.fit(train or examples(classes, 400), valid, how)


run = partial(answered, LAYOUT)


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
    x = np.column_stack([np.zeros((300, 4)), rng.integers(2, 6, 300)]).astype(float)
    fitted = fit(2, train=Examples(x, rng.integers(0, 2, 300)), k=7)
    together = run(fitted, 2, x)
    np.testing.assert_allclose(together, fitted.scores(x), atol=1e-7)
    np.testing.assert_allclose(np.vstack([run(fitted, 2, row[None]) for row in x[:5]]), together[:5], atol=1e-7)


def test_one_neighbour_gives_a_training_row_its_own_answer() -> None:
    data = examples(0, 400)
    np.testing.assert_allclose(fit(0, k=1).scores(data.x[18:]), data.y[18:, None], rtol=1e-6)


def test_the_number_of_neighbours_is_chosen_by_validation_and_told() -> None:
    told: list[Event] = []
    fitted = fit(2, valid=examples(2, seed=1), watch=told.append)
    assert 1 < fitted.settings["k"] < 400
    assert {"round", "validation_loss", "seconds_left"} <= told[0].facts.keys()
