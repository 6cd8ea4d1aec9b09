"""A dense and a sparse matrix side by side are what one sparse matrix of both is to a linear learner."""

from typing import Any

import numpy as np
import pytest
from scipy import sparse

from aias.core.deadline import Deadline
from aias.core.events import nobody
from aias.core.side_by_side import SideBySide
from aias.core.task import Task
from aias.learners.contract import Examples, Fit
from aias.learners.linear import Linear

RNG = np.random.default_rng(0)
DENSE = RNG.normal(size=(60, 4))
SPARSE = sparse.random(60, 9, density=0.3, format="csr", rng=RNG)
BOTH = SideBySide(DENSE, SPARSE)
WHOLE = sparse.csr_matrix(np.hstack([DENSE, SPARSE.toarray()]))


def test_products_from_both_sides_are_those_of_the_whole() -> None:
    right, left = RNG.normal(size=(13, 3)), RNG.normal(size=(60, 3))
    assert BOTH.shape == WHOLE.shape
    np.testing.assert_allclose(BOTH @ right, WHOLE @ right)
    np.testing.assert_allclose(BOTH.T @ left, WHOLE.T @ left)
    np.testing.assert_allclose(BOTH.T.tocsr() @ left, WHOLE.T @ left)


def test_rows_and_squares_are_those_of_the_whole() -> None:
    rows, right = np.array([5, 0, 59]), RNG.normal(size=(13, 2))
    np.testing.assert_allclose(BOTH[rows] @ right, WHOLE[rows] @ right)
    np.testing.assert_allclose(BOTH.multiply(BOTH) @ right, WHOLE.multiply(WHOLE) @ right)
    assert BOTH.astype(np.float32).dense.dtype == np.float32


@pytest.mark.parametrize("classes", [0, 2, 3])
def test_a_linear_learner_finds_the_same_in_both(classes: int) -> None:
    signal = WHOLE @ RNG.normal(size=13)
    y: Any = np.digitize(signal, np.quantile(signal, np.arange(1, classes) / classes)) if classes else signal
    kind = {0: "regression", 2: "binary", 3: "multiclass"}[classes]
    task = Task("y", kind, "rmse" if not classes else "accuracy", tuple("abc"[:classes]))  # type: ignore[arg-type]
    how = Fit(task, 0, Deadline.after(600), 1, nobody, settings={"C": 1.0})
    apart, whole = (Linear.fit(Examples(x, y), None, how) for x in (BOTH, WHOLE))
    np.testing.assert_allclose(apart.scores(BOTH), whole.scores(WHOLE), atol=1e-6)
