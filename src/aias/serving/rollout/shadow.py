"""A shadow, as the gateway sees it: a process of the lowest priority, and a socket that takes requests or does not.

    gateway ── answers the caller ──▶ bodies as they came ──▶ shadow: asks both versions the same, compares, reports
                                      (the kernel's buffer; full means dropped, and counted)

The gateway gives a body away after it has answered, and never waits. The shadow asks the live version once more, in the
same process and in turns, so that both are measured alike; whatever the shadow does, or however it dies, the gateway
does not notice.
"""

import contextlib
import math
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

import msgspec

from aias.registry.rollout.evidence import Evidence
from aias.registry.rollout.trial import WHOLE, Trial
from aias.registry.values import Endpoint
from aias.serving.messages import Request

BODY_BYTES_MAX: Final = 128 << 10
"""What fits into the kernel's buffer with others; larger bodies are counted and not looked at."""

DEATHS_MAX: Final = 3
PAUSE_SECONDS: Final = 2.0
"""After the first death; twice as long after the next."""

HEADERS: Final = (b"content-type", b"inference-header-content-length", b"accept", b"host")
"""What of a request's headers says how its body is read."""


class Mirrored(msgspec.Struct, array_like=True):
    """A request on its way to a shadow. Its body is unpacked."""

    path: str
    places: dict[str, str]
    headers: dict[bytes, bytes]
    body: bytes


@dataclass(frozen=True, slots=True)
class ShadowOrders:
    """What the process is told, as JSON on its command line."""

    home: str
    trial: int
    endpoint: str
    live: str
    version: str
    descriptor: int


class Withdraws(Protocol):
    def withdraw(self, trial: int, why: str) -> None: ...


class Shadow:
    """`offer` is called on the event loop, `take` and `close` on the poller's thread."""

    def __init__(
        self, home: Path, trial: Trial, endpoint: Endpoint, *, book: Withdraws,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._orders = ShadowOrders(
            os.fspath(home), trial.id, trial.endpoint, str(endpoint.ref), str(trial.ref), -1
        )  # fmt: skip
        self._share, self._owed = trial.share / WHOLE, 0.0
        self._book, self._clock = book, clock
        self._dropped = self._too_large = self._told_dropped = self._told_too_large = 0
        self._deaths, self._again_at = 0, math.inf
        self._start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def offer(self, request: Request) -> None:
        """Give a copy of an answered request away, where it is one of the share and there is room."""
        self._owed += self._share
        if self._owed < 1.0:
            return
        self._owed -= 1.0
        if len(request.body) > BODY_BYTES_MAX:
            self._too_large += 1
            return
        headers: dict[bytes, bytes] = {name: request.headers[name] for name in HEADERS if name in request.headers}
        try:
            self._socket.send(msgspec.msgpack.encode(Mirrored(request.path, request.places, headers, request.body)))
        except OSError:
            # Full, or its process is gone: it never holds anybody up.
            self._dropped += 1

    def take(self) -> Evidence | None:
        """What was not looked at since; the rest its process reports itself. Starts it again when it has died."""
        self._look()
        dropped, too_large = self._dropped - self._told_dropped, self._too_large - self._told_too_large
        if not (dropped or too_large):
            return None
        self._told_dropped, self._told_too_large = self._dropped, self._too_large
        found = Evidence()
        found.mirrored.dropped, found.mirrored.too_large = dropped, too_large
        return found

    def close(self) -> None:
        """Let it end; does not wait for that."""
        self._socket.close()
        process = self._process
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        threading.Thread(target=process.wait, daemon=True).start()

    def _look(self) -> None:
        status = self._process.poll()
        if status is None:
            return
        if self._again_at == math.inf:
            self._deaths += 1
            if self._deaths > DEATHS_MAX:
                self._book.withdraw(self._orders.trial, f"its process ended {self._deaths} times, with status {status}")
                return
            self._again_at = self._clock() + PAUSE_SECONDS * 2 ** (self._deaths - 1)
        elif self._clock() >= self._again_at:
            self._again_at = math.inf
            self.close()
            self._start()

    def _start(self) -> None:
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        with its:
            orders = replace(self._orders, descriptor=its.fileno())
            self._process = subprocess.Popen(  # noqa: S603  this very program
                [sys.executable, "-m", "aias.serving.rollout.compare", msgspec.json.encode(orders).decode()],
                stdin=subprocess.PIPE,
                pass_fds=[its.fileno()],
            )
        self._socket = ours


def shadows_of(home: Path, book: Withdraws) -> Callable[[Trial, Endpoint], Shadow]:
    """What starts the shadow of a trial beside an endpoint of this home."""
    return lambda trial, endpoint: Shadow(home, trial, endpoint, book=book)
