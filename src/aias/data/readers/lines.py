"""`label text` on every line: what sentence collections and fastText use."""

import re
from collections import Counter
from typing import Final

import polars as pl

from aias.core.events import Event
from aias.data.errors import Unreadable
from aias.data.readers.contract import NO, PERHAPS, File, Options, Table, noted
from aias.data.text_files.decode import decoded, head_of

_LINE: Final = re.compile(r"(\S{1,64})[ \t]+(\S.*?)[ \t]*")
_LABELS_MAX: Final = 300
_SHARE_MIN: Final = 0.99


def fits(file: File) -> float:
    lines = [line for line in head_of(file.data, file.encoding).decode().split("\n") if line.strip()]
    pairs = [found for line in lines if (found := _LINE.fullmatch(line))]
    labels = Counter(found[1] for found in pairs)
    plenty = len(lines) >= 4 and len(labels) <= min(_LABELS_MAX, max(2, len(lines) // 5))
    return PERHAPS if plenty and len(pairs) >= _SHARE_MIN * len(lines) and min(labels.values()) > 1 else NO


def read(file: File, options: Options) -> Table:
    data, notes = decoded(file.data, name=file.name, encoding=file.encoding)
    lines = [(number, line) for number, line in enumerate(data.decode().split("\n"), 1) if line.strip()]
    pairs = [(number, _LINE.fullmatch(line)) for number, line in lines]
    odd = [number for number, found in pairs if found is None]
    if odd:
        shown = ", ".join(map(str, odd[:5]))
        if len(odd) > (1 - _SHARE_MIN) * len(lines):
            raise Unreadable(f"`{file.name}`: lines {shown} have no text after the label", hint="write `label text`")
        notes += (noted(f"`{file.name}`: {len(odd)} lines without text were left out: {shown}"),)
    label, text = options.names if options.names and len(options.names) == 2 else ("label", "text")
    frame = pl.DataFrame(
        {label: [found[1] for _, found in pairs if found], text: [found[2] for _, found in pairs if found]},
        schema={label: pl.String, text: pl.String},
    )
    return Table(frame, (*notes, Event("data.read", f"`{file.name}` was read as lines of `label text`")))
