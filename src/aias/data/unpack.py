"""gzip, zip and tar, in memory and bounded. A name inside an archive is a label, never used as a path."""

import io
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Final

from aias.core.limits import ARCHIVE_FILES_MAX, UNPACK_RATIO_MAX, UNPACKED_BYTES_MAX
from aias.data.errors import TooLarge, Unreadable
from aias.data.readers.contract import File

_PIECE: Final = 1 << 20
_SLACK: Final = 64 << 20
"""Below this a bomb does no harm, and small files of constants shrink more than a bomb's ratio."""

_PROSE: Final = (".names", ".md", ".pdf", ".html", ".htm", ".py", ".r", ".sh", ".bib")


def is_gzip(data: bytes) -> bool:
    return data.startswith(b"\x1f\x8b")


def is_zip(data: bytes) -> bool:
    return data.startswith((b"PK\x03\x04", b"PK\x05\x06"))


def is_tar(data: bytes) -> bool:
    return data[257:262] == b"ustar"


def gunzip(file: File) -> File:
    """The one file in a gzip file. Raises `TooLarge` on a bomb, `Unreadable` on a damaged one."""
    limit = _limit(len(file.data))
    out: list[bytes] = []
    size, rest = 0, file.data
    try:
        while rest.startswith(b"\x1f\x8b"):
            unpacker = zlib.decompressobj(wbits=31)
            piece = unpacker.decompress(rest, _PIECE)
            while piece or not unpacker.eof:
                if not piece and not unpacker.unconsumed_tail:
                    raise Unreadable(f"`{file.name}` ends too early", hint="copy it again: its end is missing")
                out.append(piece)
                size += len(piece)
                if size > limit:
                    raise _bomb(file.name, limit)
                piece = unpacker.decompress(unpacker.unconsumed_tail, _PIECE)
            rest = unpacker.unused_data
    except zlib.error as fault:
        raise Unreadable(f"`{file.name}` is a damaged gzip file: {fault}", hint="copy it again") from None
    name = file.name
    for suffix, instead in ((".gz", ""), (".tgz", ".tar"), (".gzip", "")):
        name = name[: -len(suffix)] + instead if name.lower().endswith(suffix) else name
    return File(name, b"".join(out))


def members(file: File) -> list[str]:
    """The names of the regular files in a zip or tar, without what an operating system added."""
    with _opened(file) as archive:
        if isinstance(archive, zipfile.ZipFile):
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
        else:
            names = [member.name for member in _tar_files(archive, file.name)]
    if len(names) > ARCHIVE_FILES_MAX:
        raise TooLarge(f"`{file.name}` holds {len(names):,} files; at most {ARCHIVE_FILES_MAX:,} are read")
    return [name for name in names if not is_litter(name)]


def is_litter(name: str) -> bool:
    """Hidden files and what macOS leaves behind."""
    parts = (part for part in name.replace("\\", "/").split("/") if part not in {"..", "."})
    return any(part.startswith((".", "__MACOSX")) for part in parts)


def is_prose(name: str) -> bool:
    """A file about the data, not of it."""
    last = name.lower().rpartition("/")[2]
    return last.endswith(_PROSE) or last.startswith(("readme", "source.", "license", "licence", "copying"))


def texts(file: File, names: list[str]) -> Iterator[File]:
    """The named files of a zip or tar, one after the other, bounded together."""
    wanted, left = set(names), _limit(len(file.data))
    with _opened(file) as archive:
        try:
            for name, stream in _streams(archive, wanted, file.name):
                data = stream.read(left + 1)
                left -= len(data)
                if left < 0:
                    raise _bomb(file.name, _limit(len(file.data)))
                yield File(name, data)
        except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, OSError, NotImplementedError) as fault:
            raise Unreadable(f"`{file.name}` is a damaged archive: {fault}", hint="copy or pack it again") from None
        except RuntimeError as fault:  # zipfile's own word for a password
            raise Unreadable(f"`{file.name}` cannot be unpacked: {fault}", hint="unpack it yourself first") from None


def _streams(
    archive: zipfile.ZipFile | tarfile.TarFile, wanted: set[str], name: str
) -> Iterator[tuple[str, IO[bytes]]]:
    if isinstance(archive, zipfile.ZipFile):
        for info in archive.infolist():
            if info.filename in wanted and not info.is_dir():
                with archive.open(info) as stream:
                    yield info.filename, stream
        return
    for member in _tar_files(archive, name):
        inside = archive.extractfile(member)
        if member.name in wanted and inside:
            yield member.name, inside


def _tar_files(archive: tarfile.TarFile, name: str) -> list[tarfile.TarInfo]:
    try:
        return [member for member in archive.getmembers() if member.isreg()]
    except (tarfile.TarError, EOFError, OSError, ValueError) as fault:
        raise Unreadable(f"`{name}` is a damaged tar file: {fault}", hint="copy or pack it again") from None


def _opened(file: File) -> zipfile.ZipFile | tarfile.TarFile:
    source = io.BytesIO(file.data)
    try:
        return zipfile.ZipFile(source) if is_zip(file.data) else tarfile.open(fileobj=source, mode="r:")
    except (zipfile.BadZipFile, tarfile.TarError, ValueError, EOFError, OSError) as fault:
        raise Unreadable(f"`{file.name}` is a damaged archive: {fault}", hint="copy or pack it again") from None


def _limit(packed: int) -> int:
    return min(UNPACKED_BYTES_MAX, UNPACK_RATIO_MAX * packed + _SLACK)


def _bomb(name: str, limit: int) -> TooLarge:
    return TooLarge(f"`{name}` unpacks to more than {limit:,} bytes", hint="unpack it yourself, and give the file")
