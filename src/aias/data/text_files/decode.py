"""The bytes of a text file → UTF-8 with `\\n` line ends; every change is noted.

What is tried: the encoding that was named, and no other; a byte order mark; two or four bytes a character without one;
UTF-8; UTF-8 with a few broken bytes; the encoding that the bytes read best in, unless two do.
"""

import codecs
import io
import re
import unicodedata
from typing import Final

from aias.core.events import Event
from aias.core.suggestions import did_you_mean
from aias.data.errors import Unreadable
from aias.data.text_files.charsets import USED, codec, is_sure, likely

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
_READ: Final = 1 << 15
"""Bytes of lines with more than ASCII by which an encoding is told: some thousand characters are plenty."""
_SHOWN: Final = 24
_PIECE: Final = 1 << 20
_GOOD_FOR_BROKEN: Final = 10
"""A few broken bytes among much good text are damage; otherwise it is another encoding."""
_GOOD_ELSEWHERE: Final = 100
"""In others than UTF-8, few bytes of whatever else are broken."""
_ASCII_SHARE: Final = 0.7
"""Of the first characters, where none of them is the end of a line."""
_BINARY: Final = re.compile(rb"[\x01-\x08\x0e-\x1f]")


def looks_binary(data: bytes) -> bool:
    """True for bytes that no encoding of text would give."""
    if data.startswith(tuple(bom for bom, _ in _BOMS)) or _bomless(data):
        return False
    head = data[:_HEAD]
    return len(_BINARY.findall(head)) > len(head) * 0.01 or head.count(0) > len(head) * 0.1


def head_of(data: bytes, encoding: str | None = None) -> bytes:
    """The first whole lines as UTF-8, to guess the format by; b"" when they are no text."""
    head = data[:_SNIFFED]
    if len(data) > _SNIFFED and not data.startswith(_WIDE_BOMS) and not _bomless(head) and not _is_wide(encoding):
        head = head.rpartition(b"\n")[0] or head
    try:
        return decoded(head, name="", encoding=encoding)[0]
    except Unreadable:
        return b""


def decoded(data: bytes, *, name: str, encoding: str | None = None) -> tuple[bytes, tuple[Event, ...]]:
    """UTF-8 bytes without byte order mark, NUL and carriage return, and notes on what was changed.

    Raises `Unreadable` for what is no text, is not in the `encoding` that was named, or may be in several.
    """
    if encoding is None and looks_binary(data):
        raise Unreadable(
            f"`{name}` is not a text file, and not in a format that Aias reads",
            hint="give CSV, TSV, JSONL, Parquet, Arrow, Excel or ARFF, or a zip, gzip or tar of one",
        )
    data, notes = _as_utf8(data, name) if encoding is None else _as_named(data, name, encoding)
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


def check_encoding(name: str | None) -> None:
    """Raises `Unreadable` where there is no such encoding."""
    if name is not None and codec(name) is None:
        near = did_you_mean(name, ["utf-8", "utf-16", "gbk", "big5", "shift_jis", "euc-kr", *USED])
        hint = near or f"for example utf-8, utf-16, gbk, {', '.join(USED)}"
        raise Unreadable(f"there is no encoding `{name}`", hint=hint)


def _as_named(data: bytes, name: str, encoding: str) -> tuple[bytes, tuple[Event, ...]]:
    check_encoding(encoding)
    found = codec(encoding)
    assert found is not None
    if found in {"utf-8", "utf-8-sig"}:
        data = data.removeprefix(codecs.BOM_UTF8)
    try:
        text = _recoded(data, found)
    except UnicodeError as fault:  # of UTF-16 and UTF-32 that does not say which byte of two comes first
        hint = f"name {found}-le or {found}-be" if b"\0" in data else _hint(data)
        raise Unreadable(f"`{name}` is not in {encoding}: {fault}", hint=hint) from None
    notes = () if found in {"utf-8", "utf-8-sig"} else (_read_as(f"`{name}` was read as {encoding}", encoding),)
    broken, line = _broken(text, data, found)
    if not broken:
        return text, notes
    if _is_another(text, broken, _GOOD_ELSEWHERE):
        raise Unreadable(f"`{name}` is not in {encoding}, the first fault is on line {line}", hint=_hint(data))
    return text, (*notes, _damaged(name, encoding, broken, line))


def _as_utf8(data: bytes, name: str) -> tuple[bytes, tuple[Event, ...]]:
    encoding = next((encoding for bom, encoding in _BOMS if data.startswith(bom)), None) or _bomless(data)
    if encoding == "utf-8-sig":
        data, encoding = data[3:], None
    if encoding:
        try:
            text = _recoded(data, encoding, errors="strict")
        except UnicodeError:
            raise Unreadable(f"`{name}` begins like {encoding} but is not", hint="save it as UTF-8") from None
        return text, (_read_as(f"`{name}` was read as {encoding}", encoding),)
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
    """Damaged UTF-8, or else what reads best. Raises `Unreadable` where more than one thing does."""
    mended = data.decode(errors="replace").encode()
    broken = mended.count(_REPLACED)
    if not _is_another(mended, broken, _GOOD_FOR_BROKEN):
        return mended, (_damaged(name, "UTF-8", broken, line),)
    sample = _beyond_ascii(data)
    readings = likely(sample)
    if not is_sure(readings):
        raise Unreadable(f"`{name}` is not UTF-8 (line {line}), and what else it is cannot be told", hint=_hint(data))
    best = readings[0]
    text = _recoded(data, best.encoding)
    broken, line_broken = _broken(text, data, best.encoding)
    if broken and _is_another(text, broken, _GOOD_ELSEWHERE):
        raise Unreadable(
            f"`{name}` begins as {best.encoding}, and line {line_broken} is something else", hint=_hint(data)
        )
    message = (
        f"`{name}` is not UTF-8 (line {line}); it was read as {best.encoding}, so that it says"
        f" {_shown(sample, best.encoding)}. If that is wrong, name its encoding with `--encoding`, or `encoding=`"
    )
    notes = (_read_as(message, best.encoding, "warning"),)
    return text, (*notes, _damaged(name, best.encoding, broken, line_broken)) if broken else notes


