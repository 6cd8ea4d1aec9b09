"""Which type an answer has, and whether it is packed: what `Accept` and `Accept-Encoding` ask for most."""

from collections.abc import Collection
from typing import Final

from aias.serving.refusals import NotAcceptable

_ANY: Final = frozenset((b"*/*", b"application/*", b"text/*"))


def wanted(accept: bytes | None, known: Collection[bytes], *, otherwise: bytes) -> bytes:
    """One of `known`; `otherwise` where anything will do. Raises `NotAcceptable`."""
    if not accept or accept == b"*/*":
        return otherwise
    ranked = sorted(map(_preference, accept.lower().split(b",")), key=lambda each: -each[1])
    unwanted = {name for name, weight in ranked if weight <= 0}
    for name, weight in ranked:
        if weight > 0 and name in known:
            return name
        if weight > 0 and name in _ANY:
            kind = name.removesuffix(b"*").removeprefix(b"*/")
            for each in (otherwise, *known):
                if each.startswith(kind) and each not in unwanted:
                    return each
    names = ", ".join(sorted(each.decode() for each in known))
    raise NotAcceptable("none of the types in Accept can be written", hint=f"accept one of {names}")


def leaves_over(accept: bytes) -> bool:
    """Whether any type will do but some: then it may be any of the others."""
    return b"*" in accept and not all(weight > 0 for _, weight in map(_preference, accept.split(b",")))


def packing(accept: bytes | None, *, pays: bool) -> bytes | None:
    """How an answer is to be packed, gzip or deflate: where that `pays`, unless it is wanted less than not packed; else
    only for who takes nothing that is not (RFC 9110, 12.5.3). None: not at all."""
    if not accept or not (pays or b"=0" in accept):
        return None
    weights = dict(map(_preference, accept.lower().split(b",")))
    anything = weights.get(b"*")
    gzip = weights.get(b"gzip", weights.get(b"x-gzip", anything or 0.0))
    deflate = weights.get(b"deflate", 0.0)
    name, weight = (b"gzip", gzip) if gzip >= deflate else (b"deflate", deflate)
    plain = weights.get(b"identity", weight if anything is None else anything)
    return name if weight > 0 and (plain <= 0 or (pays and weight >= plain)) else None


def _preference(part: bytes) -> tuple[bytes, float]:
    name, *parameters = (piece.strip() for piece in part.split(b";"))
    weight = next((piece[2:] for piece in parameters if piece[:2] == b"q="), b"1")
    try:
        return name, float(weight)
    except ValueError:
        return name, 0.0
