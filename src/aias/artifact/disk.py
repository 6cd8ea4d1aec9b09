"""Every call that changes a disk, in one place, so that a test can make each of them fail."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aias.core.errors import StorageFailed


@dataclass(frozen=True, slots=True)
class Disk:
    """The operating system's own calls, unless others are given."""

    mkdir: Callable[[Path, int], None] = os.mkdir
    open: Callable[[Path, int, int], int] = os.open
    write: Callable[[int, memoryview], int] = os.write
    fsync: Callable[[int], None] = os.fsync
    rename: Callable[[Path, Path], None] = os.rename
    rmtree: Callable[[Path], None] = shutil.rmtree

    def write_file(self, path: Path, content: bytes) -> None:
        """Make a new file of these bytes; on return they are on the disk, its name in the folder not yet."""
        # Synced on the descriptor that wrote: another one need not hear of an error in writing back.
        fd = self.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o400)
        try:
            left = memoryview(content)
            while left:
                left = left[self.write(fd, left) :]
            self.fsync(fd)
        finally:
            os.close(fd)

    def sync_folder(self, folder: Path) -> None:
        """Put the names in a folder on the disk."""
        fd = self.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, 0)
        try:
            self.fsync(fd)
        finally:
            os.close(fd)


DISK: Final = Disk()


def storage_failed(path: Path, fault: OSError) -> StorageFailed:
    """The fault as a sentence, with what to do."""
    return StorageFailed(
        f"could not write {path}: {fault.strerror or fault}; nothing was published",
        hint="make room on the disk, or check its health, and try again",
    )
