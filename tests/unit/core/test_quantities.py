"""`core/quantities.py`: times and counts as people write them."""

import datetime as dt
from typing import Any

import pytest

from aias.core.errors import UserError
from aias.core.quantities import are, counted, latency_of, seconds_of


@pytest.mark.parametrize(("text", "seconds"), [
    ("90s", 90), ("5m", 300), ("1h30m", 5400), ("2m 30s", 150), ("0.5h", 1800), ("2ms", 0.002), (7, 7),
])  # fmt: skip
def test_times_are_read_as_they_are_written(text: str | float, seconds: float) -> None:
    assert seconds_of(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "soon", "-5s", "30m1h", "1h30", "5x", None, dt.timedelta(seconds=2)])
def test_what_is_no_time_is_refused(text: Any) -> None:
    with pytest.raises(UserError, match="not a time"):
        seconds_of(text)


def test_a_latency_has_a_unit() -> None:
    assert [latency_of(each) for each in ("150us", "2ms", 0.002)] == [pytest.approx(1.5e-4), 0.002, 0.002]
    with pytest.raises(UserError) as refused:
        latency_of("1.5")
    assert refused.value.hint == "write 1.5ms or 1.5us"


@pytest.mark.parametrize("nothing", ["0", "0.0"])
def test_a_latency_of_nothing_is_not_told_to_have_a_unit(nothing: str) -> None:
    with pytest.raises(UserError, match="cannot be kept") as refused:
        latency_of(nothing)
    assert refused.value.hint == "write 150us or 2ms"


def test_one_is_not_several() -> None:
    assert [f"{counted(each, 'row')} {are(each)}" for each in (0, 1, 2, 1_200)] == [
        "0 rows are", "1 row is", "2 rows are", "1,200 rows are",
    ]  # fmt: skip
