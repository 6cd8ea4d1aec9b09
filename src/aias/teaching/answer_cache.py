"""Answers that were given, one a line, so that nothing is asked, or paid for, twice.

<folder>/<identity>.jsonl     a line is whole or left out: a kill may tear the last one
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from aias.core.names import short_digest
from aias.teaching.teachers.contract import Row, Said

SYNC_EVERY: Final = 100
"""Answers that a power cut may take at most; what only kills the process takes none."""


class _Line(msgspec.Struct):
    key: str
    said: Said


class AnswerCache:
    """Of one teacher and one question. Several processes may add to it."""

    def __init__(self, folder: Path, identity: Iterable[str]) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = short_digest(f"{each}\0".encode() for each in identity)
        self._path = folder / f"{name}.jsonl"
        self._said: dict[str, Said] = {}
        self._torn, self._unsafe = False, 0
        if self._path.exists():
            self._load(self._path.read_bytes())

    def get(self, key: str) -> Said | None:
        return self._said.get(key)

    def put(self, found: Iterable[tuple[str, Said]]) -> None:
        """Written before it is told of."""
        pairs = list(found)
        lines = b"".join(msgspec.json.encode(_Line(key, said)) + b"\n" for key, said in pairs)
        place = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(place, b"\n" + lines if self._torn else lines)
            self._unsafe += len(pairs)
            if self._unsafe >= SYNC_EVERY:
                self._unsafe = 0
                os.fsync(place)
        finally:
            os.close(place)
        self._torn = False
        self._said.update(pairs)

    def _load(self, held: bytes) -> None:
        self._torn = bool(held) and not held.endswith(b"\n")
        for line in held.split(b"\n"):
            try:
                found = msgspec.json.decode(line, type=_Line)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                continue
            self._said[found.key] = found.said


def key_of(row: Row) -> str:
    """The row's own name: equal rows are asked once."""
    return short_digest([msgspec.json.encode(row, order="sorted", enc_hook=str)], 24)
