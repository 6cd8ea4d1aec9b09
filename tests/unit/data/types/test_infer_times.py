import datetime as dt

import pytest

from aias.core.schema import Field, Schema
from aias.data.read import read
from aias.data.types import times_in_texts
from inferred import field_of, shuffled


def test_days_that_are_unknown_are_missing_days():
    field, dataset = field_of(["unknown" if i % 4 == 0 else f"2024-01-{i % 28 + 1:02}" for i in range(60)])
    assert (field.kind, dataset.frame["column"].null_count()) == ("time", 15)
    field, dataset = field_of(["unknown" if i % 4 == 0 else day for i, day in enumerate(DAYS)])
    assert (field.kind, field.missing, dataset.frame["column"].null_count()) == ("time", ("unknown",), 54)


@pytest.mark.parametrize(
    ("values", "form"),
    [
        (["2024-01-31", "2024-02-01", "2023-12-24"], None),
        (["2024-01-31 10:00:00", "2024-02-01 11:30:00", "2023-12-24 00:00:00"], None),
        (["6/1/1930 22:00", "6/30/1930 20:00", "2/15/1931 14:00"], "%m/%d/%Y %H:%M"),
        (["31/01/2024", "01/02/2024", "24/12/2023"], "%d/%m/%Y"),
        (["31.01.2024", "01.02.2024", "24.12.2023"], "%d.%m.%Y"),
        (["31 Jan 2024", "1 Feb 2024", "24 Dec 2023"], "%d %b %Y"),
        (["31-Jan-2024 10:30", "1-Feb-2024 23:05", "24-Dec-2023 0:00"], "%d-%b-%Y %H:%M"),
        (["Wednesday, 31 January 2024", "Thursday, 1 February 2024"], "%A, %d %B %Y"),
        (["2024-01", "2024-12", "1999-07"], "%Y-%m"),
        (["Jan 2024", "Dec 2023"], "%b %Y"),
        (["Jan-24", "Dec-23"], "%b-%y"),
        (["2024-W05", "2023-W52", "2024-W01"], "%G-W%V"),
        (["2024-W05-3", "2023-W52-1", "2024-W01-7"], "%G-W%V-%u"),
        (["2024-Q1", "2023-Q4", "2024-Q3"], "%Y-Q%q"),
        (["20240131T093000Z", "20231224T000000Z"], "%Y%m%dT%H%M%S%z"),
        (["31. März 2024", "1. Mai 2024", "24. Dezember 2023"], "%e %L %Y"),
        (["1er janvier 2024", "14 juillet 2024", "24 août 2023"], "%e %L %Y"),
        (["lundi 1 janvier 2024", "dimanche 14 juillet 2024"], "%l %e %L %Y"),
        (["31 de enero de 2024", "1 de diciembre de 2023"], "%e de %L de %Y"),
        (["31 gen 2024 10:30", "1 giu 2024 0:00", "24 ott 2023 9:15"], "%e %L %Y %H:%M"),
        (["31-mrt-2024", "1-mei-2024", "24-okt-2023"], "%e-%L-%Y"),
        (["fevereiro de 2024", "maio de 2023"], "%L de %Y"),
        (["March 3rd, 2024", "May 21st, 2024", "June 11th, 2023"], "%L %e, %Y"),
        (["2024年3月5日", "2023年12月24日"], "%Y年%m月%d日"),
        (["2024년 3월 5일", "2023년 12월 24일"], "%Y년 %m월 %d일"),
        (["2024. 3. 5.", "2023. 12. 24."], "%Y. %m. %d."),
        (["31 Jan 24", "1 Feb 24", "24 Dec 23"], "%d %b %y"),
    ],
)
def test_times_are_found_in_their_format(values, form):
    field, _ = field_of(values)
    assert (field.kind, field.format) == ("time", form)


def test_the_reason_names_every_way_in_which_times_are_written():
    field, _ = field_of(["2024-01-31", "01.02.2024", "24.12.2023", "2023-12-25"])
    assert field.reason == "every value is a time (ISO 8601 or %d.%m.%Y)"
    field, _ = field_of(["31.01.2024", "01.02.2024", "24.12.2023"])
    assert field.reason == "every value is a time (%d.%m.%Y)"


@pytest.mark.parametrize(
    "form", ["%y-%m-%d", "%d-%m-%y", "%m-%d-%y", "%y/%m/%d", "%d/%m/%y", "%m/%d/%y", "%d.%m.%y", "%y.%m.%d %H:%M"]
)
def test_of_two_digits_those_are_years_that_keep_the_days_together(form):
    days = [dt.datetime(2021, 3, 1) + dt.timedelta(i * 37 % 1_000) for i in range(90)]
    field, dataset = field_of([f"{day:{form}}" for day in days])
    assert (field.format, dataset.frame["column"].to_list()) == (form, days)


