"""A raw column and its field → the column as a dataset keeps it: one type for each kind.

number → Float64 · category, text → String · time → Date or Datetime. What means "missing" becomes null.
The words are the encoders' own, so that training sees what serving will.
"""

import polars as pl

from aias.core.errors import BadValue
from aias.core.schema import Field, Schema
from aias.encoders.category import text_of
from aias.encoders.number import PLAIN, Number
from aias.encoders.time import Time

_PLAIN = f"^(?:{PLAIN.pattern})$"


def conform(frame: pl.DataFrame, schema: Schema) -> pl.DataFrame:
    """Every field of `schema`, in its order. Raises `BadValue` with field and row on what a field cannot take."""
    return pl.DataFrame([conform_column(frame[field.name], field) for field in schema], height=frame.height)


def is_plain(column: pl.Series) -> pl.Series:
    """Which texts Polars and the number encoder read alike, without cleaning."""
    return column.str.contains(_PLAIN)


def conform_column(column: pl.Series, field: Field) -> pl.Series:
    """One of them."""
    column = column.alias("")  # a column's own name could be a pattern to Polars
    try:
        if field.kind == "number":
            return _number(column, field).alias(field.name)
        if field.kind == "time":
            return _time(column, field).alias(field.name)
        return _text(column, field).alias(field.name)
    except BadValue as bad:
        raise bad.at(field=field.name, row=bad.row) from None


def _number(column: pl.Series, field: Field) -> pl.Series:
    if column.dtype == pl.Float64:
        return column.fill_nan(None)
    if isinstance(column.dtype, pl.Boolean):
        return column.cast(pl.Float64)
    texts = _bare(column, field)
    if field.format is None and bool(is_plain(texts).fill_null(value=True).all()):
        return texts.cast(pl.Float64)
    values = Number(field).column(column.to_list())[:, 0]
    return pl.Series(field.name, values).fill_nan(None)


def _time(column: pl.Series, field: Field) -> pl.Series:
    if isinstance(column.dtype, pl.Date | pl.Datetime):
        return column
    return pl.Series("", Time(field).moments(column.to_list()), pl.Datetime("us"))


def _text(column: pl.Series, field: Field) -> pl.Series:
    if isinstance(column.dtype, pl.String | pl.Categorical | pl.Enum):
        texts = column.cast(pl.String)
        if field.kind == "text":
            bare = texts.str.strip_chars()
            gone = (bare == "") | bare.is_in(list(field.missing))
            return _null_where(texts, gone)
        return _bare(texts, field)
    column = column.fill_nan(None) if column.dtype.is_float() else column  # no NaN is found again by another
    missing = frozenset(field.missing) | {""}
    memo = {value: text_of(value) for value in column.unique().to_list() if value is not None}
    texts = pl.Series(field.name, [None if value is None else memo[value] for value in column.to_list()], pl.String)
    return _null_where(texts, texts.is_in(list(missing)))


def _bare(column: pl.Series, field: Field) -> pl.Series:
    """Stripped texts, null where they spell "missing"."""
    texts = column.cast(pl.String).str.strip_chars()
    gone = texts.is_in(["", *field.missing])
    return _null_where(texts, gone)


def _null_where(texts: pl.Series, gone: pl.Series) -> pl.Series:
    return texts.set(gone.fill_null(value=False), None)
