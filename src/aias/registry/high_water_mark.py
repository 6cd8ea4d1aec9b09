"""How many versions were ever published in a home, kept beside its database.

A database that knows of fewer is new or an older copy: what it does not know are no leftovers, and must be kept.
Written without care for power cuts: a mark that is lost or behind is put right by the next opening.
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class HighWaterMark:
    """The count in the file at `path`."""

    path: Path

    def read(self) -> int:
        """The count; 0 when there is none."""
        try:
            return int(self.path.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return 0

    def write(self, count: int) -> None:
        with suppress(OSError):
            fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                os.write(fd, b"%d" % count)
            finally:
                os.close(fd)