def _hint(data: bytes) -> str:
    """The encodings that the bytes may be in, and what they would say."""
    try:
        data.decode()
    except UnicodeDecodeError:
        pass
    else:
        return "it is UTF-8, which needs no `--encoding`, or `encoding=`"
    sample = _beyond_ascii(data)
    names = [one.encoding for one in likely(sample)[:3]]
    each = "; ".join(f"`--encoding {one}`, or `encoding=`, if it says {_shown(sample, one)}" for one in names)
    return f"{each}; or save it as UTF-8"


def _shown(sample: bytes, encoding: str) -> str:
    line = sample.partition(b"\n")[0].decode(encoding, "replace").strip()
    return f"“{line[:_SHOWN]}”" if line.isprintable() else ascii(line[:_SHOWN])


def _beyond_ascii(data: bytes) -> bytes:
    """The ends of the first lines that have more than ASCII, from a little before the first such byte on: before it all
    bytes are characters."""
    found: list[bytes] = []
    left, at = _READ, 0
    while left > 0 and (high := _HIGH.search(data, at)):
        end = _LINE_END.search(data, high.start())
        at = end.start() if end else len(data)
        before = max(high.start() - _SHOWN // 2, 0)
        start = max(before, data.rfind(b"\n", before, high.start()) + 1)
        found.append(data[start : min(at, high.start() + left)])
        left -= len(found[-1])
    return b"\n".join(found)


def _recoded(data: bytes, encoding: str, errors: str = "replace") -> bytes:
    """UTF-8, piece by piece: as one text it would take twice to four times as much."""
    decoder, out = codecs.getincrementaldecoder(encoding)(errors), io.BytesIO()
    for at in range(0, len(data), _PIECE):
        out.write(decoder.decode(data[at : at + _PIECE]).encode(errors="replace"))
    out.write(decoder.decode(b"", final=True).encode(errors="replace"))
    return out.getvalue()


def _broken(text: bytes, data: bytes, encoding: str) -> tuple[int, int]:
    """How many characters could not be read, and the line of the first; one that stood there as � is none of them."""
    meant = data.count("\ufffd".encode(encoding, "ignore") or b"\0\0") if encoding in {"gb18030", "utf-8"} else 0
    count = max(text.count(_REPLACED) - meant, 0)
    return count, text.count(b"\n", 0, text.find(_REPLACED)) + 1 if count else 0


def _is_another(text: bytes, broken: int, good_min: int) -> bool:
    """Whether so many broken characters are too many for damage."""
    good = sum(map(len, re.findall(r"[^\x00-\x7f\ufffd]+", text.decode())))
    return good <= good_min * broken


def _bomless(data: bytes) -> str | None:
    """UTF-32 or UTF-16 without a mark: only characters that are assigned, in lines."""
    head = data[: _HEAD // 4 * 4]
    if len(head) < 4 or len(data) % 2 or 0 not in head:
        return None
    fits = [f"utf-{16 * words}-{order}" for words in (2, 1) for order in ("le", "be") if len(data) % (2 * words) == 0]
    return next((each for each in fits if _reads_wide(head, each)), None)


def _reads_wide(head: bytes, encoding: str) -> bool:
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeError:
        return False
    told = "\n" in text or sum(map(str.isascii, text)) > _ASCII_SHARE * len(text)
    return told and all(char in "\t\r\n" or unicodedata.category(char) not in _NOT_WRITTEN for char in text)


def _is_wide(encoding: str | None) -> bool:
    return encoding is not None and (codec(encoding) or "").startswith(("utf-16", "utf-32"))


_REPLACED: Final = "\ufffd".encode()
_HIGH: Final = re.compile(rb"[\x80-\xff]")
_LINE_END: Final = re.compile(rb"[\r\n]")
_NOT_WRITTEN: Final = frozenset({"Cc", "Cn", "Cs", "Co"})


def _damaged(name: str, encoding: str, broken: int, line: int) -> Event:
    message = f"`{name}` holds {broken} broken {encoding} characters, the first on line {line}; each was read as \ufffd"
    return _note(message)


def _read_as(message: str, encoding: str, level: str = "info") -> Event:
    return Event("data.decoded", message, "info" if level == "info" else "warning", {"encoding": encoding})


def _note(message: str, level: str = "warning") -> Event:
    return Event("data.decoded", message, "info" if level == "info" else "warning")
