"""JSON into plain values, of whose numbers none is beyond float64: whole ones msgspec takes however long they are."""

import math
import re
from collections.abc import Callable
from types import UnionType
from typing import Final, Generic, TypeVar

import msgspec

_DIGITS: Final = 309
"""Of the least whole number beyond float64."""

_TOO_MANY: Final = b"0" * _DIGITS
_AS_ZEROS: Final = bytes(ord("0") if chr(each) in "0123456789" else ord(" ") for each in range(256))

TOKENS: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|(?<![-+.eE0-9])[-+.eE0-9]{%d,}+' % _DIGITS, re.DOTALL)
"""Texts, which may hold digits too, and long numbers, looked for where numbers begin: a shorter one is read once."""

Values = TypeVar("Values")


class Decoder(Generic[Values]):
    def __init__(self, kind: type[Values] | UnionType) -> None:
        self._decode: Callable[[bytes | msgspec.Raw], Values] = msgspec.json.Decoder(kind).decode

    def decode(self, raw: bytes | msgspec.Raw) -> Values:
        """Raises `json_faults.Faults`."""
        if _TOO_MANY in bytes(raw).translate(_AS_ZEROS) and _has_infinite(bytes(raw)):
            raise msgspec.ValidationError("Number out of range")
        return self._decode(raw)


def _has_infinite(raw: bytes) -> bool:
    for token in TOKENS.finditer(raw):
        try:
            if token[0][:1] != b'"' and math.isinf(float(token[0])):
                return True
        except ValueError:  # no number; whoever reads on says so
            continue
    return False
