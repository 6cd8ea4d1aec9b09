"""gzip, bzip2, xz, zip and tar, in memory and bounded. A name inside an archive is a label, never used as a path."""

import bz2
import functools
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Any, Final

from aias.core.limits import ARCHIVE_FILES_MAX, UNPACK_RATIO_MAX, UNPACKED_BYTES_MAX
from aias.data.errors import TooLarge, Unreadable
from aias.data.readers.contract import File

_PIECE: Final = 1 << 20
_SLACK: Final = 64 << 20
"""Below this a bomb does no harm, and small files of constants shrink more than a bomb's ratio."""

_WINDOW_MAX: Final = 256 << 20
"""Of what xz keeps of the text that it refers to; `xz -9` asks for 65 MiB, and a file may say 4 GiB."""

_STREAMS: Final[dict[bytes, tuple[str, dict[str, str], Callable[[], Any]]]] = {
    b"\x1f\x8b": ("gzip", {".gz": "", ".tgz": ".tar", ".gzip": ""}, functools.partial(zlib.decompressobj, wbits=31)),
    b"BZh": ("bzip2", {".bz2": "", ".tbz2": ".tar"}, bz2.BZ2Decompressor),
    b"\xfd7zXZ\0": ("xz", {".xz": "", ".txz": ".tar"}, functools.partial(lzma.LZMADecompressor, memlimit=_WINDOW_MAX)),
}
"""How each begins: its name, its suffixes, and what unpacks it."""

_BLOCK: Final = b"1AY&SY"
"""How what bzip2 packed goes on: `BZh` alone may be the name of a column."""

_FOREIGN: Final = {
    b"\x28\xb5\x2f\xfd": "zstd", b"7z\xbc\xaf\x27\x1c": "7z", b"Rar!\x1a\x07": "RAR", b"\x04\x22\x4d\x18": "LZ4",
}  # fmt: skip
_PROSE: Final = (".names", ".md", ".pdf", ".html", ".htm", ".py", ".r", ".sh", ".bib")


def is_packed(data: bytes) -> bool:
    """Whether it is one file in gzip, bzip2 or xz."""
    return data.startswith(tuple(_STREAMS)) and (data[:3] != b"BZh" or data[4:10] == _BLOCK)


def packed_otherwise(data: bytes) -> str:
    """The format of what is packed and cannot be unpacked, "" where there is none."""
    return next((name for magic, name in _FOREIGN.items() if data.startswith(magic)), "")


def is_zip(data: bytes) -> bool:
    return data.startswith((b"PK\x03\x04", b"PK\x05\x06"))


def is_tar(data: bytes) -> bool:
    return data[257:262] == b"ustar"


def unpacked(file: File) -> File:
    """The one file in a packed one. Raises `TooLarge` on a bomb, `Unreadable` on a damaged one."""
    magic = next(magic for magic in _STREAMS if file.data.startswith(magic))
    what, suffixes, open_one = _STREAMS[magic]
    limit = _limit(len(file.data))
    out: list[bytes] = []
    size = 0
    try:
        for piece in _pieces(file, magic, open_one):
            out.append(piece)
            size += len(piece)
            if size > limit:
                raise _bomb(file.name, limit)
    except (zlib.error, lzma.LZMAError, OSError) as fault:
        if isinstance(fault, lzma.LZMAError) and "limit" in str(fault):
            asked = f"`{file.name}` asks for more than {_WINDOW_MAX >> 20} MiB of memory to be unpacked"
            raise TooLarge(asked, hint="pack it by `xz -9` or gzip") from None
        raise Unreadable(f"`{file.name}` is a damaged {what} file: {fault}", hint="copy it again") from None
    name = file.name
    for suffix, instead in suffixes.items():
        name = name[: -len(suffix)] + instead if name.lower().endswith(suffix) else name
    return File(name, b"".join(out))


def _pieces(file: File, magic: bytes, open_one: Callable[[], Any]) -> Iterator[bytes]:
    """Of one packed stream after another. Raises what the unpacker raises; `Unreadable` where one ends too early."""
    rest = file.data
    while rest.startswith(magic):
        unpacker = open_one()
        piece = unpacker.decompress(rest, _PIECE)
        while piece or not unpacker.eof:
            left = getattr(unpacker, "unconsumed_tail", b"")  # of gzip; the others keep it themselves
            if not piece and not left and getattr(unpacker, "needs_input", True):
                raise Unreadable(f"`{file.name}` ends too early", hint="copy it again: its end is missing")
            yield piece
            piece = b"" if unpacker.eof else unpacker.decompress(left, _PIECE)
        rest = unpacker.unused_data


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
