"""ARFF, Weka's format: declared columns (numeric, nominal, string, date), `?` for missing, sparse rows."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import polars as pl

from aias.core.limits import COLUMNS_MAX
from aias.data.errors import TooLarge, Unreadable
from aias.data.readers.contract import NAMED, NO, SURE, File, Options, Table
from aias.data.text_files.decode import decoded
from aias.data.types.names import unique_names
from aias.encoders.number import PLAIN

_NUMERIC: Final = frozenset({"numeric", "real", "integer"})
_ATTRIBUTE: Final = re.compile(
    r"@attribute\s+('(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|\S+?)\s*(\{.*\}|\s[a-z]+.*?)\s*(?:%.*)?",
    re.IGNORECASE | re.DOTALL,
)
_VALUE: Final = re.compile(r"\s*(?:'((?:\\.|[^'\\])*)'|\"((?:\\.|[^\"\\])*)\"|([^,]*?))\s*(,|\Z)", re.DOTALL)
_ESCAPE: Final = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r"}


@dataclass(frozen=True, slots=True)
class Attribute:
    name: str
    type: str
    nominal: tuple[str, ...] = ()


def fits(file: File) -> float:
    if re.search(rb"^\s*@relation\b", file.data[: 1 << 16], re.IGNORECASE | re.MULTILINE):
        return SURE
    return NAMED if file.suffix == ".arff" else NO


def read(file: File, options: Options) -> Table:  # noqa: ARG001 ARFF names its columns itself
    data, notes = decoded(file.data, name=file.name, encoding=file.encoding)
    lines = enumerate(data.decode().split("\n"), 1)
    attributes = _declared(lines, file.name)
    columns: list[list[str | None]] = [[] for _ in attributes]
    for number, line in lines:
        bare = line.strip()
        if not bare or bare.startswith("%"):
            continue
        row = _sparse(bare, attributes) if bare.startswith("{") else _values(bare)
        if row is None or len(row) != len(attributes):
            came = "a broken value" if row is None else f"{len(row)} values where {len(attributes)} belong"
            raise Unreadable(f"`{file.name}`: line {number} has {came}", hint="quote values that hold commas")
        for column, value in zip(columns, row, strict=True):
            column.append(value)
    names, called = unique_names([each.name for each in attributes], f"`{file.name}`")
    read = [_column(*pair, file.name) for pair in zip(attributes, columns, strict=True)]
    return Table(pl.DataFrame(dict(zip(names, read, strict=True))), (*notes, *called))


def _declared(lines: Iterator[tuple[int, str]], file: str) -> list[Attribute]:
    attributes: dict[str, Attribute] = {}
    for number, line in lines:
        bare = line.strip()
        if bare.lower().startswith("@data"):
            if not attributes:
                break
            return list(attributes.values())
        if not bare.lower().startswith("@attribute"):
            continue
        found = _ATTRIBUTE.fullmatch(bare)
        if found is None:
            raise Unreadable(f"`{file}`: line {number} declares no attribute: {bare[:60]}")
        attribute = _attribute(found[1], found[2].strip())
        if attribute.name in attributes:
            raise Unreadable(f"`{file}`: line {number} declares `{attribute.name}` again", hint="rename one of them")
        attributes[attribute.name] = attribute
        if len(attributes) > COLUMNS_MAX:
            raise TooLarge(f"`{file}` has more than {COLUMNS_MAX:,} columns")
    raise Unreadable(f"`{file}` has no `@attribute` lines followed by `@data`", hint="is the file complete?")


def _attribute(name: str, declared: str) -> Attribute:
    bare = _unescaped(name[1:-1]) if name[0] in "'\"" else name
    if declared.startswith("{"):
        values = _values(declared[1:-1].strip()) or []
        return Attribute(bare, "nominal", tuple(value for value in values if value is not None))
    return Attribute(bare, declared.split(maxsplit=1)[0].lower())


def _values(line: str) -> list[str | None] | None:
    """The values of a dense row; None when a quote is not closed."""
    values: list[str | None] = []
    at = 0
    while True:
        found = _VALUE.match(line, at)
        if found is None:
            return None
        single, double, bare, divider = found.groups()
        quoted = single if single is not None else double
        values.append((None if bare == "?" else bare) if quoted is None else _unescaped(quoted))
        at = found.end()
        if not divider:
            return values


def _sparse(line: str, attributes: list[Attribute]) -> list[str | None] | None:
    """`{3 yes, 7 2.5}`: what is not named is 0, or the first of the nominal values."""
    row: list[str | None] = [(attribute.nominal or ("0",))[0] for attribute in attributes]
    inner = line.strip("{} \t")
    for pair in re.findall(r"(?:'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|[^,])+", inner) if inner else ():
        place, _, value = pair.strip().partition(" ")
        values = _values(value.strip())
        if not place.isdecimal() or int(place) >= len(row) or values is None or len(values) != 1:
            return None
        row[int(place)] = values[0]
    return row


def _column(attribute: Attribute, values: list[str | None], file: str) -> pl.Series:
    if attribute.type in _NUMERIC:
        odd = next((value for value in values if value is not None and not PLAIN.fullmatch(value)), None)
        if odd is not None:
            raise Unreadable(f"`{file}`: `{attribute.name}` is declared numeric but holds {odd[:40]!r}")
        return pl.Series(attribute.name, [None if value is None else float(value) for value in values], pl.Float64)
    column = pl.Series(attribute.name, values, pl.String)
    return column.cast(pl.Categorical) if attribute.type == "nominal" else column


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    return _ESCAPE.sub(lambda e: chr(int(e[1][1:], 16)) if len(e[1]) == 5 else _ESCAPES.get(e[1], e[1]), text)
