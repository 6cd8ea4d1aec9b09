"""`tuning/spaces.py`: usual values lie in their spaces."""

import pytest

from aias.tuning.spaces import SPACES


@pytest.mark.parametrize("name", sorted(SPACES))
def test_usual_values_lie_in_the_space(name):
    searched = SPACES[name]
    outside = [key for key, value in searched.usual.items() if not searched.space[key].holds(value)]
    assert outside == []
    assert set(searched.categorical) <= set(searched.space)
