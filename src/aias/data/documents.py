"""A folder or archive of texts, one folder a class → a table of `text` and `label`."""

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import polars as pl

from aias.core.events import Event
from aias.core.limits import ARCHIVE_FILES_MAX, UNPACKED_BYTES_MAX
from aias.data.errors import TooLarge
from aias.data.open_file import opened
from aias.data.readers.contract import File, Table
from aias.data.text_files.decode import decoded
from aias.data.unpack import is_litter, is_prose


def document_names(names: Iterable[str]) -> list[str]:
    """The texts that have a class: those in folders that hold two or more of them; [] when there are not two such."""
    plain = [name for name in names if name.lower().endswith(".txt") and not is_prose(name) and "/" in name]
    sizes = Counter(_folder(name) for name in plain)
    classes = {folder for folder, size in sizes.items() if size > 1}
    return sorted(name for name in plain if _folder(name) in classes) if len(classes) > 1 else []


def folder_names(folder: Path) -> list[str]:
    """Every regular file under `folder`, relative to it; what goes away meanwhile is none."""
    names: list[str] = []
    for root, _, files in os.walk(folder):
        paths = (Path(root, each) for each in files)
        names += [each.relative_to(folder).as_posix() for each in paths if each.is_file() and not each.is_symlink()]
        if len(names) > ARCHIVE_FILES_MAX:
            raise TooLarge(f"`{folder}` holds more than {ARCHIVE_FILES_MAX:,} files")
    return sorted(name for name in names if not is_litter(name))


def folder_files(folder: Path, names: Iterable[str]) -> Iterable[File]:
    left = UNPACKED_BYTES_MAX
    for name in names:
        data = opened(folder / name).data
        left -= len(data)
        if left < 0:
            raise TooLarge(f"the texts of `{folder}` are more than {UNPACKED_BYTES_MAX:,} bytes")
        yield File(name, data)


def table_of(files: Iterable[File], *, name: str, encoding: str | None = None) -> Table:
    """One row a file: its `text`, and as its `label` the folder it lies in."""
    texts: list[str] = []
    labels: list[str] = []
    notes: list[Event] = []
    for file in files:
        data, changes = decoded(file.data, name=file.name, encoding=encoding)
        texts.append(data.decode())
        labels.append(_folder(file.name))
        notes.extend(changes)
    classes = sorted(set(labels))
    message = f"`{name}` was read as {len(texts)} texts in the folders {', '.join(classes[:10])}"
    if notes:
        first = notes[0]
        notes = [Event("data.decoded", f"{len(notes)} texts were changed: {first.message}", "warning", first.facts)]
    frame = pl.DataFrame({"text": texts, "label": labels}, schema={"text": pl.String, "label": pl.String})
    return Table(frame, (*notes, Event("data.read", message)))


def _folder(name: str) -> str:
    return name.rsplit("/", 2)[-2]
