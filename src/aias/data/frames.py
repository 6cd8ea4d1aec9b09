"""pandas, Polars, PyArrow, NumPy, dicts → a raw table, with neither pandas nor PyArrow installed."""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from aias.core.events import Event
from aias.data.errors import Unreadable
from aias.data.readers.contract import Table, noted
from aias.data.types.columns import columns_of, from_rows, series, side_by_side, simplified

_WANTED = "give a path, a pandas, Polars or Arrow table, a dict of columns, a list of dicts, or a 2-d array"


def table_of(source: object) -> Table:
    """The raw table of an object in memory. Raises `Unreadable` on what is no table."""
    try:
        return _table(source)
    except UnicodeEncodeError as fault:
        raise Unreadable(f"a text or name is not Unicode: {fault}", hint="it was cut within a character") from None
    except pl.exceptions.PolarsError as fault:
        raise Unreadable(f"a {type(source).__name__} is not a table: {fault}", hint=_WANTED) from None


def _table(source: object) -> Table:
    if isinstance(source, pl.LazyFrame):
        source = source.collect()
    if isinstance(source, pl.DataFrame):
        return Table(*simplified(source))
    if isinstance(source, np.ndarray):
        return Table(*simplified(_matrix(source)))
    if isinstance(source, Mapping):
        return Table(*simplified(_columns(source)))
    if isinstance(source, Sequence) and not isinstance(source, str | bytes):
        if not all(isinstance(row, Mapping) for row in source):
            raise Unreadable("a list of rows must hold dicts", hint=_WANTED)
        return Table(*simplified(from_rows(source)))
    if hasattr(source, "to_frame"):
        raise Unreadable(
            f"a {type(source).__name__} is not a table", hint="a column is `.to_frame()`, a row `[row.to_dict()]`"
        )
    foreign = _foreign(source)
    if foreign is None:
        raise Unreadable(f"a {type(source).__name__} is not a table", hint=_WANTED)
    frame, notes = simplified(foreign)
    return Table(frame, (*_index_note(source), *notes))


def _matrix(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> pl.DataFrame:
    if array.ndim != 2:
        raise Unreadable(f"an array of {array.ndim} dimensions is not a table", hint="give rows × columns")
    names = [f"x{place}" for place in range(array.shape[1])]
    if array.dtype.kind in "fiub":
        return pl.DataFrame([pl.Series(name, array[:, place]) for place, name in enumerate(names)])
    return pl.DataFrame([series(name, array[:, place].tolist()) for place, name in enumerate(names)])


def _columns(source: Mapping[object, object]) -> pl.DataFrame:
    columns: list[pl.Series] = []
    for name, values in source.items():
        if isinstance(values, str) or not hasattr(values, "__len__") or not hasattr(values, "__iter__"):
            raise Unreadable(
                f"the column `{name}` is of type {type(values).__name__}, not a list",
                hint="one row is a list of one dict",
            )
        columns += _columns_of(str(name), values)
    lengths = {column.name: len(column) for column in columns}
    if len(set(lengths.values())) > 1:
        raise Unreadable(f"the columns have different lengths: {lengths}", hint="give each a value for every row")
    return side_by_side(columns)


def _columns_of(name: str, values: object) -> list[pl.Series]:
    if isinstance(values, pl.Series):
        return [values.alias(name)]
    if isinstance(values, np.ndarray):
        return [pl.Series(name, values)] if values.dtype.kind in "fiubM" else columns_of(name, values.tolist())
    assert hasattr(values, "__iter__")
    return columns_of(name, [_plain(value) for value in values])


def _plain(value: object) -> object:
    """NumPy's scalars as Python's, and every kind of "not a value" as None."""
    value = value.item() if isinstance(value, np.generic) else value
    try:
        return None if value is not None and bool(value != value) else value
    except (TypeError, ValueError):  # pandas.NA refuses to be a bool
        return None if type(value).__name__ == "NAType" else value


def _foreign(source: object) -> pl.DataFrame | None:
    import narwhals as nw

    try:
        frame = nw.from_native(source, eager_only=True, pass_through=True)
    except ValueError as fault:  # duplicate names in pandas
        raise Unreadable(f"the table cannot be taken: {fault}", hint="give every column its own name") from None
    if isinstance(frame, nw.DataFrame) and not frame.implementation.is_pyarrow():
        found = [_foreign_columns(str(name), frame, i) for i, name in enumerate(frame.columns)]
        return side_by_side([column for columns in found for column in columns])
    if hasattr(source, "__arrow_c_stream__"):
        return pl.DataFrame(source)
    return None


def _foreign_columns(name: str, frame: object, place: int) -> list[pl.Series]:
    import narwhals as nw

    assert isinstance(frame, nw.DataFrame)
    column = frame[:, place]  # by place: pandas also takes numbers as names
    if column.dtype.is_numeric() or column.dtype == nw.Boolean:
        values = column.to_numpy()
        if values.dtype.kind in "fiub":
            return [pl.Series(name, values).fill_nan(None) if values.dtype.kind == "f" else pl.Series(name, values)]
    plain = columns_of(name, [_plain(value) for value in column.to_list()])
    if column.dtype in {nw.Categorical, nw.Enum}:
        return [each.cast(pl.Categorical) if each.dtype == pl.String else each for each in plain]
    return plain


def _index_note(source: object) -> tuple[Event, ...]:
    name = getattr(getattr(source, "index", None), "name", None)
    if name is None:
        return ()
    message = f"the index `{name}` is not a column and was not read; call reset_index() to use it"
    return (noted(message),)
