"""Columns → a file, or text on stdout."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import polars as pl

from aias.core.errors import StorageFailed, UserError

WRITERS: Final[dict[str, Callable[[pl.DataFrame, Any], Any]]] = {
    ".csv": lambda frame, to: frame.write_csv(to),
    ".tsv": lambda frame, to: frame.write_csv(to, separator="\t"),
    ".parquet": lambda frame, to: frame.write_parquet(to),
    ".arrow": lambda frame, to: frame.write_ipc(to),
    ".feather": lambda frame, to: frame.write_ipc(to),
    ".jsonl": lambda frame, to: frame.write_ndjson(to),
}


def write_table(columns: Mapping[str, Any], path: Path | None, *, as_json: bool = False) -> None:
    """Write columns of equal length to `path`, its ending says how; without a path CSV, or JSON lines, on stdout."""
    frame = pl.DataFrame(dict(columns))
    if path is None:
        sys.stdout.write(frame.write_ndjson() if as_json else frame.write_csv())
        return
    check_ending(path)
    try:
        WRITERS[path.suffix.lower()](frame, path)
    except (OSError, pl.exceptions.ComputeError) as fault:  # Polars' own: why, but not which file
        raise StorageFailed(
            f"could not write {path}: {fault}", hint="make room on the disk, or check its owner"
        ) from fault


def check_ending(path: Path) -> None:
    """Raises `UserError` when no writer knows the ending: ask before the work, not after it."""
    if path.suffix.lower() not in WRITERS:
        raise UserError(f"{path.name}: cannot write `{path.suffix}` files", hint=f"end it in {', '.join(WRITERS)}")
    if not path.resolve().parent.is_dir():
        raise UserError(f"there is no folder {path.resolve().parent}", hint="make it first")
