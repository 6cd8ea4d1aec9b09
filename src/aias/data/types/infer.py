"""A raw table → a schema: the kind and the role of every column, with the reason for each."""

import hashlib
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import polars as pl

from aias.core.arrays import Floats
from aias.core.errors import shown
from aias.core.events import Event
from aias.core.schema import Field, Schema
from aias.data.dataset import column_content
from aias.data.types.conform import conform, is_plain
from aias.data.types.guesses import Guess, odd_note
from aias.data.types.kinds import guess
from aias.data.types.numbers_in_texts import units_of
from aias.data.types.spellings import SPELLINGS, SURE_SPELLINGS
from aias.data.types.times_in_digits import times_in_digits

_ID_NAME: Final = re.compile(r"(id|index|rownames?|row_?(id|number|num|no)?|unnamed: 0|.*[_ ]id|c0)", re.IGNORECASE)
_CAMEL_ID: Final = re.compile(r".*[a-z]I[dD]")
_ROWS_MIN: Final = 5
"""On fewer rows every column is constant, unique or in order by chance."""

_CATEGORIES_SHOWN: Final = 50
_TOLD_MAX: Final = 50
"""Ignored columns that are told one by one."""

_EXAMPLE_ROWS: Final = 1_000
"""Among the first of these that have a value an example is sought."""

_AMOUNTS_MIN: Final = 20
"""Fewer different amounts are sizes, which stay categories."""

_MIXED_SHARE: Final = 0.3
_DIFFERENT_SHARE: Final = 0.5
"""Of the values that are numbers, and of these that differ, among words: of codes each comes again and again."""

_MIXED_WORDS_MAX: Final = 20
"""Different ones: numbers of tickets have many forms."""


def infer(frame: pl.DataFrame, *, target: str | None = None) -> tuple[Schema, pl.DataFrame, tuple[Event, ...]]:
    """The schema of a raw table, the table under it, and notes on what is odd.

    Columns that cannot help (constant, empty, row numbers, identifiers, copies) stay, with the role `ignored`.
    """
    fields: list[Field] = []
    notes: list[Event] = []
    for column in frame.iter_columns():
        field, found = _field(column, is_target=column.name == target)
        fields.append(field)
        if found.odd:
            notes.append(Event("data.odd-values", odd_note(column.name, found), "warning", {"column": column.name}))
        elif column.name != target and found.kind in {"category", "text"}:
            notes += _units_note(column)
            notes += _mixed_note(column) if found.kind == "category" else []
    schema = Schema(tuple(fields))
    typed = conform(frame, schema)
    settled = [_settled(field, typed[field.name], is_target=field.name == target) for field in schema]
    settled = _without_copies(settled, typed, target)
    settled = _with_some_input(settled, target)
    notes += _ignored_notes([field for field in settled if field.role == "ignored"])
    return Schema(tuple(settled)), typed, tuple(notes)


def _field(column: pl.Series, *, is_target: bool) -> tuple[Field, Guess]:
    found = None if is_target else times_in_digits(column.alias(""), column.name)  # what is predicted is an amount
    found = found or _guess(column.alias(""), SURE_SPELLINGS if is_target else SPELLINGS)
    missing = (*found.missing, *(text for text, _ in found.odd))
    field = Field(column.name, found.kind, missing=missing, format=found.format, unit=found.unit, reason=found.reason)
    return replace(field, role="ignored") if found.id_like else field, found


def _units_note(column: pl.Series) -> list[Event]:
    """That amounts are written in several units: nobody brings them to one."""
    some = column.alias("").drop_nulls().head(_EXAMPLE_ROWS).unique(maintain_order=True).cast(pl.String).to_list()
    units = units_of(some) if len(some) >= _AMOUNTS_MIN else []
    if len(units) < 2:
        return []
    message = f"`{column.name}` holds amounts in several units ({', '.join(units)}), read as words: bring them to one"
    return [Event("data.units", message, "warning", {"column": column.name, "units": units})]


def _mixed_note(column: pl.Series) -> list[Event]:
    """That many amounts stand among a few words, and are as good as lost: hardly two rows have the same."""
    texts = column.alias("").drop_nulls()
    if texts.dtype != pl.String:
        return []
    texts = texts.str.strip_chars()
    is_amount = is_plain(texts)
    amounts, words = texts.filter(is_amount), texts.filter(~is_amount)
    few = len(amounts) < max(_AMOUNTS_MIN, _MIXED_SHARE * len(texts))
    alike = amounts.n_unique() < _DIFFERENT_SHARE * len(amounts) or bool(amounts.str.contains(r"^-?0[0-9]").any())
    if few or alike or not 0 < words.n_unique() <= _MIXED_WORDS_MAX:
        return []
    said = shown(str(words.mode().sort()[0]))
    message = (
        f"`{column.name}` holds {len(amounts) / len(texts):.0%} numbers among words such as {said}, and all are read "
        "as words: leave those cells empty, or give the words a column of their own"
    )
    return [Event("data.mixed", message, "warning", {"column": column.name, "numbers": len(amounts)})]


