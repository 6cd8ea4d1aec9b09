import math
from datetime import time, timedelta

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aias.core.errors import BadValue, Damaged
from aias.core.schema import Field
from aias.data.types.columns import simple
from aias.encoders.number import Number

PLAIN = Number(Field("price", "number", missing=("?", "n/a")))


def same(left: float, right: float) -> bool:
    return left == right or (math.isnan(left) and math.isnan(right))


@pytest.mark.parametrize(
    ("raw", "number"),
    [
        (3, 3.0),
        (2.5, 2.5),
        (True, 1.0),
        (np.int8(7), 7.0),
        ("12", 12.0),
        (" 12 % ", 12.0),
        ("$1,200.50", 1200.5),
        ("-$5", -5.0),
        ("$-5", -5.0),
        ("(1,200)", -1200.0),
        ("($3.50)", -3.5),
        ("1,200.50-", -1200.5),
        ("12.5-€", -12.5),
        ("€ 7", 7.0),
        ("1,234,567", 1234567.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e3", 1000.0),
        ("\u22124", -4.0),
        ("1e999", math.inf),
        ("-inf", -math.inf),
        pytest.param(10**400, math.inf, id="beyond float64"),
        (2**64, 2.0**64),
    ],
)
def test_a_number_is_read_however_people_write_it(raw, number):
    assert PLAIN.encode(raw) == number


@pytest.mark.parametrize(
    ("raw", "seconds"),
    [
        (timedelta(days=-1, seconds=3), -86_397.0),
        (pd.Timedelta("90s"), 90.0),
        (np.timedelta64(1_500, "ms"), 1.5),
        (time(17, 45, 36), 17.76),
    ],
)
def test_durations_and_times_of_day_are_read_as_their_columns_are(raw, seconds):
    assert PLAIN.encode(raw) == pytest.approx(seconds)
    column = pl.Series("d", np.array([raw]) if isinstance(raw, np.generic) else [raw])
    assert PLAIN.column([raw, None])[0, 0] == pytest.approx(simple(column)[0][0]) == pytest.approx(seconds)


def test_durations_beside_texts_of_hours_are_hours():
    assert Number(Field("took", "number", format="duration")).encode(timedelta(hours=30)) == 30.0


@pytest.mark.parametrize("raw", [None, float("nan"), "", "  ", "?", " n/a ", "nan", pd.NaT, np.timedelta64("NaT")])
def test_what_means_missing_is_nan(raw):
    assert math.isnan(PLAIN.encode(raw))


@pytest.mark.parametrize(
    "raw",
    [
        "old",
        "1_000",
        "1,2",
        "0,123",
        "12,34.5",
        "--5",
        "(-5)",
        "-5-",
        "(5-)",
        "-",
        "5--",
        "5-6",
        "5 5",
        "٣",
        "12 kg",
        "%",
        "()",
        [1],
        {},
    ],
)
def test_what_is_no_number_is_refused_with_an_example(raw):
    with pytest.raises(BadValue, match="is not a number") as caught:
        PLAIN.encode(raw)
    assert "such as 12.5" in caught.value.hint


def test_a_column_that_was_text_lends_no_example():
    with pytest.raises(BadValue) as caught:
        Number(Field("city", "number", example="Paris")).encode("Rome")
    assert "such as 12.5" in caught.value.hint


def test_a_long_text_is_refused_without_being_repeated():
    with pytest.raises(BadValue) as caught:
        PLAIN.encode("9" * 100_000)
    assert len(caught.value.message) < 100


def test_the_unit_of_the_field_may_stand_beside_the_number():
    weight = Number(Field("weight", "number", unit="kg"))
    assert weight.encode("12 kg") == weight.encode("12kg") == weight.encode("12") == 12.0


def test_a_decimal_comma_is_read_when_the_field_says_so():
    price = Number(Field("price", "number", format="decimal-comma"))
    assert [price.encode(text) for text in ("1.200,50", "3,5", "-7", "1.200")] == [1200.5, 3.5, -7.0, 1200.0]


@pytest.mark.parametrize(
    ("form", "text", "expected"),
    [
        ("spaced", "1 234 567.5", 1234567.5),
        ("spaced", "-1'234.5", -1234.5),
        ("spaced", "CHF 1\u2019234", 1234),
        ("spaced", "12.5", 12.5),
        ("spaced-comma", "1\u202f234,5 €", 1234.5),
        ("spaced-comma", "(1\u00a0234)", -1234),
        ("spaced-comma", "0,5", 0.5),
        ("lakh", "12,34,567.5", 1234567.5),
        ("lakh", "1,234", 1234),
        ("clock", "0:05", 5 / 60),
        ("clock", "17:45:36", 17.76),
        ("clock", "12:30 am", 0.5),
        ("clock", "12:30 P.M.", 12.5),
        ("clock", "7.25", 7.25),
        ("duration", "30:15:00", 30.25),
        ("duration", "1 day, 2:03:00", 26.05),
        ("duration", "-1 days +23:00:00", -1),
        ("duration", "-1:30", -1.5),
        ("duration", "3 days", 72),
        ("duration", "PT36H", 36),
        ("duration", "-P1DT2H30M", -26.5),
        ("duration", "1h 30m", 1.5),
        ("duration", "2 hours 15 min 36 sec", 2.26),
        ("stopwatch", "45:36", 0.76),
        ("stopwatch", "120:00", 2),
        ("stopwatch", "1:02:24", 1.04),
        ("magnitude", "1.2M", 1_200_000),
        ("magnitude", "-CHF 3,400.5k", -3_400_500),
        ("magnitude", "($1.1 bn)", -1.1e9),
        ("magnitude", "2.3Mio. €", 2_300_000),
        ("magnitude", "3.5万", 35_000),
        ("magnitude", "1,200", 1200),
        ("approximate", "<0.5", 0.5),
        ("approximate", "\u2265 $1,200", 1200),
        ("approximate", "10,000 +", 10_000),
        ("approximate", "3\u20135", 4),
        ("approximate", "$2,100 to $2,850.50", 2475.25),
        ("approximate", "-5", -5),
        ("approximate", "$-5", -5),
        ("approximate", "-3 - -1", -2),
        ("other-digits", "\uff11\uff0c\uff12\uff10\uff10\uff0e\uff15", 1200.5),
        ("other-digits", "\u0661\u066b\u0665 CHF", 1.5),
        ("other-digits", "-\u096a\u0968", -42),
        ("other-digits", "7", 7),
    ],
)
def test_numbers_are_read_as_the_format_of_the_field_says(form, text, expected):
    assert Number(Field("n", "number", format=form, unit="CHF")).encode(text) == expected


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("spaced", "1 23"),
        ("spaced", "1 234'567"),
        ("spaced", "0 123"),
        ("spaced", "1,234"),
        ("spaced-comma", "1,234,567"),
        ("spaced-comma", "1 234.5,5"),
        ("lakh", "1,2,345"),
        ("lakh", "1,00"),
        ("clock", "24:00"),
        ("clock", "13:00 pm"),
        ("clock", "0:30 am"),
        ("clock", "7:60"),
        ("duration", "P"),
        ("duration", "P1DT"),
        ("duration", "P1M"),
        ("duration", "1:75"),
        ("duration", "days"),
        ("duration", "-"),
        ("magnitude", "M"),
        ("approximate", "5-3"),
        ("approximate", "<"),
        ("approximate", "2024-01-05"),
        ("magnitude", "1.2X"),
        ("magnitude", "1e3k"),
        ("magnitude", "2,5k"),
        (None, "1.2M"),
        (None, "\uff11\uff12"),
        ("other-digits", "\u4e09"),
        (None, "1h 30m"),
        (None, "1 234"),
        (None, "1'234"),
        (None, "12,34,567"),
        (None, "17:45"),
    ],
)
def test_what_is_written_otherwise_than_the_field_says_is_refused(form, text):
    with pytest.raises(BadValue):
        Number(Field("n", "number", format=form)).encode(text)


