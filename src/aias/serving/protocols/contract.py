"""The promise of a protocol: its routes, and how it tells of a fault.

A member exports one class. Handlers get a request whose caller, endpoint and size have been checked, run on the event
loop or in a thread, and return a reply or raise an `AiasError`. One that is a generator yields an `Ask` where it needs
its model, and is given the answers: its rows may then run together with other callers'.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from aias.core.errors import AiasError
from aias.registry.values import Endpoint
from aias.serving.bounds import Bounds
from aias.serving.formats.arrow import ArrowProcess
from aias.serving.http.routes import Route
from aias.serving.inference.repository import Repository
from aias.serving.observability.metrics import Metrics


@dataclass(frozen=True, slots=True)
class ServerContext:
    """What protocols may use of the server."""

    bounds: Bounds
    ready: Callable[[], bool]
    arrow: ArrowProcess
    repository: Repository
    counted: Callable[[], Callable[[], Metrics]]
    """What all workers have counted, in two steps: on the loop, then in a thread."""
    pointer: Callable[[str], Endpoint]
    """What an endpoint answers with. Raises `UnknownEndpoint`, `NotReady`."""
    deployed: Callable[[], Sequence[Endpoint]]
    """Every endpoint that answers, by name, in memory or not."""
    width: Callable[[Endpoint], int]
    """Of the vectors that it gives, 0 where it gives none; may read a file."""
    unnamed: str | None = None
    """The endpoint that answers where a protocol's requests name none; None where they must, or one is alone."""
    numbers: Callable[[str, int], list[int]] = lambda _endpoint, live: [live]
    """By which an endpoint can be asked whose live version has this number."""


class WireProtocol(Protocol):
    """One way to ask."""

    prefix: ClassVar[str]
    """Paths below it belong to this protocol, also those that no route answers."""

    def __init__(self, context: ServerContext) -> None: ...

    def routes(self) -> tuple[Route, ...]:
        """All of its routes."""

    @staticmethod
    def envelope(fault: AiasError, request_id: str) -> bytes:
        """The body of a reply that tells of a fault."""
