"""An offer to go on in another protocol, which a server may pass over (RFC 9110, 7.8): Java's client makes one with the
first request of each connection, its body behind it. The parser would leave that body to the other protocol.
"""

from collections.abc import Iterable
from typing import Final

_OFFERS: Final = frozenset((b"upgrade", b"http2-settings"))
_ABOUT_THE_CONNECTION: Final = frozenset((b"close", b"keep-alive"))


def head_without(method: bytes, target: bytes, version: str, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The head of a request as if it had offered nothing; `headers` in small letters, in their order."""
    lines = [b"%b %b HTTP/%b" % (method, target, version.encode())]
    for name, value in headers:
        if name == b"connection":
            said = [each for each in value.split(b",") if each.strip().lower() in _ABOUT_THE_CONNECTION]
            if said:
                lines.append(b"connection: " + b",".join(said))
        elif name not in _OFFERS:
            lines.append(b"%b: %b" % (name, value))
    return b"\r\n".join([*lines, b"", b""])
