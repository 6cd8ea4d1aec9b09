"""Front coding: sorted terms as one short string, each without the prefix it shares with the one before; then DEFLATE.

    car, card, care   →   " car" "#d" "#e"        the first character tells how many are shared (plus 32)

Base 85, so that it stands in JSON. A fifth to a third of the bytes of the list.
"""

import base64
import zlib
from collections.abc import Iterator, Sequence
from typing import Final

from aias.core.limits import VOCABULARY_BYTES_MAX, VOCABULARY_MAX

SHARED_MAX: Final = 94
"""Characters, so that the first one of a line is printable."""

_BASE = 32


def pack(terms: Sequence[str]) -> str:
    """Of terms without line ends, in their order; sorted ones take least. Raises `ValueError`."""
    raw = "\n".join(_without_prefixes(terms)).encode()
    if len(terms) > VOCABULARY_MAX or len(raw) > VOCABULARY_BYTES_MAX or any("\n" in term for term in terms):
        raise ValueError(f"{len(terms):,} terms of {len(raw):,} bytes cannot be packed")
    return base64.b85encode(zlib.compress(raw, 9)).decode()


def unpack(packed: str) -> list[str]:
    """The terms. Raises `ValueError` on what `pack` has not made."""
    inflate = zlib.decompressobj()
    try:
        raw = inflate.decompress(base64.b85decode(packed), VOCABULARY_BYTES_MAX)
    except zlib.error as fault:
        raise ValueError(f"what was packed is damaged: {fault}") from None
    if not inflate.eof:
        raise ValueError(f"what was packed ends too soon, or is more than {VOCABULARY_BYTES_MAX:,} bytes")
    lines = raw.decode().split("\n") if raw else []
    if len(lines) > VOCABULARY_MAX or not all(lines):
        raise ValueError(f"{len(lines):,} terms, or one without a beginning")
    terms, before = [], ""
    for line in lines:
        before = before[: ord(line[0]) - _BASE] + line[1:]
        terms.append(before)
    return terms


def _without_prefixes(terms: Sequence[str]) -> Iterator[str]:
    before = ""
    for term in terms:
        most = min(len(before), len(term), SHARED_MAX)
        shared = next((i for i in range(most) if before[i] != term[i]), most)
        yield chr(_BASE + shared) + term[shared:]
        before = term
