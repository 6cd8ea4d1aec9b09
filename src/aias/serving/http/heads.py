"""What the head of a request says, read once: clients repeat it byte for byte, and what is repeated is looked up.

A head stands for a POST to an endpoint in the path. A `plain` one may be answered at once, where its bytes have come:
it has a body of the length that is told, from a client that keeps its connection and may call this server by that name
from where it is. All can be refused by their head, also those that name the endpoint in a header.

    bytes ─ known as they are? ──▶ its head
            └ known but for lines that differ from request to request (its length, traces, proxies)? ──▶ a head like it
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from aias.serving.http.bodies import encoding_of
from aias.serving.http.content_negotiation import packing
from aias.serving.http.headers import HEADERS_MAX, given_id
from aias.serving.http.lengths import Length
from aias.serving.http.messages import is_by_lines
from aias.serving.http.routes import Route, RouteTable
from aias.serving.refusals import Refusal

HEADS_MAX: Final = 256
"""Of heads, and of kinds of heads, that are remembered. A client has a kind or a few, and a head for each length of a
body."""

SIZES_MAX: Final = 64
"""Of bodies, of one kind of head, for which it is remembered what they mean."""

HEAD_BYTES_MAX: Final = 2_048
"""Of one; 256 of them are half a megabyte. Ordinary ones have 200 to 600."""

_NO_HASTE: Final = frozenset((b"transfer-encoding", b"expect", b"upgrade"))
"""What asks for more than a body and an answer."""

_KEEPS: Final = b"keep-alive"
"""What `requests`, `httpx` and browsers say of their connection, and what HTTP/1.1 means anyway."""

_LENGTH: Final = b"content-length"
_LENGTH_DIGITS_MAX: Final = 12

_NAMES: Final = (
    rb"content-length|traceparent|tracestate|baggage|b3|x-request-id|x-correlation-id|x-deadline-ms|x-real-ip|forwarded|"
    rb"x-client-ip|true-client-ip|x-request-start|x-amzn-trace-id|x-amz-cf-id|x-cloud-trace-context|uber-trace-id|"
    rb"sentry-trace|(?:x-forwarded-|x-envoy-|x-b3-|x-datadog-|x-azure-|fastly-|cf-)[a-z0-9-]++"
)
_PASSING: Final = re.compile(
    rb"\r\n(" + _NAMES + rb"):[ \t]*+((?:[!-~]++(?:[ \t]++[!-~]++)*+)?)[ \t]*+(?=\r\n[^ \t])", re.IGNORECASE
)
"""Lines that are another for each request, or each client of a proxy, with their values."""

_LEFT: Final = re.compile(rb"\r\n(?:" + _NAMES + rb")[ \t]*:", re.IGNORECASE)
"""One of these whose value is too odd to be taken out: beside another of its name it would stand there twice."""

Headers = dict[bytes, bytes]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Head:
    """`headers` and `places` are shared by all requests with this head: nobody changes them. `body_bytes`: None where
    it does not say. `ends`: the connection, with the answer; `expects`: to hear whether to send the body, which after a
    refusal may come or not, so that nobody could know where the next request begins. `id`: the caller's own;
    `by_lines`: a row is a line of its body. `kind`: what heads have in common that differ in passing lines only."""

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
    kind: object = field(default=None, compare=False)

    @property
    def names_itself(self) -> bool:
        """Whether the endpoint stands in its path."""
        return "endpoint" in self.places


class _Kind:
    """`head`: one of them, less its passing lines."""

    __slots__ = ("head", "lengths")

    def __init__(self, head: Head, names: set[bytes]) -> None:
        headers = {name: value for name, value in head.headers.items() if name not in names}
        self.head = replace(head, headers=headers, id="", kind=self)
        self.lengths: dict[int, dict[int, Length]] = {}

    def like(self, passing: Headers) -> Head | None:
        """With these lines; None where their length is none."""
        digits, head = passing.get(_LENGTH, b""), self.head
        if not digits.isdigit() or len(digits) > _LENGTH_DIGITS_MAX:
            return None
        size, name = int(digits), given_id(passing) if b"x-request-id" in passing else ""
        if (lengths := self.lengths.get(size)) is None:
            if len(self.lengths) >= SIZES_MAX:
                self.lengths.clear()
            lengths = self.lengths[size] = {}
        headers = head.headers | passing
        return Head(
            head.path, headers, head.route, head.places, size, id=name, by_lines=head.by_lines, lengths=lengths,
            kind=self,
        )  # fmt: skip


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
        self._kinds: dict[bytes, _Kind] = {}
        # What was asked for last: a read may be looked at twice.
        self._last: tuple[bytes, Head | None] = b"", None

    def of(self, url: bytes, pairs: list[tuple[bytes, bytes]], *, version: str = "1.1") -> Head | None:
        """The head of a POST; None for one that the long way has to judge."""
        path = url.decode("latin-1")
        found = self._table.find(path)
        route = found.route("POST") if found is not None else None
        if found is None or route is None or route.names_in_body:
            return None
        if route.names is None and "endpoint" not in found.places:
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

    def recall(self, held: bytes) -> Head | None:
        """The head of these bytes, if it has come before, or one like it."""
        known = self._known.get(held)
        if known is not None or len(held) > HEAD_BYTES_MAX or not self._kinds:
            return known
        if held != self._last[0]:
            self._last = held, self._like(held)
        return self._last[1]

    def remember(self, held: bytes, head: Head) -> None:
        """Of a plain one."""
        if len(held) > HEAD_BYTES_MAX:
            return
        self._last = b"", None
        bare, passing = _parted(held)
        if passing is None or _LEFT.search(bare):
            return
        if (kind := self._kinds.get(bare)) is None:
            kind = _Kind(head, set(passing))
            _keep(self._kinds, bare, kind)
        if passing.keys() == {_LENGTH}:
            _keep(self._known, held, kind.like(passing) or head)

    def _like(self, held: bytes) -> Head | None:
        bare, passing = _parted(held)
        kind = self._kinds.get(bare)
        if kind is None or passing is None or held.count(b"\r\n") > HEADERS_MAX + 2:
            return None
        head = kind.like(passing)
        if head is not None and len(passing) == 1:
            _keep(self._known, held, head)
        return head


def _parted(held: bytes) -> tuple[bytes, Headers | None]:
    """A head less its passing lines, and these; None where one of them stands there twice."""
    found = _PASSING.split(held)
    passing = dict(zip(map(bytes.lower, found[1::3]), found[2::3], strict=True))
    return b"".join(found[::3]), passing if 3 * len(passing) == len(found) - 1 else None


def _keep(kept: dict[bytes, T], key: bytes, value: T) -> None:
    """In place of the oldest, where there are too many."""
    if len(kept) >= HEADS_MAX:
        del kept[next(iter(kept))]
    kept[key] = value
