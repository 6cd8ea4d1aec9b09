import hashlib

import numpy as np
import polars as pl
import pytest

from aias.data.read import read
from aias.data.target import task_for
from aias.data.types.infer import infer
from inferred import field_of, shuffled

WIDE = {ord("0") + digit: 0xFF10 + digit for digit in range(10)}
ARABIC = {ord("0") + digit: 0x0660 + digit for digit in range(10)}
SEED = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("texts", "numbers", "unit"),
    [
        (["$2.39 ", "$1,200.50", "($3)"], [2.39, 1200.5, -3.0], "$"),
        (["12 %", "7%", "0.5 %"], [12.0, 7.0, 0.5], "%"),
        (["12 kg", "7 kg", "0.5 kg"], [12.0, 7.0, 0.5], "kg"),
        (["1.200,50", "3,5", "7"], [1200.5, 3.5, 7.0], None),
        (["1,200", "35", "-7"], [1200.0, 35.0, -7.0], None),
        (["kr 1,200.50", "kr 7", "-kr 3"], [1200.5, 7.0, -3.0], "kr"),
        (["Rs. 500", "Rs.1,200", "Rs. 7.5"], [500.0, 1200.0, 7.5], "Rs."),
        (["817.44 zł", "3 zł", "0.5 zł"], [817.44, 3.0, 0.5], "zł"),
        (["R$ 1.769,55", "R$ 3,5", "R$ 7"], [1769.55, 3.5, 7.0], "R$"),
        (["US$1,200", "US$35", "-US$7"], [1200.0, 35.0, -7.0], "US$"),
    ],
)
def test_numbers_in_texts_are_numbers(texts, numbers, unit):
    field, dataset = field_of(texts)
    assert (field.kind, field.unit) == ("number", unit)
    assert dataset.values("column").tolist() == numbers


@pytest.mark.parametrize(
    ("texts", "form", "first"),
    [
        ([f"{i * 977 % 400 + 1}'{i:03}.5" for i in range(40)], "spaced", 1000.5),
        ([f"{i * 977 % 400 + 1}\u202f{i:03},50 €" for i in range(40)], "spaced-comma", 1000.5),
        ([*(f"{i} {i:03}" for i in range(1, 40)), "7", "12"], "spaced", 1001),
        ([f"{i + 1},{i % 90 + 10},500" for i in range(90)], "lakh", 110500),
        ([f"{i % 24}:{i % 60:02}" for i in range(90)], "clock", 0),
        ([f"{i % 12 + 1}:{i % 60:02} PM" for i in range(90)], "clock", 13),
        ([f"{i + 1}:{i % 60:02}:00" for i in range(90)], "duration", 1),
        ([f"{i} days 0{i % 10}:30:00" for i in range(90)], "duration", 0.5),
        (["PT36H", "P1DT2H", "PT45M"] * 9, "duration", 36),
        ([*("2h 30m", "5h", "19h 5m") * 9, "45m"], "duration", 2.5),
        ([*(f"{i % 60}:{i % 59:02}" for i in range(90)), "1:02:30"], "stopwatch", 0),
        (["€1.2M", "€350K", "€0", "€7M"] * 9, "magnitude", 1.2e6),
        (["1.2M", "350k", "3.4B"] * 9, "magnitude", 1.2e6),
        (["12.5k", "7k", "110k"] * 9, "magnitude", 12500),
        (["$3.5 million", "$12 million", "$1.1 billion"] * 9, "magnitude", 3.5e6),
        (["1.2万", "5600", "3万", "1.1亿"] * 9, "magnitude", 12000),
        ([f"{i % 40 + 1}".translate(WIDE) for i in range(90)], "other-digits", 1),
        ([f"{i % 40 + 1}".translate(ARABIC) for i in range(90)], "other-digits", 1),
        ([f"{i + 1},5 m²" for i in range(90)], "decimal-comma", 1.5),
        ([f"{i * 7 % 40 + 1} kWh/100km" for i in range(90)], None, 1),
        ([f"{i * 7 % 40 + 1} sq ft" for i in range(90)], None, 1),
        ([f"{i * 7 % 40 + 1}°" for i in range(90)], None, 1),
        ([f"{i + 1}.5 ‰" for i in range(90)], None, 1.5),
    ],
)
def test_numbers_and_times_of_day_in_other_spellings_are_no_identifiers(texts, form, first):
    field, dataset = field_of(texts)
    assert (field.kind, field.format, field.role) == ("number", form, "input")
    assert dataset.values("column")[0] == first


