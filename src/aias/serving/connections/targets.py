"""A request's target that is a whole URL, as proxies send it."""

import re
from typing import Final

_ABSOLUTE: Final = re.compile(rb"https?://([^/?#]+)([/?][^#]*)?", re.IGNORECASE)

Pairs = list[tuple[bytes, bytes]]


def taken_apart(url: bytes, headers: Pairs) -> tuple[bytes, Pairs] | None:
    """Its path is the target, its host stands for the header (RFC 9112, 3.2.2); None where it is no URL of HTTP."""
    found = _ABSOLUTE.fullmatch(url)
    if found is None:
        return None
    host, rest = found[1], found[2] or b"/"
    path = rest if rest[:1] == b"/" else b"/" + rest
    return path, [(name, host if name == b"host" else value) for name, value in headers]
