"""`core/task.py`: how a measurement is read."""

import pytest

from aias.artifact.card import _number
from aias.core.task import Measurement, written


@pytest.mark.parametrize(("value", "said"), [
    (0.92581, "0.9258"), (46_951.57, "46,951.6"), (9.966263e37, "9.966e+37"), (-2e15, "-2e+15"),
])  # fmt: skip
def test_a_number_is_as_short_as_it_says_something(value: float, said: str) -> None:
    assert written(value) == said


def test_amounts_of_astronomers_fit_into_a_table_and_onto_a_card() -> None:
    one = Measurement("rmse", 9.966263e37, 100, low=9.5e37, high=1.04e38)
    assert one.interval == "9.5e+37 to 1.04e+38"
    assert _number(one.value) == "9.966e+37"