@pytest.mark.parametrize(
    "texts",
    [
        [f"{i % 9 + 1}{i % 7}{i % 5} {i * 37 % 900 + 100} {i % 7}{i % 8}{i % 9}" for i in range(90)],
        [f"{i * 37 % 900 + 100} {i * 7 % 90 + 10}" for i in range(90)],
        [f"{i % 9 + 8}:30" for i in range(90)],
        ["20:15", "19:00", "n. V."] * 30,
        ["1B", "2B", "3B", "12B"] * 9,
        ["9.5B", "10B", "8T"] * 9 + ["9D"] * 3,
        ["4G", "5G", "3G", "4G"] * 9,
        ["5K", "10K", "42K", "21K Run"] * 9,
        ["2d", "1h", "3s", "9d"] * 9,
        ["3M", "12M", "6M", "1Y"] * 9,
        ["2 rooms", "1 day 2", "PT Cruiser"] * 9,
        [f"{i}A" for i in range(90)],
        [f"{i} {('Main', 'High')[i % 2]} Street" for i in range(90)],
        [f"{i} of many words" for i in range(90)],
    ],
)
def test_telephone_numbers_codes_and_slots_are_no_amounts(texts):
    assert field_of(texts)[0].kind != "number"


@pytest.mark.parametrize("letter", ["C", "m", "g", "l"])
def test_a_letter_before_the_digits_makes_a_name_and_no_amount_with_a_unit(letter):
    names = [f"{letter}{i % 30}" for i in range(90)]
    field, _ = field_of(names)
    assert field.kind == "category"
    labels = task_for(read({"x": list(range(90)), "y": names}, target="y"), "y", None)
    assert labels.task.type == "multiclass" and len(labels.task.classes) == 30


@pytest.mark.parametrize("spelling", ["?", "NULL", "NA", "N/A", "nan", "None", "-"])
def test_what_spells_missing_is_missing_and_kept_in_the_schema(spelling):
    field, dataset = field_of(["1", spelling, "3", "2", "2"])
    assert (field.kind, field.missing) == ("number", (spelling,))
    assert np.isnan(dataset.values("column")).tolist() == [False, True, False, False, False]


def test_blanks_are_missing_without_a_spelling():
    field, dataset = field_of(["1.5", " ", "", "2", "2"])
    assert (field.kind, field.missing) == ("number", ())
    assert dataset.frame["column"].null_count() == 2


@pytest.mark.parametrize("word", ["unknown", "N.A.", "Missing", "k.A.", "..", "–", "#DIV/0!", "неизвестно", "(blank)"])
def test_a_word_for_no_value_among_numbers_is_missing_however_often_and_a_word_among_words(word):
    numbers = [word if i % 3 == 0 else str(i * 37 % 101) for i in range(60)]
    field, dataset = field_of(numbers)
    assert (field.kind, field.missing) == ("number", (word,))
    assert (dataset.frame["column"].null_count(), "20 rows say" in field.reason) == (20, True)
    field, dataset = field_of([word if i % 3 == 0 else "Oslo" for i in range(60)])
    assert (field.kind, field.missing, dataset.frame["column"].null_count()) == ("category", (), 0)


def test_unknown_may_be_a_label_beside_numbers_in_a_target():
    grades = ["unknown", "1", "2", "3"] * 10
    assert read({"x": list(range(40)), "y": grades}, target="y").schema["y"].kind == "category"


def test_a_few_odd_values_among_many_numbers_are_reported_and_read_as_missing():
    values = [str(i * 37 % 101) for i in range(600)]
    values[17] = "unknown"
    field, dataset = field_of(values)
    assert (field.kind, field.missing) == ("number", ("unknown",))
    assert any(
        "1 value is no number and is read" in note.message and "'unknown'" in note.message for note in dataset.notes
    )