def test_one_odd_value_among_few_different_days_is_missing_and_told():
    days = [f"2024-01-{i % 28 + 1:02}" for i in range(299)]
    field, dataset = field_of(["2016-12-31T23:59:60Z", *days])
    assert (field.kind, field.format, dataset.frame["column"].null_count()) == ("time", None, 1)
    assert any("1 value is no time" in note.message for note in dataset.notes)


def test_few_numbers_of_two_digits_each_are_codes():
    assert field_of(["10-10-20", "05-10-10", "12-12-12"] * 9)[0].kind == "category"
    assert field_of([f"{i % 28 + 20}-{i % 17 + 1:02}-{i % 60:02}" for i in range(90)])[0].kind == "category"


def test_a_date_that_can_be_read_two_ways_says_so():
    assert "other way round" in field_of(["01/02/2024", "03/04/2024", "05/06/2024"])[0].reason


DAYS = [f"2024{month:02}{day:02}" for month in range(1, 9) for day in range(1, 28)]


@pytest.mark.parametrize(
    ("name", "values", "form"),
    [
        ("x", DAYS, "%Y%m%d"),
        ("x", [int(day) for day in DAYS], "%Y%m%d"),
        ("x", [f"{day}.0" for day in DAYS], "%Y%m%d"),
        ("orderDate", DAYS[:3], "%Y%m%d"),
        ("x", [f"{day}093000" for day in DAYS], "%Y%m%d%H%M%S"),
        ("month", ["202401", "202402", "202312"] * 5, "%Y%m"),
        ("created_at", [990_000_000 + i * 997 * 1000 for i in range(90)], "%s"),
        ("timestamp", [f"{1_700_000_000_123 + i * 997}" for i in range(90)], "%Q"),
        ("Order Date", [45_292 + i * 7 for i in range(90)], "%N"),
    ],
)
def test_whole_numbers_that_spell_times_are_times_and_may_be_declared_numbers(name, values, form):
    field, dataset = field_of(shuffled(values), name)
    assert (field.kind, field.format, field.role) == ("time", form, "input")
    assert "set its kind to number" in field.reason
    again = read({name: values, "other": values}, schema=Schema((Field(name, "number"),)))
    assert again.values(name)[0] == float(values[0])
    assert dataset.frame[name].null_count() == 0


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("amount", ["20240131", "20240201", "20231224"] * 5),
        ("amount", [20_240_000 + i for i in range(1, 90)]),
        ("amount", [20_240_100 + i for i in range(1, 29)]),
        ("amount", [202_401 + i for i in range(12)] * 3),
        ("amount", [1_700_000_000 + i * 997 for i in range(90)]),
        ("timestamp", [17_000 + i * 997 for i in range(90)]),
        ("date", [2_024_0131.5 + i for i in range(20)]),
        ("year", [2020, 2021, 2024] * 5),
        ("amount", [45_292 + i * 7 for i in range(90)]),
        ("days", [45_292 + i * 7 for i in range(90)]),
        ("date", [5_292 + i * 7 for i in range(90)]),
    ],
)
def test_other_whole_numbers_stay_numbers(name, values):
    assert field_of(shuffled(values), name)[0].kind == "number"


def test_a_target_in_digits_stays_an_amount():
    assert read({"x": list(range(len(DAYS))), "date": DAYS}, target="date").schema["date"].kind == "number"


def test_days_that_are_not_known_are_missing_in_digits_too():
    field, dataset = field_of([0 if i % 5 == 0 else int(day) for i, day in enumerate(DAYS)], "due")
    assert (field.kind, field.missing) == ("time", ("0",))
    assert dataset.frame["due"].null_count() == len(DAYS[::5])
    assert dataset.frame["due"][1].isoformat() == "2024-01-02T00:00:00"
    odd = [*DAYS, *DAYS, "20241399"]
    field, dataset = field_of(odd, "due")
    assert (field.missing, dataset.frame["due"].null_count()) == (("20241399",), 1)
    assert any("1 value is no time" in note.message for note in dataset.notes)


def test_codes_are_told_from_times_by_the_first_few_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    read_one, tried = times_in_texts.read_time, []
    monkeypatch.setattr(times_in_texts, "read_time", lambda *each: tried.append(each) or read_one(*each))
    codes = [f"Name{i} Sur{j}" for i in range(12) for j in range(12)]
    field, _ = field_of(codes)
    assert field.kind != "time"
    assert len(tried) < 3_000  # of 144 codes and some 220 formats
