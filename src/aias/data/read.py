"""Anything that holds a table → a dataset: found, unpacked, read, typed."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import polars as pl

from aias.core.events import Event, Watch, nobody
from aias.core.schema import Field, Schema, SchemaMismatch
from aias.core.suggestions import did_you_mean
from aias.data.dataset import Dataset
from aias.data.documents import document_names, folder_files, folder_names, table_of
from aias.data.errors import NoSuchFile, Unreadable
from aias.data.frames import table_of as table_of_object
from aias.data.open_file import opened
from aias.data.readers import readers
from aias.data.readers.contract import File, Options, Table
from aias.data.schema_file import read_schema
from aias.data.text_files.decode import check_encoding
from aias.data.text_files.long_texts import within_limit
from aias.data.types.infer import infer
from aias.data.types.other_separators import conform_or_guess
from aias.data.unpack import is_packed, is_prose, is_tar, is_zip, members, packed_otherwise, texts, unpacked

_DEPTH_MAX: Final = 3
"""A gzip in a zip in a tar; deeper is a riddle."""

_SHEETS: Final = (".xlsx", ".xlsm", ".xlsb", ".ods")


def read(
    source: object,
    *,
    target: str | None = None,
    schema: Schema | Path | None = None,
    names: Sequence[str] | None = None,
    encoding: str | None = None,
    watch: Watch = nobody,
) -> Dataset:
    """Read a path (also `archive.zip:inside.csv`, `book.xlsx:Sheet2`, a folder of texts) or a table in memory.

    Without `schema` every column's kind and role are inferred. With it, each of its fields is looked up by name and
    must fit; a target that is absent is filled with missing values, and further columns are ignored. `names` are the
    columns of a file without a header; `encoding` is what its text is in, by default what it turns out to be. Numbers
    that are only divided otherwise than the schema says (`3,14`) are read as they are by themselves. Texts are
    read as far as the longest that any encoder takes. Every note goes to `watch`, and stays in the dataset.

    Raises `NoSuchFile`, `Unreadable`, `TooLarge`, `SchemaMismatch` and `BadValue`.
    """
    wanted = read_schema(schema) if isinstance(schema, Path) else schema
    given = tuple(names) if names is not None else None
    options = Options(given, known=frozenset(wanted.names if wanted else ()), target=target, encoding=encoding)
    table = read_file(source, options) if isinstance(source, str | Path) else table_of_object(source)
    frame, notes = _checked(table.frame, table.notes)
    if wanted is not None:
        if target is not None:
            wanted = wanted.with_target(target)
        dataset = _under(frame, wanted, notes)
    else:
        if target is not None:
            _check_target(target, frame.columns)
        found, typed, odd = infer(frame, target=target)
        dataset = Dataset(typed, found, (*notes, *odd))
    dataset = within_limit(dataset)
    for note in dataset.notes:
        watch(note)
    return dataset


def read_file(source: str | Path, options: Options = Options()) -> Table:  # noqa: B008 frozen
    """The raw table at a path. Nothing is inferred."""
    check_encoding(options.encoding)
    path, part = located(str(source))
    if path.is_dir():
        return _folder(path, options.encoding)
    return _table(opened(path), part, options, depth=0)


def located(source: str) -> tuple[Path, str]:
    """The path, and what stands behind the colon when the part before it is a file."""
    path = Path(source).expanduser()
    if path.exists():
        return path, ""
    for place, char in enumerate(source):
        if char == ":" and place > 1 and Path(source[:place]).expanduser().is_file():
            return Path(source[:place]).expanduser(), source[place + 1 :]
    if "://" in source:
        raise NoSuchFile(f"`{source}` is no file of this machine", hint="download it, and give the file")
    near = did_you_mean(path.name, [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else [])
    raise NoSuchFile(f"there is no file `{source}`", hint=near or "check the path; `~` and relative paths are fine")


def _folder(path: Path, encoding: str | None) -> Table:
    names = folder_names(path)
    documents = document_names(names)
    if documents:
        return table_of(folder_files(path, documents), name=path.name, encoding=encoding)
    data = [name for name in names if not is_prose(name)]
    hint = (
        f"name one: {_listed(f'{path}/{name}' for name in sorted(data, key=_depth))}"
        if data
        else "it holds no data file"
    )
    raise Unreadable(f"`{path}` is a folder, and not one of texts with a folder for each class", hint=hint)


def _depth(name: str) -> int:
    return name.count("/")


def _table(file: File, part: str, options: Options, *, depth: int) -> Table:
    if depth > _DEPTH_MAX:
        raise Unreadable(f"`{file.name}` is an archive in an archive in an archive", hint="unpack it yourself")
    if is_packed(file.data):
        return _table(unpacked(file), part, options, depth=depth + 1)
    if foreign := packed_otherwise(file.data):
        raise Unreadable(f"`{file.name}` is packed as {foreign}", hint="unpack it, or pack it as gzip, xz or zip")
    if is_tar(file.data) or (is_zip(file.data) and file.suffix not in _SHEETS and b"xl/workbook" not in file.data):
        return _archive(file, part, options, depth)
    if not file.data:
        raise Unreadable(f"`{file.name}` is empty", hint="give a file with a header and some rows")
    file = replace(file, encoding=options.encoding)
    sure = {name: reader.fits(file) for name, reader in readers().items()}
    best = max(sure, key=lambda name: sure[name])
    if sure[best] <= 0 or is_prose(file.name):
        raise Unreadable(
            f"`{file.name}` is not a table: its lines have no common separator and no `label text` form",
            hint=f"give one of {', '.join(sorted(sure))}; if it is one, let its name say so, as in data.csv",
        )
    return readers()[best].read(file, replace(options, part=part or None))


def _archive(file: File, part: str, options: Options, depth: int) -> Table:
    names = members(file)
    if part:
        if part not in names:
            near = did_you_mean(part, names) or f"it holds {_listed(names)}"
            raise NoSuchFile(f"`{file.name}` holds no `{part}`", hint=near)
        return _inner(file, part, options, depth)
    documents = document_names(names)
    if documents:
        return table_of(texts(file, documents), name=file.name, encoding=options.encoding)
    data = [name for name in names if not is_prose(name)]
    if not data:
        raise Unreadable(f"`{file.name}` holds no data file", hint="pack one CSV, Parquet or other table")
    if len(data) > 1:
        example = _listed(f"`{file.name}:{name}`" for name in sorted(data))
        raise Unreadable(f"`{file.name}` holds {len(data)} data files", hint=f"name one: {example}")
    return _inner(file, data[0], options, depth)


def _inner(file: File, name: str, options: Options, depth: int) -> Table:
    inner = next(texts(file, [name]))
    return _table(File(name.replace("\\", "/").rpartition("/")[2], inner.data), "", options, depth=depth + 1)


def _checked(frame: pl.DataFrame, notes: tuple[Event, ...]) -> tuple[pl.DataFrame, tuple[Event, ...]]:
    if not frame.width:
        raise Unreadable("the table has no columns", hint="give at least one column")
    if not frame.height:
        raise Unreadable("the table has columns but no rows", hint=f"add rows under {_listed(frame.columns)}")
    return frame, notes


def _under(frame: pl.DataFrame, schema: Schema, notes: tuple[Event, ...]) -> Dataset:
    """The table under a given schema, column by column."""
    absent = [field for field in schema if field.name not in frame.columns and field.role == "input"]
    if absent:
        names = _listed(f"`{field.name}`" for field in absent)
        hint = did_you_mean(absent[0].name, _spare(frame, schema)) or f"the file has {_listed(frame.columns)}"
        which = "1 column of the schema is" if len(absent) == 1 else f"{len(absent):,} columns of the schema are"
        raise SchemaMismatch(f"{which} not in the data: {names}", hint=hint)
    lacking = [field.name for field in schema if field.name not in frame.columns]
    frame = frame.with_columns(pl.lit(None, pl.String).alias(name) for name in lacking)
    extra = _spare(frame, schema)

    def meant(name: str) -> str:
        near = did_you_mean(name, lacking)
        return f"{name} ({near})" if near else name

    fields = (*schema.fields, *(Field(name, "text", "ignored", reason="not in the schema") for name in extra))
    if extra:
        which = "1 column is not in the schema and is" if len(extra) == 1 else (
            f"{len(extra):,} columns are not in the schema and are"
        )  # fmt: skip
        message = f"{which} ignored: {_listed(map(meant, extra))}"
        notes = (*notes, Event("data.ignored", message))
    whole = Schema(fields)
    typed, odd = conform_or_guess(frame, whole)
    return Dataset(typed, whole, (*notes, *odd))


def _spare(frame: pl.DataFrame, schema: Schema) -> list[str]:
    """The columns that nobody asked for."""
    return [name for name in frame.columns if name not in schema]


def _check_target(target: str, names: Sequence[str]) -> None:
    if target not in names:
        near = did_you_mean(target, names) or f"the columns are: {_listed(names)}"
        raise SchemaMismatch(f"there is no column `{target}`", hint=near)


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    return ", ".join(every[:8]) + (f" and {len(every) - 8} more" if len(every) > 8 else "")
