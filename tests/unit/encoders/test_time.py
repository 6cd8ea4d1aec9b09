import math
from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aias.core.errors import BadValue, Damaged
from aias.core.schema import Field
from aias.encoders.time import Time

ISO = Time(Field("at", "time", missing=("NULL",)))
NOON = (0.5, 1970.0, 1.0, 1.0, 3.0, 1.0, 12.0)


@pytest.mark.parametrize(
    "raw",
    [
        datetime(1970, 1, 1, 12),
        datetime(1970, 1, 1, 14, tzinfo=timezone(timedelta(hours=2))),
        np.datetime64("1970-01-01T12"),
        "1970-01-01 12:00",
        "1970-01-01T12:00:00Z",
        " 1970-01-01T12:00:00.000 ",
        "1970-01-01T07:00:00-05:00",
        "1970-01-01T14:00:00+02",
    ],
)
def test_a_time_is_the_same_numbers_however_it_is_sent(raw):
    assert ISO.encode(raw) == NOON


def test_a_date_is_its_midnight():
    assert ISO.encode(date(2024, 12, 31)) == ISO.encode("2024-12-31") == (20088.0, 2024.0, 12.0, 31.0, 1.0, 366.0, 0.0)


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("%m/%d/%Y %H:%M", "6/1/1930 22:00"),
        ("%d.%m.%y|%m/%d/%Y %I:%M %p", "6/1/1930 10:00 PM"),
        ("%d %b %Y %H:%M", "1 Jun 1930 22:00"),
        ("%A, %B %d, %Y %Hh%M", "Sunday, June 1, 1930 22h00"),
        ("%e %L %Y %H:%M", "1. Juni 1930 22:00"),
        ("%e %L %Y %H:%M", "1er juin 1930 22:00"),
        ("%l, %e %L %Y %H:%M", "Domenica, 1 giu. 1930 22:00"),
        ("%l %e %L %Y %H:%M", "воскресенье 1 июня 1930 22:00"),
        ("%Y年%m月%d日 %H:%M", "1930年6月1日 22:00"),
        ("%N", "11110.9166666667"),
    ],
)
def test_a_time_is_read_in_the_format_of_its_field(form, text):
    assert Time(Field("at", "time", format=form)).encode(text) == ISO.encode("1930-06-01 22:00")


@pytest.mark.parametrize(
    ("form", "raw"),
    [
        ("%Y%m%d", 20240131),
        ("%Y%m%d", 20240131.0),
        ("%Y%m%d", "20240131"),
        ("%Y%m%d", "20240131.0"),
        ("%Y%m%d", np.int64(20240131)),
        ("%d.%m.%Y|%Y%m%d", 20240131),
        ("%Y%m%d%H%M", 202401310000),
        ("%G-W%V-%u", "2024-W05-3"),
        ("%s", 1706659200),
        ("%s", "1706659200"),
        ("%Q", 1706659200000.0),
    ],
)
def test_a_number_is_read_as_its_digits_where_there_is_a_format(form, raw):
    assert Time(Field("at", "time", format=form)).encode(raw) == ISO.encode("2024-01-31")


@pytest.mark.parametrize(
    ("form", "text", "day"),
    [
        ("%G-W%V", "2024-W05", "2024-01-29"),
        ("%G-W%V", "2020-W53", "2020-12-28"),
        ("%Y-Q%q", "2024-Q2", "2024-04-01"),
        ("Q%q %Y", "Q4 1999", "1999-10-01"),
    ],
)
def test_a_part_of_a_year_is_its_first_day(form, text, day):
    assert Time(Field("at", "time", format=form)).encode(text) == ISO.encode(day)


@pytest.mark.parametrize(
    ("form", "raw"),
    [
        ("%Y%m%d", 2024111),
        ("%Y%m%d", 20241301),
        ("%Y%m%d", True),
        ("%Y%m%d", math.inf),
        ("%Y%m%d", 20240131.5),
        ("%d.%m.%Y", 31),
        ("%G-W%V", "2023-W53"),
        ("%V", "05"),
        ("%Y-Q%q", "2024-Q5"),
    ],
)
def test_digits_that_are_no_time_are_refused(form, raw):
    with pytest.raises(BadValue, match="is not a time"):
        Time(Field("at", "time", format=form)).encode(raw)


def test_a_number_that_means_missing_is_missing():
    at = Time(Field("at", "time", format="%Y%m%d", missing=("0",)))
    assert all(np.isnan(at.encode(raw)).all() for raw in (0, 0.0, "0", "0.0", math.nan))


