import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from aias.core.schema import Field, Schema
from aias.data.types.conform import conform
from aias.encoders.category import Category
from aias.encoders.number import Number

numbers = st.one_of(
    st.floats(allow_nan=False).map(repr),
    st.integers().map(str),
    st.from_regex(r"[+-]?[0-9]{1,40}\.[0-9]{0,40}([eE][+-]?[0-9]{1,3})?", fullmatch=True),
    st.sampled_from(["", " ", "?", " 7 ", "$3", "(4)"]),
)


@given(st.lists(numbers, min_size=1))
def test_a_number_in_training_is_the_number_that_serving_reads(texts):
    field = Field("a", "number", missing=("?",))
    trained = conform(pl.DataFrame({"a": texts}), Schema((field,)))["a"].fill_null(np.nan).to_numpy()
    assert np.array_equal(trained, Number(field).column(texts)[:, 0], equal_nan=True)


@given(st.lists(st.text(max_size=4) | st.sampled_from(["?", " ? ", "3.0", " red "]) | st.none(), min_size=1))
def test_a_category_in_training_is_the_category_that_serving_reads(texts):
    field = Field("a", "category", missing=("?",))
    trained = conform(pl.DataFrame({"a": pl.Series(texts, dtype=pl.String)}), Schema((field,)))["a"].to_list()
    encoder = Category.fit(field, trained)
    assert encoder.column(trained).tolist() == encoder.column(texts).tolist()


def test_numbers_that_are_none_are_missing_where_words_are_expected_too():
    """As in a column of a Parquet file that the model was not trained on."""
    frame = pl.DataFrame({"a": [1.0, float("nan"), 2.5, float("nan"), None]})
    for kind in ("category", "text"):
        assert conform(frame, Schema((Field("a", kind),)))["a"].to_list() == ["1", None, "2.5", None, None]
