"""Python values and foreign frames → Polars columns of the few types a dataset holds."""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

import polars as pl

from aias.core.errors import BadValue
from aias.core.events import Event
from aias.core.limits import COLUMNS_MAX
from aias.core.nested import flat, is_nested, is_nothing, parents
from aias.data.errors import TooLarge, Unreadable
from aias.data.records import parts
from aias.data.types.names import unique_names

_SIMPLE = (pl.String, pl.Boolean, pl.Date, pl.Datetime, pl.Categorical, pl.Enum)


def series(name: str, values: Sequence[object]) -> pl.Series:
    """One column of mixed Python values: typed when they agree, else text spelt as JSON would."""
    kinds = {type(value) for value in values} - {type(None)}
    if kinds <= {bool}:
        return pl.Series(name, values, pl.Boolean) if kinds else pl.Series(name, values, pl.String)
    if kinds <= {int, float, Decimal}:
        return pl.Series(name, [None if value is None else _float(value) for value in values], pl.Float64)
    if kinds <= {str}:
        return pl.Series(name, values, pl.String, strict=True)
    if all(issubclass(kind, timedelta) for kind in kinds):
        return pl.Series(name, [_seconds(value) for value in values], pl.Float64)
    if all(issubclass(kind, date) for kind in kinds):
        return pl.Series(name, [_moment(value) for value in values], pl.Datetime("us"))
    return pl.Series(name, [None if _missing(value) else _text(value) for value in values], pl.String)


def from_rows(rows: Sequence[Mapping[str, object]]) -> pl.DataFrame:
    """Rows as mappings; a key that a row lacks is missing there. What objects hold are columns of their own.

    Raises `TooLarge`, and `BadValue` where a row has two values of one name.
    """
    if any(map(is_nested, rows)):
        rows = _flattened(rows)
    names: dict[str, None] = {}
    for row in rows:
        names.update(dict.fromkeys(row))
    if len(names) > COLUMNS_MAX:
        raise TooLarge(f"the rows have {len(names):,} different keys; at most {COLUMNS_MAX:,} columns are read")
    return side_by_side([series(str(name), [row.get(name) for row in rows]) for name in names])


def columns_of(name: str, values: Sequence[object]) -> list[pl.Series]:
    """One column, or of objects one for each of their fields, `name.field`."""
    if not any(isinstance(value, dict) for value in values):
        return [series(name, values)]
    return from_rows([{name: value} for value in values]).get_columns()


def side_by_side(columns: Sequence[pl.Series]) -> pl.DataFrame:
    """A table of them. Polars by itself would call one without a name `column_1`. Raises `DuplicateError`."""
    names = [column.name for column in columns]
    nameless = names.count("") == 1 and len(set(names)) == len(names)
    return pl.DataFrame(dict(zip(names, columns, strict=True)) if nameless else columns)


def simplified(frame: pl.DataFrame) -> tuple[pl.DataFrame, tuple[Event, ...]]:
    """Only text, numbers, booleans, categories, dates and date-times (naive, UTC), each with a name; what is changed is
    noted."""
    if frame.width > COLUMNS_MAX:
        raise TooLarge(f"the table has {frame.width:,} columns; at most {COLUMNS_MAX:,} are read")
    names, called = unique_names(frame.columns, "the table")
    frame = frame if "" not in frame.columns else frame.rename(dict(zip(frame.columns, names, strict=True)))
    notes = list(called)
    columns: list[pl.Series] = []
    for column in _without_records(frame, notes):
        kept, note = simple(column)
        columns.append(kept)
        if note:
            notes.append(Event("data.converted", f"`{column.name}` {note}", "info"))
    return pl.DataFrame(columns), tuple(notes)


def simple(column: pl.Series) -> tuple[pl.Series, str]:
    """As a dataset holds it, and what was done for that. Raises `Unreadable`."""
    kind = column.dtype
    if isinstance(kind, pl.Datetime) and kind.time_zone:
        return column.dt.convert_time_zone("UTC").dt.replace_time_zone(None), f"is in {kind.time_zone}; taken to UTC"
    if isinstance(kind, _SIMPLE):
        return column, ""
    if kind.is_numeric():
        return column.cast(pl.Float64), ""
    if kind == pl.Null:
        return column.cast(pl.String), ""
    if kind == pl.Duration:
        return column.dt.total_microseconds() / 1e6, "holds durations; taken as seconds"
    if kind == pl.Time:
        return column.cast(pl.Duration).dt.total_microseconds() / 3.6e9, "holds times of day; taken as hours"
    if kind == pl.Binary:
        raise Unreadable(f"column `{column.name}` holds bytes", hint="decode them to text, or leave the column out")
    values = column.to_list()
    if kind == pl.Object:
        return series(column.name, values), ""
    texts = [None if value is None else _text(value) for value in values]
    return pl.Series(column.name, texts, pl.String), "holds lists or records; taken as their JSON text"


def _flattened(rows: Sequence[Mapping[str, object]]) -> list[dict[str, object]]:
    out = []
    for place, row in enumerate(rows):
        try:
            out.append(flat({str(name): value for name, value in row.items()}))
        except BadValue as bad:
            raise bad.at(field=bad.field, row=place) from None
    absent = parents({name for row in out for name in row})
    return [{name: value for name, value in row.items() if name not in absent or not is_nothing(value)} for row in out]


def _without_records(frame: pl.DataFrame, notes: list[Event]) -> list[pl.Series]:
    """The columns, with a column of its own for each field of a record. Raises `Unreadable`, `TooLarge`."""
    if not any(isinstance(kind, pl.Struct) for kind in frame.dtypes):
        return frame.get_columns()
    columns: list[pl.Series] = []
    for column in frame.iter_columns():
        fields = list(parts(column))
        columns += fields
        if isinstance(column.dtype, pl.Struct):
            said = ", ".join(f"`{each.name}`" for each in fields[:5]) + (", ..." if len(fields) > 5 else "")
            message = (
                f"`{column.name}` holds records; their fields are columns of their own: {said or 'there are none'}"
            )
            notes.append(Event("data.converted", message, "info"))
    if len(columns) > COLUMNS_MAX:
        raise TooLarge(f"the table has {len(columns):,} columns; at most {COLUMNS_MAX:,} are read")
    names = Counter(column.name for column in columns)
    twice = next((name for name, count in names.items() if count > 1), None)
    if twice is not None:
        raise Unreadable(f"`{twice}` is a column, and a field of a record as well", hint="rename one of them")
    return columns


def _float(value: object) -> float:
    assert isinstance(value, int | float | Decimal)
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _seconds(value: object) -> float | None:
    return value.total_seconds() if isinstance(value, timedelta) else None


def _moment(value: object) -> datetime | None:
    """A plain, naive date-time in UTC; pandas' own time stamps among the rest."""
    if isinstance(value, datetime):
        naive = value - (value.utcoffset() or timedelta(0)) if value.tzinfo else value
        clock = (naive.hour, naive.minute, naive.second, naive.microsecond)
        return datetime(naive.year, naive.month, naive.day, *clock)
    return datetime(value.year, value.month, value.day) if isinstance(value, date) else None


def _missing(value: object) -> bool:
    return value is None or value != value  # None, NaN, NaT


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, date):
        return value.isoformat(*((" ",) if isinstance(value, datetime) else ()))
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if not isinstance(value, list | tuple | dict | bool | int):
        return str(value)
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (TypeError, ValueError, RecursionError):
        return str(value)