def test_a_column_names_the_row_it_cannot_take():
    with pytest.raises(BadValue) as caught:
        PLAIN.column(["1", "2", "old"])
    assert caught.value.row == 2


raw_values = st.one_of(
    st.none(),
    st.floats(),
    st.integers(),
    st.booleans(),
    st.floats(allow_nan=False).map(str),
    st.sampled_from(["", "?", "$1,200.50", "(3)", "12 %"]),
)


@given(st.lists(raw_values))
def test_a_column_equals_its_values_one_by_one(values):
    column = PLAIN.column(values)
    assert column.shape == (len(values), 1)
    assert all(same(PLAIN.encode(value), one) for value, one in zip(values, column[:, 0], strict=True))


@given(st.lists(st.floats()))
def test_an_array_equals_its_list(values):
    assert np.array_equal(PLAIN.column(np.array(values)), PLAIN.column(values), equal_nan=True)


@given(st.text())
def test_any_text_is_a_number_or_refused(text):
    try:
        assert isinstance(PLAIN.encode(text), float)
    except BadValue as bad:
        assert bad.hint


@given(st.floats(allow_nan=False))
def test_what_python_prints_is_read_back(number):
    assert PLAIN.encode(repr(number)) == number


def test_a_number_has_no_table():
    field = Field("price", "number")
    assert Number.load(field, Number.fit(field, ["1"]).table()).encode("2") == 2.0
    with pytest.raises(Damaged):
        Number.load(field, {"mean": 3})
