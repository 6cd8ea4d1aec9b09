"""What a connection is told that ends before the application could answer: as the application would have told it."""

from collections.abc import Callable
from typing import Final

from aias.core.errors import AiasError
from aias.serving.connections.transport import NO_SNIFFING, Headers, lines, written
from aias.serving.http.headers import given_id
from aias.serving.http.messages import JSON, Reply, Request
from aias.serving.http.routes import Envelope, Envelopes
from aias.serving.observability.recording import Recording
from aias.serving.refusals import Refusal, status_of

_CLOSES: Final = (b"connection", b"close")
_NAMED: Final = b"\r\nx-request-id:"
_HEAD_BYTES: Final = 4_096
"""Of what somebody asks whom there is no room for: where it goes and its name are looked for in so much."""
_NAMELESS: Final = "~"
"""Stands in no answer, nor in a name."""


class LastWords:
    """`next_id` names a request."""

    def __init__(self, observing: Recording, envelopes: Envelopes, next_id: Callable[[], str]) -> None:
        self._observing, self._envelopes, self._next_id = observing, envelopes, next_id

    def request(self, method: bytes, url: bytes, headers: dict[bytes, bytes]) -> Request:
        """What is known of it."""
        path = url.partition(b"?")[0].decode("latin-1")
        return Request(method.decode("latin-1"), path, given_id(headers) or self._next_id(), headers, {})

    def count(self, request: Request, fault: AiasError, seconds: float) -> None:
        """Of a request that the application has not seen."""
        self._observing.refused(request, fault.code)
        self._observing.note(request, Reply(b"", status_of(fault)), seconds)

    def whole(self, request: Request, fault: Refusal, more: Headers = ()) -> bytes:
        """The response, with the headers `more`; to HEAD it has no body."""
        body = self._envelopes.of(request.path)(fault, request.id)
        own = (
            (b"content-type", JSON), NO_SNIFFING, (b"x-request-id", request.id.encode()), *fault.headers, _CLOSES,
        )  # fmt: skip
        response = written(fault.status, lines(more), own, body)
        return response[: len(response) - len(body)] if request.method == "HEAD" else response

    def repeatedly(self, fault: Refusal) -> Callable[[bytes], bytes]:
        """Tells it to everybody alike, whatever of a request has come; of whom nothing else is kept."""
        tally = self._observing.tally(Request("", "", "", {}, {}), Reply(b"", fault.status), fault.code)
        # What stands around names that are equally long, by method and protocol.
        known: dict[tuple[bool, Envelope, int], list[bytes]] = {}

        def told(asked: bytes) -> bytes:
            tally.times += 1
            head = asked[:_HEAD_BYTES]
            method, _, rest = head.partition(b" ")
            at = head.lower().find(_NAMED)
            headers = {} if at < 0 else {_NAMED[2:-1]: head[at + len(_NAMED) :].partition(b"\r")[0].strip()}
            request = self.request(method, rest.partition(b" ")[0], headers)
            name = request.id.encode()
            alike = method == b"HEAD", self._envelopes.of(request.path), len(name)
            if alike not in known:
                request.id = _NAMELESS * len(name)
                known[alike] = self.whole(request, fault).split(request.id.encode())
            return name.join(known[alike])

        return told
