"""What was measured once and is kept in a file: a cache, so what cannot be read is measured again."""

import time
from pathlib import Path
from typing import TypeVar

import msgspec

T = TypeVar("T")


def kept(path: Path | None, kind: type[T]) -> T | None:
    """None where nothing can be read, or no place was named."""
    try:
        return None if path is None else msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError):
        return None


def keep(path: Path | None, found: object) -> None:
    """Written whole or not at all. A cache that cannot be written is none."""
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(f".{time.monotonic_ns()}")
        fresh.write_bytes(msgspec.json.encode(found))
        fresh.replace(path)
    except OSError:
        return
