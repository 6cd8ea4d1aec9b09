"""Delimited text: CSV, TSV, semicolons, bars; quoted or not, with a header or without. Every value comes as text."""

import csv
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import polars as pl

from aias.core.arrays import Flags, Ints
from aias.core.events import Event
from aias.core.limits import COLUMNS_MAX
from aias.data.errors import TooLarge, Unreadable
from aias.data.readers.contract import LIKELY, NAMED, NO, PERHAPS, File, Options, Table, noted
from aias.data.text_files.around import beside
from aias.data.text_files.blanks import divided_by_blanks, with_tabs
from aias.data.text_files.decode import decoded, head_of
from aias.data.text_files.drawn_tables import is_drawn, undrawn
from aias.data.text_files.fixed_width import divided_by_places
from aias.data.text_files.footers import without_foot
from aias.data.text_files.groups import grouped, told_groups
from aias.data.text_files.header_line import from_header, without_comments
from aias.data.text_files.headings import has_header, is_number, judged
from aias.data.text_files.layout import Layout, Records, records, sniff, without_pairs
from aias.data.text_files.one_side import one_side
from aias.data.text_files.one_table import one_table, without_title
from aias.data.types.names import unique_names

_SUFFIXES: Final = {".csv": None, ".tsv": "\t", ".tab": "\t", ".psv": "|"}
_SAID: Final = re.compile(rb"sep=([,;|\t])\n", re.IGNORECASE)
"""A first line by which Excel is told the separator."""

_ESCAPED: Final = b'\\"'
"""A quote within quotes as MySQL and Spark write it."""

_AGAIN: Final = 10_000
"""Rows that begin like the header; of more than these none is looked at."""

_HEAD: Final = 200
_MARKED_UP: Final = (b"<!doctype html", b"<html", b"<?xml")
_RAGGED_SHARE_MAX: Final = 0.01


def fits(file: File) -> float:
    if file.suffix in _SUFFIXES:
        return NAMED
    head = head_of(file.data, file.encoding)
    if is_drawn(head):
        return LIKELY
    head = without_pairs(head)
    layout = sniff(without_comments(head))
    if divided_by_blanks(head, layout) or divided_by_places(head, layout):
        return LIKELY
    if layout.separator is None or head.count(b"\n") < 1 or layout.share < 0.95:
        return NO
    return LIKELY if file.suffix in {".data", ".dat", ".txt", ""} else PERHAPS + 0.1


def read(file: File, options: Options) -> Table:
    data, notes = decoded(file.data, name=file.name, encoding=file.encoding)
    if not data.strip():
        raise Unreadable(f"`{file.name}` is empty", hint="give a file with a header and some rows")
    if data.lstrip()[:14].lower().startswith(_MARKED_UP):
        raise Unreadable(f"`{file.name}` is a web page or XML, not a table", hint="look at it: a download that failed?")
    data = undrawn(data) if is_drawn(data) else without_pairs(data)
    said = _SAID.match(data)
    data = data[said.end() :] if said else data
    prefer = said[1].decode() if said else _SUFFIXES.get(file.suffix)
    data, layout, unescaped = _laid_out(data, prefer, file.name)
    blanks: tuple[Event, ...] = ()
    if not said and not _is_known(data, layout, options):
        data, layout, blanks = _without_blanks(data, layout, file.name)
    notes = (*notes, *unescaped, *blanks)
    if not layout.regular and not layout.quoted:
        notes += (noted(f"`{file.name}` has quote characters that wrap no values; they are read as data"),)
    wanted = options.known | {options.target, *(options.names or ())}
    if layout.separator is None:
        table = without_title(data, file.name, is_number=is_number, wanted=wanted)
    else:
        table = one_table(data, layout, file.name, wanted=wanted)
    cut = from_header(
        table.data, layout, file.name, is_number=is_number, above=table.lines + bool(said),
        judge=lambda rows, surely: judged(rows, options, surely=surely),
    )  # fmt: skip
    frame, ragged = _parsed(cut.data, layout, file.name, above=cut.lines)
    frame, headed = _named(frame, options, file.name)
    frame, below = without_foot(frame, file.name)
    return Table(frame, (*notes, *table.notes, *cut.notes, *ragged, *headed, *below))


def _laid_out(data: bytes, prefer: str | None, name: str) -> tuple[bytes, Layout, tuple[Event, ...]]:
    """The data, with quotes within quotes as RFC 4180 has them, and how they are divided."""
    layout = sniff(without_comments(data), prefer=prefer)
    if not layout.regular and _ESCAPED in data:
        doubled = data.replace(_ESCAPED, b'""')
        other = sniff(without_comments(doubled), prefer=prefer)
        if other.quoted and other.regular:
            return (
                doubled,
                other,
                (noted(f"`{name}`: a backslash before a quote was read as a quote within the value"),),
            )
    return data, layout, ()


