"""What the head of a request says, read once: clients repeat it byte for byte, and what is repeated is looked up.

A head stands for a POST to an endpoint in the path. A `plain` one may be answered at once, where its bytes have come:
it has a body of the length that is told, from a client that keeps its connection and may call this server by that name
from where it is. All can be refused by their head.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from aias.serving.http.bodies import encoding_of
from aias.serving.http.content_negotiation import packing
from aias.serving.http.headers import given_id
from aias.serving.http.lengths import Length
from aias.serving.http.messages import is_by_lines
from aias.serving.http.routes import Route, RouteTable
from aias.serving.refusals import Refusal

HEADS_MAX: Final = 256
"""Of heads that are remembered. A client has one for each length of a body; whose heads are all new costs a sweep."""

HEAD_BYTES_MAX: Final = 2_048
"""Of one; 256 of them are half a megabyte. Ordinary ones have 200 to 600."""

_NO_HASTE: Final = frozenset((b"transfer-encoding", b"expect", b"upgrade"))
"""What asks for more than a body and an answer."""

_KEEPS: Final = b"keep-alive"
"""What `requests`, `httpx` and browsers say of their connection, and what HTTP/1.1 means anyway."""

Headers = dict[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Head:
    """`headers` and `places` are shared by all requests with this head: nobody changes them. `body_bytes`: None where
    it does not say. `ends`: the connection, with the answer; `expects`: to hear whether to send the body, which after a
    refusal may come or not, so that nobody could know where the next request begins. `id`: the caller's own;
    `by_lines`: a row is a line of its body."""

    path: str
    headers: Headers
    route: Route
    places: dict[str, str]
    body_bytes: int | None
    plain: bool = True
    ends: bool = False
    expects: bool = False
    id: str = ""
    by_lines: bool = False
    lengths: dict[int, Length] = field(default_factory=dict, compare=False)
    """Of its body for models that have been asked, by their serial."""


class Heads:
    """`read` makes a dict of headers, or refuses them; `is_table` tells of bodies whose cost size does not say; `check`
    refuses callers by the names and origins in their headers, always the same ones."""

    def __init__(
        self,
        table: RouteTable,
        read: Callable[[list[tuple[bytes, bytes]]], Headers],
        is_table: Callable[[Headers], bool],
        check: Callable[[Headers], None],
    ) -> None:
        self._table, self._read, self._is_table, self._check = table, read, is_table, check
        self._known: dict[bytes, Head] = {}
        self.recall = self._known.get

    def of(self, url: bytes, pairs: list[tuple[bytes, bytes]], *, version: str = "1.1") -> Head | None:
        """The head of a POST; None for one that the long way has to judge."""
        path = url.decode("latin-1")
        found = self._table.find(path)
        route = found.route("POST") if found is not None else None
        if found is None or route is None or route.names is not None or "endpoint" not in found.places:
            return None
        try:
            headers = self._read(pairs)
            packed = encoding_of(headers) is not None
        except Refusal:
            return None
        chunked = b"transfer-encoding" in headers
        length = None if chunked else headers.get(b"content-length")
        keeps = version == "1.1" and headers.get(b"connection", _KEEPS).lower() == _KEEPS
        plain = keeps and length is not None and not (packed or _NO_HASTE & headers.keys() or self._is_table(headers))
        plain = plain and self._may_call(headers) and packing(headers.get(b"accept-encoding"), pays=False) is None
        size, by_lines = None if chunked else int(length or b"0"), is_by_lines(headers)
        ends, expects = not keeps, b"expect" in headers
        return Head(path, headers, route, found.places, size, plain, ends, expects, given_id(headers), by_lines)

    def _may_call(self, headers: Headers) -> bool:
        try:
            self._check(headers)
        except Refusal:
            return False
        return True

    def remember(self, held: bytes, head: Head) -> None:
        if len(held) <= HEAD_BYTES_MAX:
            if len(self._known) >= HEADS_MAX:
                self._known.clear()
            self._known[held] = head