def test_many_odd_values_make_a_category():
    field, _ = field_of(["1", "2", "low", "high"] * 50)
    assert field.kind == "category"


def test_codes_of_a_few_rows_each_are_numbers_for_their_order_tells_more():
    codes = [f"{i * 7919 % 99_990:05}" for i in range(900)]
    field, dataset = field_of(codes)
    assert field.kind == "number"
    assert "900 different ones in 900 rows" in field.reason
    assert dataset.values("column").tolist() == [float(code) for code in codes]
    assert field_of([*codes[:300], *codes[:300], *codes[:300], *codes[:300], *codes[:300]])[0].kind == "category"
    assert field_of([*codes, "?"])[0].kind == "number"


def test_amounts_in_several_units_are_told_of() -> None:
    weights = [f"{i}.5 kg" if i % 3 else f"{i * 100} g" for i in range(1, 41)]
    streets = [f"{i} {'ABCDEFGH'[i % 8]}-Street" for i in range(60)]
    frame = pl.DataFrame({"weight": weights * 3, "street": streets * 2, "y": [0.0, 1.0] * 60})
    _, _, notes = infer(frame, target="y")
    (note,) = [each for each in notes if each.name == "data.units"]
    assert note.facts == {"column": "weight", "units": ["kg", "g"]}
    assert "bring them to one" in note.message


def test_units_are_known_without_a_space_and_letters_of_codes_are_none() -> None:
    weights = [f"{i}kg" if i % 3 else f"{2 * i}lbs" for i in range(1, 41)]
    seats = [f"{i}{'BC'[i % 2]}" for i in range(40)]
    _, _, notes = infer(pl.DataFrame({"weight": weights, "seat": seats}))
    assert [each.facts["units"] for each in notes if each.name == "data.units"] == [["kg", "lbs"]]


def test_a_zero_before_a_comma_is_no_thousand():
    field, dataset = field_of([f"{i / 1000:.3f}".replace(".", ",") for i in range(0, 4000, 37)])
    assert (field.kind, field.format) == ("number", "decimal-comma")
    assert dataset.values("column").tolist()[:3] == [0.0, 0.037, 0.074]
    assert field_of([f"{i},{i + 100}" for i in range(1, 90)])[1].values("column")[0] == 1101


def test_a_minus_may_follow_its_amount():
    english = [f"1,{100 + i}.50{'-' * (i % 3 == 0)}" for i in range(100)]
    for values in (english, [each.translate(str.maketrans(",.", ".,")) for each in english]):
        field, dataset = field_of(values)
        assert field.kind == "number"
        assert dataset.values("column").tolist()[:2] == [-1100.5, 1101.5]


def test_codes_with_leading_zeros_are_no_numbers():
    field, dataset = field_of(["02134", "10001", "02139", "94110"] * 10)
    assert field.kind == "category"
    assert dataset.frame["column"][0] == "02134"


def test_few_whole_numbers_stay_numbers():
    assert field_of([1, 2, 3] * 30)[0].kind == "number"


@pytest.mark.parametrize(
    ("name", "values", "why"),
    [
        ("rownames", list(range(1, 31)), "a row number"),
        ("anything", list(range(30)), "a row number"),
        ("passenger_id", shuffled(list(range(100, 130))), "like an identifier"),
        ("customerID", [f"{i * 7919:05}-AB" for i in range(30)], "like an identifier"),
        ("constant", [7.0] * 30, "the same value in every row"),
        ("empty", [None] * 30, "empty"),
        ("blank", [" "] * 30, "empty"),
    ],
)
def test_a_column_that_cannot_help_is_ignored_with_its_reason(name, values, why):
    field, dataset = field_of(values, name)
    assert field.role == "ignored"
    assert why in field.reason
    assert any(name in note.message and why in note.message for note in dataset.notes)