def _without_blanks(data: bytes, layout: Layout, name: str) -> tuple[bytes, Layout, tuple[Event, ...]]:
    """The data divided by tabs, where it is blanks or fixed places that divide them."""
    if divided_by_blanks(data, layout):
        divided, how = with_tabs(data), "values divided by blanks, each run of them"
    elif placed := divided_by_places(data, layout):
        divided, how = placed, "columns of fixed places, divided by blanks"
    else:
        return data, layout, ()
    found = replace(sniff(without_comments(divided), prefer="\t"), separator="\t")
    return divided, found, (noted(f"`{name}` was read as {how}; if they are not, divide them by commas"),)


def _is_known(data: bytes, layout: Layout, options: Options) -> bool:
    """Whether the first line without blanks as separators holds names that are looked for."""
    names = data.partition(b"\n")[0].decode("utf-8", "replace").split(layout.separator or "\n")
    return not (options.known | {options.target}).isdisjoint(name for name in names if " " in name)


def _parsed(data: bytes, layout: Layout, name: str, *, above: int) -> tuple[pl.DataFrame, tuple[Event, ...]]:
    """Every record as a row of texts, the header among them. `above`: the lines that stood above it."""
    if layout.quoted and (not layout.regular or layout.spaced):
        return _parsed_leniently(data, layout, name, above)
    found = records(data, layout.separator, quoted=layout.quoted)
    found = replace(found, lines=found.lines + above)
    separator = layout.separator or _spare(data, name)
    data, height, width, notes = _squared(data, found, separator, name)
    frame = pl.read_csv(
        data,
        has_header=False,
        separator=separator,
        quote_char='"' if layout.quoted else None,
        schema={f"c{i}": pl.String for i in range(width)},
        raise_if_empty=False,
    )
    if frame.height != height:  # Polars and we see other records: trust the slow one
        return _parsed_leniently(data, layout, name, above)
    if layout.spaced:
        frame = frame.with_columns(pl.all().str.strip_prefix(" "))
    return frame, notes


def _spare(data: bytes, name: str) -> str:
    """A separator for a file of one column: a byte that is not in it."""
    for char in "\x1f\x1e\x1d\x1c\x02\x03\x04":
        if char.encode() not in data:
            return char
    raise Unreadable(f"`{name}` is not text", hint="it holds control characters of every kind; is it a table at all?")


def _squared(data: bytes, found: Records, separator: str, name: str) -> tuple[bytes, int, int, tuple[Event, ...]]:
    """The data with as many fields in each record; blank lines go, what else is changed is noted."""
    fields = found.fields
    width = _width(fields[~found.blank], name)
    blank = found.blank if width > 1 else found.blank & (np.arange(len(fields)) == len(fields) - 1)
    comments = (fields == 1) & (np.frombuffer(data, np.uint8)[np.minimum(found.starts, len(data) - 1)] == ord("#"))
    alone = beside(fields, found.blank, comments, width)
    short, long = ~blank & ~alone & (fields < width), fields > width
    notes = (*_ragged_notes(short, long, found, width, name), *_beside_notes(found.lines[alone], name))
    keep = ~blank & ~long & ~alone
    if keep.all() and not short.any():
        return data, len(fields), width, notes
    rows = zip(found.starts[keep].tolist(), found.ends[keep].tolist(), (width - fields[keep]).tolist(), strict=True)
    pad = separator.encode()
    return b"\n".join(data[start:end] + pad * gap for start, end, gap in rows), int(keep.sum()), width, notes


def _width(fields: Ints, name: str) -> int:
    """The first record's, where many agree with it, else the commonest."""
    first, commonest = int(fields[0]), int(np.bincount(fields).argmax())
    width = first if (fields == first).sum() * 2 >= len(fields) else commonest
    if width > COLUMNS_MAX:
        raise TooLarge(
            f"`{name}` has {width:,} columns; at most {COLUMNS_MAX:,} are read",
            hint="transpose it if its rows are its columns, or keep the columns that matter",
        )
    return width


def _ragged_notes(short: Flags, long: Flags, found: Records, width: int, name: str) -> tuple[Event, ...]:
    notes: list[Event] = []
    if long.any():
        lines = _some(found.lines[long])
        if long.sum() > max(1, _RAGGED_SHARE_MAX * len(long)) or len(long) < 20:
            first = int(np.flatnonzero(long)[0])
            raise Unreadable(
                f"`{name}`: line {found.lines[first]} has {found.fields[first]} values where {width} belong"
                f" ({long.sum()} such lines: {lines})",
                hint="put values that hold the separator in double quotes",
            )
        which = f"line{'s' if long.sum() > 1 else ''} {lines}"
        notes.append(noted(f"`{name}`: {_rows_have(long)} more than {width} values; left out: {which}"))
    if short.any():
        notes.append(
            noted(
                f"`{name}`: {_rows_have(short)} fewer than {width} values; the rest of each was read as missing:"
                f" line{'s' if short.sum() > 1 else ''} {_some(found.lines[short])}"
            )
        )
    return tuple(notes)


