"""Seal: bytes in memory become an immutable folder named by its digest, wholly or not at all."""

import errno
import hashlib
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from aias.artifact.disk import DISK, Disk, storage_failed
from aias.artifact.manifest import FileEntry, Manifest, read_manifest
from aias.artifact.names import MANIFEST, MEMBER, folder_name
from aias.artifact.verify import verify
from aias.core.errors import Damaged, UserError
from aias.core.events import Event, Watch, nobody
from aias.core.failpoints import failpoint
from aias.core.limits import ARTIFACT_FILES_MAX

TEMPORARY: Final = ".tmp-"
"""Folders beginning so are in the making or on their way out; whoever finds one that nobody holds may remove it."""


class BadMember(UserError):
    """A file that an artifact cannot hold."""

    code = "artifact.bad-member"


def seal(
    artifacts: Path, files: Mapping[str, bytes], manifest: Manifest, *, disk: Disk = DISK, watch: Watch = nobody
) -> Manifest:
    """Write an artifact as a folder of `artifacts`, named by its digest; return its manifest with `files` filled in.

    On return everything is on the disk: files → their folders → rename → `artifacts`. Sealing the same again is sealing
    once. Raises `BadMember`, `Damaged` on a manifest that cannot be read back, and `StorageFailed` after which nothing
    of it is visible under a digest, or all of it.
    """
    complete = replace(manifest, files=entries(files))
    read_manifest(complete.as_bytes())  # NaN is no JSON: what nobody could load is not sealed
    final = artifacts / folder_name(complete.digest)
    temporary = temporary_in(artifacts)
    try:
        _write(temporary, {**files, MANIFEST: complete.as_bytes()}, disk)
        failpoint("seal.before_rename")
        _place(temporary, final, complete.digest, disk=disk, watch=watch)
        failpoint("seal.after_rename")
        disk.sync_folder(artifacts)
    except BaseException as fault:
        _forget(temporary, disk)
        if isinstance(fault, OSError):
            raise storage_failed(final, fault) from fault
        raise
    failpoint("seal.after_sync")
    return complete


def entries(files: Mapping[str, bytes]) -> tuple[FileEntry, ...]:
    """The manifest's list of files, by path."""
    if len(files) > ARTIFACT_FILES_MAX:
        raise BadMember(f"{len(files)} files are more than an artifact may hold ({ARTIFACT_FILES_MAX})")
    for path in files:
        if not MEMBER.fullmatch(path) or path == MANIFEST:
            raise BadMember(f"{path!r} cannot be a file of an artifact", hint="for example `encoders/0.json`")
    return tuple(
        FileEntry(path, hashlib.sha256(content).hexdigest(), len(content)) for path, content in sorted(files.items())
    )


def temporary_in(artifacts: Path) -> Path:
    """A name in the same file system that nobody else has."""
    return artifacts / f"{TEMPORARY}{secrets.token_hex(8)}"


def _write(folder: Path, files: Mapping[str, bytes], disk: Disk) -> None:
    folders = [folder, *sorted({folder / path.split("/")[0] for path in files if "/" in path})]
    for each in folders:
        disk.mkdir(each, 0o700)
    failpoint("seal.after_folder")
    for path, content in files.items():
        disk.write_file(folder / path, content)
        failpoint("seal.after_file")
    for each in reversed(folders):
        disk.sync_folder(each)


def _place(temporary: Path, final: Path, digest: str, *, disk: Disk, watch: Watch) -> None:
    """Rename into place. An equal artifact that is already there stays, unless it has been damaged."""
    try:
        disk.rename(temporary, final)
    except OSError as fault:
        if fault.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
        try:
            verify(final, digest)
        except Damaged as damage:
            watch(Event("artifact.replaced", f"replaced a damaged artifact: {damage}", level="warning"))
            disk.rename(final, temporary_in(final.parent))
            disk.rename(temporary, final)
        else:
            _forget(temporary, disk)


def _forget(folder: Path, disk: Disk) -> None:
    with suppress(OSError):  # what cannot be removed now is collected later
        disk.rmtree(folder)
