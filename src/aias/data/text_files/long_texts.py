"""Texts that are longer than any is read: cut where reading ends, so that one of them does not keep all others from
being learned from, or answered."""

from dataclasses import replace

import polars as pl

from aias.core.events import Event
from aias.core.limits import TEXT_CHARS_MAX
from aias.data.dataset import Dataset


def within_limit(dataset: Dataset) -> Dataset:
    """The same rows with every text at most `TEXT_CHARS_MAX` characters long, and a warning among the notes for each
    field that had longer ones."""
    frame, notes = dataset.frame, list(dataset.notes)
    for field in dataset.schema.inputs:
        if field.kind != "text":
            continue
        column = dataset.column(field.name)
        if (column.str.len_bytes().max() or 0) <= TEXT_CHARS_MAX:  # type: ignore[operator]
            continue
        long = int((column.str.len_chars() > TEXT_CHARS_MAX).sum())
        if not long:
            continue
        cut = column.str.slice(0, TEXT_CHARS_MAX).rename(field.name)
        frame = frame.with_columns(pl.Series(field.name, cut))
        texts = "1 text is" if long == 1 else f"{long:,} texts are"
        message = f"`{field.name}`: {texts} longer than {TEXT_CHARS_MAX:,} characters; what stands beyond is not read"
        notes.append(Event("data.long-text", message, "warning", {"column": field.name, "rows": long}))
    return dataset if frame is dataset.frame else replace(dataset, frame=frame, notes=tuple(notes))