@pytest.mark.parametrize("raw", [None, "", " ", "NULL", math.nan, np.datetime64("NaT")])
def test_what_means_missing_is_nan_in_every_part(raw):
    assert np.isnan(ISO.encode(raw)).all()


@pytest.mark.parametrize(
    "raw",
    [
        "yesterday",
        "2024-13-01",
        "2023-02-29",
        "2024-01-01T25:00",
        5,
        2.5,
        True,
        [],
        "20240101",
        "2024-01-01T00:00:00+25:00",
        "2024-01-01T00:00:00+24:00",
        "2024-01-01T00:00:00-01:60",
    ],
)
def test_what_is_no_time_is_refused(raw):
    with pytest.raises(BadValue, match="is not a time"):
        ISO.encode(raw)


def test_a_zone_beyond_the_calendar_is_refused():
    with pytest.raises(BadValue, match="is not a time"):
        ISO.encode("0001-01-01T00:00:00+05:00")


@pytest.mark.parametrize("form", ["%K", "%Y %Y"])
def test_a_format_that_cannot_be_is_refused_at_once(form):
    with pytest.raises(BadValue, match="time format"):
        Time(Field("at", "time", format=form))


@given(st.lists(st.one_of(st.none(), st.datetimes(), st.dates(), st.datetimes().map(str), st.just("NULL"))))
def test_a_column_equals_its_values_one_by_one(values):
    column = ISO.column(values)
    assert column.shape == (len(values), 7)
    for value, row in zip(values, column, strict=True):
        assert np.array_equal(ISO.encode(value), row, equal_nan=True)


@given(st.datetimes(), st.integers(-14 * 60, 14 * 60))
def test_the_days_are_those_of_utc(moment, minutes):
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    try:
        utc = aware.astimezone(UTC).replace(tzinfo=None)
    except OverflowError:
        return
    assert ISO.encode(aware) == ISO.encode(utc) == ISO.encode(aware.isoformat())


def test_a_column_names_the_row_it_cannot_take():
    with pytest.raises(BadValue) as caught:
        ISO.column(["2024-01-01", "soon"])
    assert caught.value.row == 1


@pytest.mark.parametrize("values", [[], ["2024-01-01", None], ["2024-01-01 08:30", "2024-01-02 17:30:59"]])
def test_times_of_the_same_minute_have_no_table(values):
    field = Field("at", "time")
    fitted = Time.fit(field, values)
    assert (fitted.table(), fitted.width, Time.load(field, {}).width) == ({}, 7, 7)


def test_times_of_different_minutes_tell_their_minute():
    field = Field("at", "time")
    fitted = Time.fit(field, ["2024-01-01 08:30", "", "2024-01-02 17:45"])
    again = Time.load(field, fitted.table())

    for time in (fitted, again):
        assert time.encode("1970-01-01 12:45:30") == (*ISO.encode("1970-01-01 12:45:30"), 45.5)
        assert np.isnan(time.encode(None)).all()
        assert time.column(["1970-01-01 12:00", None]).shape == (2, 8) == (2, time.width)


@pytest.mark.parametrize(("rows", "step"), [(60_000, 10), (45_000, 15), (20_000, 30)])
def test_no_step_of_a_long_series_hides_its_minutes(rows, step):
    began = datetime(2024, 1, 1)
    series = [began + timedelta(minutes=step * row) for row in range(rows)]
    assert Time.fit(Field("at", "time"), series).table() == {"minute": True}


def test_which_of_many_rows_holds_no_time_is_told():
    with pytest.raises(BadValue) as caught:
        Time.fit(Field("at", "time"), ["2024-01-01"] * 30_000 + ["soon"] * 30_000)
    assert caught.value.row == 30_000


@pytest.mark.parametrize("table", [{"first": "2024"}, {"minute": False}, {"minute": 1}, {"minute": True, "hour": True}])
def test_a_table_of_a_time_that_nothing_wrote_is_damaged(table):
    with pytest.raises(Damaged):
        Time.load(Field("at", "time"), table)


@pytest.mark.parametrize("name", ["jui", "ma", "foo", "junk", "marzipan"])
def test_what_is_no_month_or_the_beginning_of_several_is_refused(name):
    with pytest.raises(BadValue):
        Time(Field("at", "time", format="%e %L %Y")).encode(f"1 {name} 1930")


def test_the_days_that_excel_counts_are_those_since_the_end_of_1899():
    column = Time(Field("at", "time", format="%N"))
    for number in (45_292, 45_292.0, "45292", "45292.0"):
        assert column.encode(number) == ISO.encode("2024-01-01")
    assert column.encode(45_292.75) == ISO.encode("2024-01-01 18:00")
