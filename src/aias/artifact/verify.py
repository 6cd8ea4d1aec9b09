"""Verify: a folder is exactly what was sealed under its digest, before anything in it is parsed.

The manifest's digest comes first, then the manifest, then the structure, then each file's size and bytes. Links are
never followed, and nothing but plain files is ever opened for reading.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from aias.artifact.manifest import FileEntry, Manifest, read_manifest
from aias.artifact.names import MANIFEST, MEMBER
from aias.core.errors import AiasError, Damaged, StorageFailed
from aias.core.limits import ARTIFACT_FILES_MAX, MANIFEST_BYTES_MAX
from aias.core.names import digest_of

_CHUNK_BYTES: Final = 1 << 20
_FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without NONBLOCK, opening a named pipe that lies where a file should would wait for ever.
_FILE_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


_NOT_OURS: Final = (errno.ELOOP, errno.ENOTDIR, errno.ENXIO, errno.EMLINK)


class DamagedArtifact(Damaged):
    """An artifact's folder is missing, or not as it was sealed.

    `file` is the member that is wrong; empty when the folder itself is missing.
    """

    code = "artifact.damaged"

    def __init__(self, message: str, *, file: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.file = file


def verify(folder: Path, digest: str) -> Manifest:
    """Return the manifest of an intact artifact.

    Raises `DamagedArtifact` naming the first file that is not right, `StorageFailed` when the disk does not answer.
    """
    try:
        with _open_folder(folder.name, folder) as root:
            return _verify(root, folder.name, digest)
    except OSError as fault:
        raise _unreadable(folder.name, fault) from fault


def _verify(root: int, artifact: str, digest: str) -> Manifest:
    raw = _read(root, artifact)
    if digest_of([raw]) != digest:
        raise _damaged(artifact, MANIFEST, "is not the one that was sealed under this name")
    manifest = read_manifest(raw)
    _check_structure(root, artifact, {entry.path for entry in manifest.files})
    for entry in manifest.files:
        _check_file(root, artifact, entry)
    return manifest


def _read(root: int, artifact: str) -> bytes:
    with _open_file(root, artifact, MANIFEST) as fd:
        size = os.fstat(fd).st_size
        if size > MANIFEST_BYTES_MAX:
            raise _damaged(artifact, MANIFEST, f"has {size} bytes; {MANIFEST_BYTES_MAX} are the most")
        return b"".join(_chunks(fd))


def _check_structure(root: int, artifact: str, listed: set[str]) -> None:
    if len(listed) > ARTIFACT_FILES_MAX:
        raise _damaged(artifact, MANIFEST, f"lists {len(listed)} files; {ARTIFACT_FILES_MAX} are the most")
    for path in listed:
        if not MEMBER.fullmatch(path) or path == MANIFEST:
            raise _damaged(artifact, MANIFEST, f"lists {path!r}, which cannot be a file of an artifact")
    folders = {path.split("/")[0] for path in listed if "/" in path}
    present = set(_members(root, artifact, folders))
    for path in sorted({MANIFEST, *listed} ^ present):
        raise _damaged(artifact, path, "was not sealed with it" if path in present else "is missing")


def _members(root: int, artifact: str, folders: set[str]) -> Iterator[str]:
    """The paths of all that lies in the folder, one level deep; a folder that should not be there is a path itself."""
    for name in os.listdir(root):
        if name not in folders:
            yield name
            continue
        with _open_folder(artifact, name, root) as inner:
            for member in os.listdir(inner):  # noqa: PTH208  a descriptor has no path
                yield f"{name}/{member}"


def _check_file(root: int, artifact: str, entry: FileEntry) -> None:
    with _open_file(root, artifact, entry.path) as fd:
        size = os.fstat(fd).st_size
        if size != entry.size_bytes:
            raise _damaged(artifact, entry.path, f"has {size} bytes; it was sealed with {entry.size_bytes}")
        hasher = hashlib.sha256()
        for chunk in _chunks(fd):
            hasher.update(chunk)
    if hasher.hexdigest() != entry.sha256:
        raise _damaged(artifact, entry.path, "has other bytes than it was sealed with")


@contextmanager
def _open_folder(artifact: str, path: str | Path, within: int | None = None) -> Iterator[int]:
    member = "" if within is None else str(path)
    try:
        fd = os.open(path, _FOLDER_FLAGS, dir_fd=within)
    except OSError as fault:
        raise _unopened(artifact, member, fault) from None
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def _open_file(root: int, artifact: str, path: str) -> Iterator[int]:
    """A plain file reached without following a link, in `root` or one folder below it."""
    head, _, name = path.rpartition("/")
    if head:
        with _open_folder(artifact, head, root) as inner, _open_plain(inner, artifact, name, path) as fd:
            yield fd
    else:
        with _open_plain(root, artifact, name, path) as fd:
            yield fd


@contextmanager
def _open_plain(within: int, artifact: str, name: str, path: str) -> Iterator[int]:
    try:
        fd = os.open(name, _FILE_FLAGS, dir_fd=within)
    except OSError as fault:
        raise _unopened(artifact, path, fault) from None
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise _damaged(artifact, path, "is not a plain file")
        yield fd
    finally:
        os.close(fd)


def _chunks(fd: int) -> Iterator[bytes]:
    while chunk := os.read(fd, _CHUNK_BYTES):
        yield chunk


def _unopened(artifact: str, file: str, fault: OSError) -> AiasError:
    if fault.errno == errno.ENOENT:
        return _damaged(artifact, file, "is missing")
    if fault.errno in _NOT_OURS:
        return _damaged(artifact, file, f"is neither the plain file nor the folder that was sealed ({fault.strerror})")
    return _unreadable(artifact, fault)


def _unreadable(artifact: str, fault: OSError) -> StorageFailed:
    return StorageFailed(f"cannot read artifact {artifact[:12]}: {fault.strerror}", hint="check the disk's health")


def _damaged(artifact: str, file: str, what: str) -> DamagedArtifact:
    subject = f"`{file}` of artifact {artifact[:12]}" if file else f"the folder of artifact {artifact[:12]}"
    return DamagedArtifact(
        f"{subject} {what}", file=file, hint="restore it from a copy, or train and publish the version again"
    )
