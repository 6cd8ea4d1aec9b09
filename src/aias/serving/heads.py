"""What the head of a request says, read once: clients repeat it byte for byte, and what is repeated is looked up.

A head stands for a request that may be answered at once, where its bytes have come: a POST to an endpoint in the path,
with a body of the length that is told, from a client that keeps its connection.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from aias.serving.bodies import encoding_of
from aias.serving.refusals import Refusal
from aias.serving.routes import Route, RouteTable

HEADS_MAX: Final = 256
"""Of heads that are remembered. A client has one for each length of a body; whose heads are all new costs a sweep."""

HEAD_BYTES_MAX: Final = 2_048
"""Of one; 256 of them are half a megabyte. Ordinary ones have 200 to 600."""

_NO_HASTE: Final = frozenset((b"transfer-encoding", b"expect", b"upgrade", b"connection"))
"""What asks for more than a body and an answer."""

Headers = dict[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Head:
    """`headers` and `places` are shared by all requests with this head: nobody changes them."""

    path: str
    headers: Headers
    route: Route
    places: dict[str, str]
    body_bytes: int


class Heads:
    """`read` makes a dict of headers, or refuses them; `is_table` tells of bodies whose cost size does not say."""

    def __init__(
        self,
        table: RouteTable,
        read: Callable[[list[tuple[bytes, bytes]]], Headers],
        is_table: Callable[[Headers], bool],
    ) -> None:
        self._table, self._read, self._is_table = table, read, is_table
        self._known: dict[bytes, Head] = {}
        self.recall = self._known.get

    def of(self, url: bytes, pairs: list[tuple[bytes, bytes]]) -> Head | None:
        """The head of a POST; None for one that has to go the long way."""
        path = url.decode("latin-1")
        found = self._table.find(path)
        route = found.route("POST") if found is not None else None
        if found is None or route is None or route.names is not None or "endpoint" not in found.places:
            return None
        try:
            headers = self._read(pairs)
            if b"content-length" not in headers or encoding_of(headers) is not None or _NO_HASTE & headers.keys():
                return None
        except Refusal:
            return None
        if self._is_table(headers):
            return None
        return Head(path, headers, route, found.places, int(headers[b"content-length"]))

    def remember(self, held: bytes, head: Head) -> None:
        if len(held) <= HEAD_BYTES_MAX:
            if len(self._known) >= HEADS_MAX:
                self._known.clear()
            self._known[held] = head
