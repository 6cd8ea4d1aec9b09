"""Artifacts as folders on this machine, each named by its digest."""

import re
import stat
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from aias.artifact.disk import DISK, Disk, storage_failed
from aias.artifact.manifest import Manifest
from aias.artifact.names import folder_name
from aias.artifact.seal import TEMPORARY, seal, temporary_in
from aias.artifact.verify import DamagedArtifact
from aias.core.events import Watch, nobody
from aias.core.failpoints import failpoint

_FOLDER: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class DiskStore:
    """`root` is made when it is missing. `clock` gives seconds since 1970, as the file system does."""

    root: Path
    disk: Disk = DISK
    watch: Watch = nobody
    clock: Callable[[], float] = field(default=time.time)

    def __post_init__(self) -> None:
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as fault:
            raise storage_failed(self.root, fault) from fault

    def put(self, files: Mapping[str, bytes], manifest: Manifest) -> Manifest:
        try:
            # The folder's own name may be as new as the artifact.
            self.disk.sync_folder(self.root.parent)
        except OSError as fault:
            raise storage_failed(self.root, fault) from fault
        return seal(self.root, files, manifest, disk=self.disk, watch=self.watch)

    def folder(self, digest: str) -> Path:
        folder = self.root / folder_name(digest)
        if not folder.is_dir():
            raise DamagedArtifact(f"there is no artifact {digest} in {self.root}", hint="restore it from a copy")
        return folder

    def digests(self) -> set[str]:
        return {f"sha256:{path.name}" for path in self.root.iterdir() if _FOLDER.fullmatch(path.name)}

    def collect(self, needed: Collection[str], *, older_than_seconds: float) -> list[str]:
        keep = {folder_name(digest) for digest in needed}
        removed = []
        for path in sorted(self.root.iterdir()):
            # Only folders are ours: a link or a file under such a name cannot be removed as one, nor stop the others.
            ours = _is_folder(path) and (path.name.startswith(TEMPORARY) or _FOLDER.fullmatch(path.name))
            if ours and path.name not in keep and self._is_older(path, older_than_seconds):
                self._remove(path)
                removed.append(path.name)
        return removed

    def _is_older(self, path: Path, seconds: float) -> bool:
        # Zero means everything, also what a clock that was set back calls future.
        return seconds <= 0 or self.clock() - path.lstat().st_mtime >= seconds

    def _remove(self, path: Path) -> None:
        """Rename first: half an artifact never stands under a digest, wherever the removal stops."""
        doomed = temporary_in(self.root)
        try:
            failpoint("collect.before_move")
            self.disk.rename(path, doomed)
            failpoint("collect.after_move")
            self.disk.rmtree(doomed)
        except OSError as fault:
            raise storage_failed(path, fault) from fault


def _is_folder(path: Path) -> bool:
    return stat.S_ISDIR(path.lstat().st_mode)