def _parsed_leniently(data: bytes, layout: Layout, name: str, above: int) -> tuple[pl.DataFrame, tuple[Event, ...]]:
    """Python's reader takes quotes anywhere; three times slower."""
    text = data.decode().split("\n")
    rows: list[list[str]] = []
    lines: list[int] = []
    reader = csv.reader(
        (f"{one}\n" for one in text), delimiter=layout.separator or "\x1f", skipinitialspace=layout.spaced
    )
    limit = csv.field_size_limit(len(data) + 1)
    try:
        line = 1
        for row in reader:
            if row:
                rows.append(row)
                lines.append(line)
                if reader.line_num > line:
                    _check_closed(text[line - 1 : reader.line_num], line, layout, name)
            line = reader.line_num + 1
    finally:
        csv.field_size_limit(limit)
    fields = np.array([len(row) for row in rows])
    width = _width(fields, name)
    at = np.array(lines) + above
    alone = beside(fields, fields == 0, np.array([row[0].startswith("#") for row in rows]), width)
    if alone.any():
        told = _beside_notes(at[alone], name)
        rows, fields, at = [rows[place] for place in np.flatnonzero(~alone)], fields[~alone], at[~alone]
    else:
        told = ()
    notes = told + _ragged_notes(fields < width, fields > width, Records(at, at + 1, fields, at), width, name)
    kept = [row + [""] * (width - len(row)) for row in rows if len(row) <= width]
    return pl.DataFrame(kept, schema={f"c{i}": pl.String for i in range(width)}, orient="row"), notes


def _named(frame: pl.DataFrame, options: Options, name: str) -> tuple[pl.DataFrame, tuple[Event, ...]]:
    first = ["" if value is None else str(value).strip() for value in frame.row(0)]
    if options.names is not None and len(options.names) != frame.width:
        raise Unreadable(
            f"`{name}` has {frame.width} columns, and {len(options.names)} names were given",
            hint="give one name for each column",
        )
    joined = grouped(
        [["" if text is None else text.strip() for text in row] for row in frame.head(_HEAD).rows()], options
    )
    if joined:
        return frame.slice(2).rename(dict(zip(frame.columns, joined, strict=True))), (noted(told_groups(joined, name)),)
    if has_header(first, frame, options):
        rest, again = _without_headers(frame.slice(1), first, name)
        rest, side = one_side(rest, first, name, wanted=options.known | {options.target})
        called = dict(zip(frame.columns, first, strict=True))
        kept = [called[column] for column in rest.columns]
        names, notes = unique_names(list(options.names or kept), f"`{name}`")
        return rest.rename(dict(zip(rest.columns, names, strict=True))), (*notes, *again, *side)
    if options.names is not None:
        return frame.rename(dict(zip(frame.columns, options.names, strict=True))), ()
    return frame, (Event("data.read", f"`{name}` has no header; its columns are called c0 to c{frame.width - 1}"),)


def _without_headers(frame: pl.DataFrame, first: Sequence[str], name: str) -> tuple[pl.DataFrame, tuple[Event, ...]]:
    """Files put together below each other repeat their header."""
    at = (frame.to_series(0).str.strip_chars() == first[0]).fill_null(value=False).arg_true().to_list()
    if frame.width < 2 or len(at) > _AGAIN:
        return frame, ()
    again = [row for row in at if [str(value).strip() for value in frame.row(row)] == first]
    if not again:
        return frame, ()
    which = "1 row repeats the header and is" if len(again) == 1 else f"{len(again):,} rows repeat the header and are"
    keep = pl.Series(np.isin(np.arange(frame.height), again, invert=True))
    return frame.filter(keep), (noted(f"`{name}`: {which} left out"),)


def _check_closed(lines: Sequence[str], first: int, layout: Layout, name: str) -> None:
    """A record over several lines must be quoted by the book; otherwise it swallows rows."""
    separator = layout.separator or "\x1f"
    try:
        list(
            csv.reader(
                (f"{line}\n" for line in lines), delimiter=separator, skipinitialspace=layout.spaced, strict=True
            )
        )
    except csv.Error:
        message = f"`{name}`: a quote opened on line {first} is never closed"
        raise Unreadable(message, hint="close it, or double it if it is data") from None


def _beside_notes(lines: Ints, name: str) -> tuple[Event, ...]:
    if not len(lines):
        return ()
    which = "line {} is a comment or a note" if len(lines) == 1 else "lines {} are comments or notes"
    return (noted(f"`{name}`: {which.format(_some(lines))} of a single value, and left out"),)


def _rows_have(which: Flags) -> str:
    return "1 row has" if which.sum() == 1 else f"{which.sum():,} rows have"


def _some(numbers: Ints) -> str:
    shown = ", ".join(map(str, numbers[:5].tolist()))
    return shown if len(numbers) <= 5 else f"{shown}, ..."
