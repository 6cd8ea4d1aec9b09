"""The bytes of a text file → UTF-8 with `\\n` line ends; every change is noted."""

import re
from typing import Final

import numpy as np

from aias.core.events import Event
from aias.data.errors import Unreadable

_BOMS: Final = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
    (b"\xef\xbb\xbf", "utf-8-sig"),
)
_WIDE_BOMS: Final = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
_HEAD: Final = 4_096
_SNIFFED: Final = 1 << 18
_HIGH_MIN: Final = 20
"""On fewer, one `größe` decides."""
_TOGETHER_SHARE: Final = 0.6
_BINARY: Final = re.compile(rb"[\x01-\x08\x0e-\x1f]")


def looks_binary(data: bytes) -> bool:
    """True for bytes that no encoding of text would give."""
    if data.startswith(tuple(bom for bom, _ in _BOMS)) or _bomless_utf16(data):
        return False
    head = data[:_HEAD]
    return len(_BINARY.findall(head)) > len(head) * 0.01 or head.count(0) > len(head) * 0.1


def head_of(data: bytes) -> bytes:
    """The first whole lines as UTF-8, to guess the format by; b"" when they are no text."""
    head = data[:_SNIFFED]
    if len(data) > _SNIFFED and not data.startswith(_WIDE_BOMS) and not _bomless_utf16(head):
        head = head.rpartition(b"\n")[0] or head
    try:
        return decoded(head, name="")[0]
    except Unreadable:
        return b""


def decoded(data: bytes, *, name: str) -> tuple[bytes, tuple[Event, ...]]:
    """UTF-8 bytes without byte order mark, NUL and carriage return, and notes on what was changed."""
    if looks_binary(data):
        raise Unreadable(
            f"`{name}` is not a text file, and not in a format that Aias reads",
            hint="give CSV, TSV, JSONL, Parquet, Arrow, Excel or ARFF, or a zip, gzip or tar of one",
        )
    data, notes = _as_utf8(data, name)
    if b"\0" in data:
        notes += (_note(f"`{name}` holds {data.count(0)} NUL characters; they were taken out"),)
        data = data.replace(b"\0", b"")
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n")
        if b"\r" in data:
            notes += (
                _note(f"`{name}` has {data.count(13)} lone carriage returns; each was read as the end of a line"),
            )
            data = data.replace(b"\r", b"\n")
    return data, notes


def _as_utf8(data: bytes, name: str) -> tuple[bytes, tuple[Event, ...]]:
    encoding = next((encoding for bom, encoding in _BOMS if data.startswith(bom)), None) or _bomless_utf16(data)
    if encoding == "utf-8-sig":
        data, encoding = data[3:], None
    if encoding:
        try:
            return data.decode(encoding).encode(), (_note(f"`{name}` was read as {encoding}", "info"),)
        except UnicodeError:
            raise Unreadable(f"`{name}` begins like {encoding} but is not", hint="save it as UTF-8") from None
    try:
        data.decode()
    except UnicodeDecodeError as fault:
        line = data.count(b"\n", 0, fault.start) + 1
        return _whole_pairs(data, name, line) or _guessed(data, name, line)
    return data, ()


def _whole_pairs(data: bytes, name: str, line: int) -> tuple[bytes, tuple[Event, ...]] | None:
    """UTF-8 but for surrogates, which some programs write one by one: both halves of a pair are a character, one alone
    is none. None for all other bytes."""
    try:
        text = data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return None
    mended = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    alone = mended.count("\ufffd") - text.count("\ufffd")
    read = f"; {alone} of them stood alone and were read as \ufffd" if alone else ""
    return mended.encode(), (_note(f"`{name}` holds halves of surrogate pairs, the first on line {line}{read}"),)


def _guessed(data: bytes, name: str, line: int) -> tuple[bytes, tuple[Event, ...]]:
    """A few broken bytes among much good UTF-8 are damage; otherwise it is another encoding."""
    mended = data.decode(errors="replace")
    broken = mended.count("\ufffd")
    good = sum(map(len, re.findall(r"[^\x00-\x7f\ufffd]+", mended)))
    if good > 10 * broken:
        message = f"`{name}` holds {broken} broken UTF-8 characters, the first on line {line}; each was read as \ufffd"
        return mended.encode(), (_note(message),)
    if _far_from_latin(data):
        raise Unreadable(
            f"`{name}` is not UTF-8 (line {line}), and no western text either; which of many it is cannot be told",
            hint="save it as UTF-8: `iconv -f GB18030 -t UTF-8 old.csv > new.csv`, or from SHIFT_JIS, EUC-KR, CP1251",
        )
    windows = re.search(rb"[\x80-\x9f]", data) and not re.search(rb"[\x81\x8d\x8f\x90\x9d]", data)
    encoding = "windows-1252" if windows else "latin-1"
    message = f"`{name}` is not UTF-8 (line {line}); it was read as {encoding}. If letters look wrong, save it as UTF-8"
    return data.decode(encoding).encode(), (_note(message),)


def _far_from_latin(data: bytes) -> bool:
    """Letters beyond ASCII stand alone in western texts, together in Chinese, Japanese, Korean, Cyrillic or Greek."""
    high = np.flatnonzero(np.frombuffer(data, np.uint8) >= 0x80)
    steps = np.diff(high, prepend=-2) == 1
    together = int((steps | np.append(steps[1:], np.False_)).sum())
    return len(high) >= _HIGH_MIN and together > _TOGETHER_SHARE * len(high)


def _bomless_utf16(data: bytes) -> str | None:
    head = data[: _HEAD // 2 * 2]
    if len(head) < 4 or len(data) % 2:
        return None
    even, odd = head[::2].count(0) / len(head) * 2, head[1::2].count(0) / len(head) * 2
    if odd > 0.7 and even < 0.05:
        return "utf-16-le"
    return "utf-16-be" if even > 0.7 and odd < 0.05 else None


def _note(message: str, level: str = "warning") -> Event:
    return Event("data.decoded", message, "info" if level == "info" else "warning")