def _guess(column: pl.Series, spellings: frozenset[str]) -> Guess:
    kind = column.dtype
    if isinstance(kind, pl.Date | pl.Datetime):
        return Guess("time", "the file says that these are times")
    if kind == pl.Float64:
        return Guess("number", "the file says that these are numbers")
    if isinstance(kind, pl.Boolean):
        return Guess("category", "true or false")
    found = guess(column, spellings)
    if isinstance(kind, pl.Categorical | pl.Enum):
        return Guess("category", "the file says that these are categories", found.missing)
    return found


def _settled(field: Field, column: pl.Series, *, is_target: bool) -> Field:
    """The field with its example and categories, and ignored when the column cannot help."""
    column = column.alias("")  # its own name could be a pattern to Polars
    present = column.drop_nulls()
    example = next((each for each in present.head(_EXAMPLE_ROWS) if not _endless(each)), None)
    if isinstance(example, float):
        example = int(example) if example.is_integer() and abs(example) < 1e15 else example
    elif example is not None:
        example = str(example)[:200]
    field = replace(field, example=example)
    if field.kind == "category" and 0 < present.n_unique() <= _CATEGORIES_SHOWN:
        counts = present.alias("v").value_counts(name="n").sort(["n", "v"], descending=[True, False])
        field = replace(field, categories=tuple(counts["v"].to_list()))
    if is_target:
        return replace(field, role="target")
    why = _useless(field, column, present)
    if why:
        return replace(field, role="ignored", reason=f"{why}; {field.reason}")
    if field.role == "ignored":
        return replace(field, reason=f"almost every value is different, like an identifier; {field.reason}")
    return field


def _endless(value: object) -> bool:
    """Infinity is no example: JSON has none."""
    return isinstance(value, float) and not math.isfinite(value)


def _useless(field: Field, column: pl.Series, present: pl.Series) -> str:
    if not len(present):
        return "empty"
    if len(column) < _ROWS_MIN:
        return ""
    if present.n_unique() == 1 and len(present) == len(column):
        return "the same value in every row"
    if field.kind == "number" and len(present) == len(column):
        return _row_number(field.name, column.to_numpy())
    return ""


def _row_number(name: str, values: Floats) -> str:
    with np.errstate(invalid="ignore", over="ignore"):
        steps = np.diff(values)
    if bool((steps == 1).all()) and values[0] in {0.0, 1.0}:
        return "a row number"
    named = _ID_NAME.fullmatch(name) or _CAMEL_ID.fullmatch(name)
    whole = bool(np.isfinite(values).all()) and bool((values == np.floor(values)).all())
    if whole and len(np.unique(values)) == len(values) and (named or bool((steps == 1).all())):
        return "a different whole number in every row, like an identifier"
    return ""


def _without_copies(fields: Sequence[Field], frame: pl.DataFrame, target: str | None) -> list[Field]:
    """Of columns with identical content the first stays."""
    first: dict[bytes, str] = {}
    out: list[Field] = []
    for field in fields:
        if field.role == "ignored" or field.name == target:
            out.append(field)
            continue
        hasher = hashlib.sha256(field.kind.encode())
        for piece in column_content(frame[field.name]):
            hasher.update(piece)
        original = first.setdefault(hasher.digest(), field.name)
        copy = original != field.name and frame.height >= _ROWS_MIN
        reason = f"the same values as `{original}`; {field.reason}"
        out.append(replace(field, role="ignored", reason=reason) if copy else field)
    return out


def _with_some_input(fields: list[Field], target: str | None) -> list[Field]:
    """When nothing is left to learn from, columns that only look like identifiers come back."""
    if any(field.role == "input" for field in fields) or (target is None and len(fields) < 2):
        return fields
    back = [f for f in fields if f.role == "ignored" and not f.reason.startswith(("empty", "the same value"))]
    names = {field.name for field in back}
    return [
        replace(field, role="input", reason=f"nothing else is left; {field.reason}") if field.name in names else field
        for field in fields
    ]


def _ignored_notes(fields: Sequence[Field]) -> list[Event]:
    """One for each, as far as anybody reads them."""
    notes = [_ignored_note(field) for field in fields[:_TOLD_MAX]]
    if more := len(fields) - len(notes):
        what = "1 more column is" if more == 1 else f"{more:,} more columns are"
        notes.append(Event("data.ignored", f"{what} ignored; `aias data check` shows why", "info", {"columns": more}))
    return notes


def _ignored_note(field: Field) -> Event:
    message = f"`{field.name}` is ignored: {field.reason.partition('; ')[0]}"
    return Event("data.ignored", message, "info", {"column": field.name})
