"""`networks/initial.py`: layers that begin orthogonal."""

import numpy as np
import pytest

from aias.networks.initial import begun


@pytest.mark.parametrize("shape", [(9, 4), (4, 9), (5, 5), (7, 1)])
def test_what_begins_orthogonal_is_at_right_angles_and_as_large_as_before(shape):
    drawn = np.random.default_rng(0).normal(size=shape).astype(np.float32)

    weight = begun("orthogonal", drawn)

    squares = weight.T @ weight if shape[0] >= shape[1] else weight @ weight.T
    np.testing.assert_allclose(squares / squares[0, 0], np.eye(min(shape)), atol=1e-5)
    assert np.linalg.norm(weight) == pytest.approx(np.linalg.norm(drawn), rel=1e-5)
    assert weight.dtype == np.float32


def test_what_is_drawn_at_random_stays_as_it_is():
    drawn = np.ones((3, 2), np.float32)
    assert begun("random", drawn) is drawn
