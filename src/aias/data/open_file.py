"""A path → the bytes of one regular file, whole and as they were at one moment."""

import os
import stat
from pathlib import Path
from typing import IO

from aias.core.limits import FILE_BYTES_MAX
from aias.data.errors import TooLarge, Unreadable
from aias.data.readers.contract import File


def opened(path: Path) -> File:
    """The file, named as its path ends. Raises `Unreadable` and `TooLarge`."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # before it is opened: a pipe would wait
            raise Unreadable(f"`{path}` is not a regular file", hint="save the data to a file first")
        with path.open("rb") as file:
            return File(path.name, whole(file, str(path)))
    except PermissionError:
        raise Unreadable(f"`{path}` may not be read", hint=f"`chmod u+r {path}`") from None


def whole(file: IO[bytes], name: str) -> bytes:
    """All that is in it, unless somebody writes to it at the same time: what was read is then neither old nor new."""
    before = os.fstat(file.fileno())
    if before.st_size > FILE_BYTES_MAX:
        raise TooLarge(f"`{name}` has {before.st_size:,} bytes; at most {FILE_BYTES_MAX:,} are read")
    data = file.read(before.st_size + 1)  # room is made for as much as is asked for
    after = os.fstat(file.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or len(data) != after.st_size:
        raise Unreadable(
            f"`{name}` changed while it was read: it had {before.st_size:,} bytes and has {after.st_size:,} now",
            hint="read it again when it is written, or read a copy of it",
        )
    return data