@pytest.mark.parametrize(
    "values",
    [
        [f"{kind}-{'abcdefgh'[i % 8]}{i}" for i, kind in enumerate(["python3", "golang", "haskell", "perl"] * 15)],
        [f"name{i}@{host}.org" for i, host in enumerate(["alpha", "beta", "gamma"] * 20)],
        [f"/srv/{part}/page_{i}.html" for i, part in enumerate(["news", "shop", "forum"] * 20)],
    ],
)
def test_names_of_words_that_come_again_are_texts(values):
    field, _ = field_of(values, "name")
    assert (field.kind, field.role) == ("text", "input")


@pytest.mark.parametrize("rows", [30, 100, 400, 2_000])
def test_random_codes_are_identifiers(rows):
    field, _ = field_of([hashlib.sha256(str(i).encode()).hexdigest() for i in range(rows)], "code")
    assert field.role == "ignored"


def test_a_copy_of_a_column_is_ignored_and_the_first_kept():
    values = [f"k{i * i % 11}" for i in range(30)]
    dataset = read({"first": values, "again": list(values), "number": [i * i % 7 for i in range(30)]})
    assert [field.role for field in dataset.schema] == ["input", "ignored", "input"]
    assert "same values as `first`" in dataset.schema["again"].reason


def test_the_only_column_left_is_used_although_it_numbers_the_rows():
    dataset = read({"x": list(range(30)), "y": [i * 2.5 for i in range(30)]}, target="y")
    assert dataset.schema["x"].role == "input"
    assert "nothing else is left" in dataset.schema["x"].reason


def test_sentences_are_text_and_short_repeated_texts_are_categories():
    sentences = [f"the {i}th of many different sentences" for i in range(40)]
    dataset = read(
        {
            "remark": sentences,
            "city": ["Oslo", "Rome"] * 20,
            "review": ["酒店的房间很干净但是" + str(i) for i in range(40)],
        }
    )
    assert [field.kind for field in dataset.schema] == ["text", "category", "text"]


def test_a_text_keeps_its_spaces():
    assert (
        read({"a": [f"  two  spaces here {i}" for i in range(30)], "b": ["x", "y"] * 15})
        .frame["a"][0]
        .startswith("  two  ")
    )


def test_typed_columns_keep_their_types():
    dataset = read(
        pl.DataFrame(
            {
                "flag": [True, False, None] * 10,
                "level": pl.Series(["1", "2", "3"] * 10, dtype=pl.Categorical),
                "at": [None, *pl.datetime_range(pl.datetime(2024, 1, 1), pl.datetime(2024, 1, 29), "1d", eager=True)],
                "small": pl.Series([1, 2, 2] * 10, dtype=pl.Int8),
            }
        )
    )
    assert [field.kind for field in dataset.schema] == ["category", "category", "time", "number"]
    assert dataset.frame["flag"][0] == "true"


def test_a_target_may_be_called_none():
    dataset = read({"x": [i * i % 13 for i in range(30)], "y": ["none", "mild", "?"] * 10}, target="y")
    assert dataset.schema["y"].missing == ("?",)
    assert set(dataset.frame["y"].drop_nulls()) == {"none", "mild"}


def test_every_field_has_a_reason_and_an_example():
    dataset = read({"x": [1.5, 2.0, 7.25] * 10, "y": ["a", "b", "b"] * 10})
    assert all(field.reason for field in dataset.schema)
    assert [field.example for field in dataset.schema] == [1.5, "a"]
    assert dataset.schema["y"].categories == ("b", "a")


def test_infinity_is_no_example():
    dataset = read({"x": [float("inf"), 1.5, float("-inf"), *range(27)], "y": ["a", "b", "b"] * 10})
    assert dataset.schema["x"].example == 1.5


def test_short_titles_that_are_all_different_are_read_by_their_words():
    field = field_of([f"{('good', 'bad')[i % 2]} shirt{i}" for i in range(60)])[0]
    assert (field.kind, field.role) == ("text", "input")
    assert field_of([f"user{i * 7919}" for i in range(60)])[0].role == "ignored"


