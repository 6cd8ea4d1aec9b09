"""Files that are written atomically, whole or not at all; and caches in them: what cannot be read is measured again."""

import time
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec

T = TypeVar("T")


def read_cached(path: Path | None, kind: type[T]) -> T | None:
    """None where nothing can be read, or no place was named."""
    try:
        return None if path is None else msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError):
        return None


def write_cached(path: Path | None, found: object) -> None:
    """A cache that cannot be written is none."""
    if path is not None:
        with suppress(OSError):
            write_atomically(path, msgspec.json.encode(found))


def write_atomically(path: Path, held: bytes) -> None:
    """Whoever reads finds what was there before, or all of it; a power cut may take it. Makes the folder. Raises
    `OSError`."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_suffix(f".{time.monotonic_ns()}")
    try:
        fresh.write_bytes(held)
        fresh.replace(path)
    except OSError:
        # On a full disk there would be another each time.
        with suppress(OSError):
            fresh.unlink()
        raise
