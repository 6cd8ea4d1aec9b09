import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aias.core.errors import BadValue, Damaged
from aias.core.limits import CATEGORIES_MAX
from aias.core.schema import Field
from aias.encoders.category import Category

FIELD = Field("colour", "category", missing=("?",))
COLOURS = Category.fit(FIELD, ["red", "blue", "red", "?", None, "", "3", "3", "3"])


def test_codes_go_by_frequency_then_text():
    assert Category.fit(FIELD, ["b", "a", "c", "c"]).categories == ("c", "a", "b")


@pytest.mark.parametrize(
    ("raw", "code"),
    [("3", 2.0), (3, 2.0), (3.0, 2.0), ("3.0", 2.0), (np.int64(3), 2.0), ("red", 3.0), (" red ", 3.0), ("blue", 4.0)],
)
def test_a_known_category_has_its_code_however_it_is_sent(raw, code):
    assert COLOURS.encode(raw) == code


@pytest.mark.parametrize("raw", [None, "", "  ", "?", " ? ", math.nan])
def test_what_means_missing_is_0(raw):
    assert COLOURS.encode(raw) == 0.0


@pytest.mark.parametrize("raw", ["green", "Red", 4, True, 10**20, "\ud800"])
def test_what_was_not_seen_is_1(raw):
    assert COLOURS.encode(raw) == 1.0


@pytest.mark.parametrize("spelling", ["true", "True", "TRUE"])
def test_a_boolean_is_the_category_that_the_file_spelt(spelling):
    flags = Category.fit(FIELD, [spelling, spelling, "no"])
    assert flags.encode(True) == 2.0
    assert flags.encode(False) == 1.0
    for other in ("true", "True", "TRUE"):  # of a file or a frame that writes it otherwise
        assert flags.encode(other) == 2.0 and flags.column([other]).tolist() == [[2.0]]


def test_what_was_seen_once_in_many_rows_is_rare():
    seen = Category.fit(FIELD, ["common"] * 99 + ["once"])
    assert seen.encode("once") == seen.encode("never") == 1.0


def test_the_rarest_beyond_the_limit_share_a_code():
    values = [f"{i:05}" for i in range(CATEGORIES_MAX + 5) for _ in range(2)]
    assert len(Category.fit(FIELD, values).categories) == CATEGORIES_MAX


@pytest.mark.parametrize("raw", [["red"], {"a": 1}, pytest.param(10**5000, id="huge")])
def test_what_is_no_category_is_refused(raw):
    with pytest.raises(BadValue, match="is not a category"):
        COLOURS.encode(raw)
    with pytest.raises(BadValue) as caught:
        COLOURS.column(["red", raw])
    assert caught.value.row == 1


raw_values = st.one_of(
    st.none(), st.floats(), st.integers(), st.booleans(), st.sampled_from(["red", " blue", "?", "3.0", "x"]), st.text()
)


@given(st.lists(raw_values))
def test_a_column_equals_its_values_one_by_one(values):
    column = COLOURS.column(values)
    assert column.shape == (len(values), 1)
    assert column[:, 0].tolist() == [COLOURS.encode(value) for value in values]


@given(st.lists(raw_values))
def test_a_table_survives_json(values):
    fitted = Category.fit(FIELD, values)
    again = Category.load(FIELD, json.loads(json.dumps(fitted.table())))
    assert [again.encode(value) for value in values] == [fitted.encode(value) for value in values]


@pytest.mark.parametrize("table", [{}, {"categories": "red"}, {"categories": [1]}, {"categories": ["a", "a"]}])
def test_a_foreign_table_is_damaged(table):
    with pytest.raises(Damaged, match="colour"):
        Category.load(FIELD, table)