def test_a_word_behind_every_number_is_a_unit_but_of_a_target_a_label():
    rows = {"x": [f"{i % 5} doors" for i in range(90)], "y": [f"{i % 3} dwarfs" for i in range(90)]}
    schema = read(rows, target="y").schema
    assert [(field.kind, field.unit) for field in schema] == [("number", "doors"), ("category", None)]


@pytest.mark.parametrize(
    ("values", "first"),
    [
        (["10,000+", *(f"{i},000" for i in range(1, 9))], 10_000),
        ([f"{1 + i % 24},000+" for i in range(90)], 1_000),
        (["<0.5", *(f"{i}.5" for i in range(9))], 0.5),
        (["3-5", *"12345678"], 4),
        (["$3 to $5", *(f"${i}" for i in range(9))], 4),
        ([">= 3", "~100", "k.A.", *map(str, range(30))], 3),
    ],
)
def test_bounds_and_ranges_among_amounts_are_amounts_and_told(values, first):
    field, dataset = field_of(values)
    assert (field.kind, field.format, dataset.frame["column"][0]) == ("number", "approximate", first)
    assert f"'{values[0]}' is taken for {first:g}" in field.reason


@pytest.mark.parametrize(
    "values",
    [
        ["18-24", "25-34", "35-49", "50+"] * 9,
        ["0", "1+", "2+", "3+"] * 9,
        ["1", "2+"] * 20,
        [f"{i % 40 + 100}-{i:04}" for i in range(90)],
        [f"{i % 5}-{i % 3}" for i in range(90)],
        [f"{i:02}-{i + 5:02}" if i % 3 else str(i) for i in range(90)],
        [*(f"{i:04}" for i in range(90)), "70-3103"],
    ],
)
def test_groups_codes_and_scores_are_no_amounts(values):
    assert field_of(values)[0].kind == "category"


def test_bounds_in_a_target_are_labels():
    assert read({"x": list(range(60)), "y": ["1", "2", "3+"] * 20}, target="y").schema["y"].kind == "category"


def test_of_many_ignored_columns_the_rest_is_counted():
    dataset = read({"x": [1.5, 2, 4, 3, 9] * 4, **{f"same{i}": [1] * 20 for i in range(60)}})
    told = [note.message for note in dataset.notes if note.name == "data.ignored"]
    assert (len(told), told[-1]) == (51, "10 more columns are ignored; `aias data check` shows why")


def test_emoji_are_words_and_few_reactions_are_categories() -> None:
    rng = np.random.default_rng(0)
    several = ["".join(rng.choice(list("😀😍👍🎉❤😡👎💩😭😢"), 5)) for _ in range(200)]
    one = rng.choice(["👍", "👎", "❤️"], 200).tolist()
    schema = read({"several": several, "one": one, "y": [0, 1] * 100}, target="y").schema
    assert (schema["several"].kind, schema["several"].role) == ("text", "input")
    assert schema["one"].kind == "category"


@pytest.mark.parametrize(("every", "told"), [(2, "50% numbers among words such as 'red'"), (9, "89% numbers")])
def test_amounts_among_too_many_words_are_told_of(every: int, told: str) -> None:
    rng = np.random.default_rng(0)
    mixed = ["red" if i % every == 0 else f"{x:.4f}" for i, x in enumerate(rng.normal(size=300))]
    codes = ["V45" if i % 2 else f"{250 + x:.1f}" for i, x in enumerate(rng.integers(0, 9, 300))]
    notes = read({"mixed": mixed, "codes": codes, "y": [0, 1] * 150}, target="y").notes
    assert [note.name for note in notes if note.level == "warning"] == ["data.mixed"]
    assert told in notes[0].message


def test_codes_and_numbers_of_tickets_are_no_amounts_among_words() -> None:
    codes = [f"{i * 7919 % 100:03d}" if i % 3 else f"V{i % 7}" for i in range(300)]
    tickets = [f"{100_000 + i * 7919 % 90_001}" if i % 4 else f"A/5 {i * 31}" for i in range(300)]
    notes = read({"codes": codes, "tickets": tickets, "y": [0, 1] * 150}, target="y").notes
    assert not [note for note in notes if note.level == "warning"]
