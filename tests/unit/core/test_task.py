"""`core/task.py`: how a measurement is read."""

import pytest

from aias.artifact.card import _number
from aias.core.task import Measurement, instead_of, is_metric, written


@pytest.mark.parametrize(("value", "said"), [
    (0.92581, "0.9258"), (46_951.57, "46,951.6"), (9.966263e37, "9.966e+37"), (-2e15, "-2e+15"),
    (0.0, "0.0000"), (0.0012, "0.0012"), (0.00041234, "0.0004123"), (2.9967e-16, "2.997e-16"),
])  # fmt: skip
def test_a_number_is_as_short_as_it_says_something(value: float, said: str) -> None:
    assert written(value) == said


def test_amounts_of_astronomers_fit_into_a_table_and_onto_a_card() -> None:
    one = Measurement("rmse", 9.966263e37, 100, low=9.5e37, high=1.04e38)
    assert one.interval == "9.5e+37 to 1.04e+38"
    assert _number(one.value) == "9.966e+37"


def test_of_what_is_measured_in_tiny_units_digits_are_left() -> None:
    one = Measurement("rmse", 2.9967e-16, 100, low=2.8637e-16, high=3.1553e-16)
    assert one.interval == "2.864e-16 to 3.155e-16"
    assert (_number(one.value), _number(0.0)) == ("2.997e-16", "0.0000")


def test_measurements_are_shown_as_they_are_read() -> None:
    shown = repr((Measurement("rmse", 13_925.58, 1200, low=12_430.54, high=15_621.12), Measurement("r2", 0.98, 2)))
    assert shown == "(<rmse 13,925.6 (12,430.5 to 15,621.1), 1,200 rows>, <r2 0.9800, 2 rows>)"


@pytest.mark.parametrize("metric", ["quantile_loss:1.5", "quantile_loss:90", "quantile_loss:", "quantile_loss:high"])
def test_of_a_quantile_that_there_is_not_it_is_said_where_they_lie(metric: str) -> None:
    assert not is_metric(metric)
    assert instead_of(metric) == "a quantile lies between 0 and 1, as in quantile_loss:0.9"
    assert instead_of("acuracy").startswith("did you mean `accuracy`?")
