"""A shadow, as the gateway sees it: a process of the lowest priority, and a socket that takes requests or does not.

    worker 0 ─ answers its callers ─▶ bodies as they came ─┐
    worker 1 ─ …                    ─▶ …                   ─┴▶ shadow: asks both versions the same, compares, reports
                                       (the kernel's buffers; full means dropped, and counted)

The gateway gives a body away after it has answered, and never waits. The shadow asks the live version once more, in the
same process and in turns, so that both are measured alike; whatever the shadow does, or however it dies, the gateway
does not notice.
"""

import contextlib
import math
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import msgspec

from aias.registry.rollout.evidence import Evidence
from aias.registry.rollout.trial import WHOLE, Trial
from aias.registry.values import Endpoint
from aias.serving.http.messages import Request

BODY_BYTES_MAX: Final = 128 << 10
"""What fits into the kernel's buffer with others; larger bodies are counted and not looked at."""

WORKERS_MAX: Final = 256
"""That may connect at once."""

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
    live: str
    version: str
    descriptor: int


class Withdraws(Protocol):
    def withdraw(self, trial: int, why: str) -> None: ...


class Line:
    """One worker's end. `offer` is called on the event loop, `take` and `close` on the poller's thread. `at`: where the
    shadow's process listens, or will."""

    def __init__(self, trial: Trial, at: Path) -> None:
        self._share, self._owed, self._at = trial.share / WHOLE, 0.0, os.fspath(at)
        self._dropped = self._too_large = self._told_dropped = self._told_too_large = 0
        self._socket: socket.socket | None = None

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
        told = msgspec.msgpack.encode(Mirrored(request.path, request.places, headers, request.body))
        try:
            self._connected().send(told)
        except OSError as fault:
            # Full, or its process is gone: it never holds anybody up.
            self._dropped += 1
            if not isinstance(fault, BlockingIOError):
                self.close()

    def take(self) -> Evidence | None:
        """What was not looked at since; the rest the process reports itself."""
        dropped, too_large = self._dropped - self._told_dropped, self._too_large - self._told_too_large
        if not (dropped or too_large):
            return None
        self._told_dropped, self._told_too_large = self._dropped, self._too_large
        found = Evidence()
        found.mirrored.dropped, found.mirrored.too_large = dropped, too_large
        return found

    def close(self) -> None:
        held, self._socket = self._socket, None
        if held is not None:
            held.close()

    def _connected(self) -> socket.socket:
        if self._socket is None:
            made = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            made.setblocking(False)
            try:
                made.connect(self._at)
            except OSError:
                made.close()
                raise
            self._socket = made
        return self._socket


class Shadow:
    """The worker's end whose process it is: it listens in `folder`, where the other workers find it by a name that
    leads to it. Whoever comes to take its place has the name lead there; should that one not stay, it is taken back."""

    def __init__(
        self, home: Path, trial: Trial, endpoint: Endpoint, *, rollouts: Withdraws, folder: Path | None = None
    ) -> None:
        self._own = None if folder else tempfile.TemporaryDirectory(prefix="aias-")
        self._at = at = _place(folder or Path(self._own.name if self._own else ""), trial)
        for left in at.parent.glob(f"{at.name}-*"):
            if not _is_heard(left):
                left.unlink(missing_ok=True)  # of a worker that was killed
        self._here = Path(f"{at}-{secrets.token_hex(4)}")
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(os.fspath(self._here))
        self._listener.listen(WORKERS_MAX)
        self._take_name()
        self._orders = ShadowOrders(
            os.fspath(home), trial.id, str(endpoint.ref), str(trial.ref), self._listener.fileno()
        )
        self._line, self._rollouts = Line(trial, at), rollouts
        self.offer = self._line.offer
        self._deaths, self._again_at = 0, math.inf
        self._start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def take(self) -> Evidence | None:
        """What was not looked at since. Starts the process again when it has died."""
        self._look()
        if not self._has_name and not _is_heard(self._at):
            self._take_name()
        return self._line.take()

    def close(self) -> None:
        """Let it end; does not wait for that."""
        self._line.close()
        self._listener.close()
        for each in (self._at, self._here) if self._has_name else (self._here,):
            each.unlink(missing_ok=True)
        self._end()
        if self._own is not None:
            self._own.cleanup()

    @property
    def _has_name(self) -> bool:
        try:
            return self._at.readlink() == self._here
        except OSError:
            return False

    def _take_name(self) -> None:
        """At once, so that whoever looks for it finds one or the other. A full disk costs what is compared."""
        fresh = Path(f"{self._here}-name")
        with contextlib.suppress(OSError):
            fresh.symlink_to(self._here)
            fresh.replace(self._at)

    def _look(self) -> None:
        status = self._process.poll()
        if status is None:
            return
        if self._again_at == math.inf:
            self._deaths += 1
            if self._deaths > DEATHS_MAX:
                self._rollouts.withdraw(
                    self._orders.trial, f"its process ended {self._deaths} times, with status {status}"
                )
                return
            self._again_at = time.monotonic() + PAUSE_SECONDS * 2 ** (self._deaths - 1)
        elif time.monotonic() >= self._again_at:
            self._again_at = math.inf
            self._end()
            self._start()

    def _start(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603  this very program
            [sys.executable, "-m", "aias.serving.rollout.compare", msgspec.json.encode(self._orders).decode()],
            stdin=subprocess.PIPE,
            pass_fds=[self._listener.fileno()],
        )

    def _end(self) -> None:
        process = self._process
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        threading.Thread(target=process.wait, daemon=True).start()


def _is_heard(at: Path) -> bool:
    """Whether somebody listens there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
        probe.setblocking(False)
        try:
            probe.connect(os.fspath(at))
        except BlockingIOError:
            return True  # so many wait that there is no room for one more
        except OSError:
            return False
        return True


def _place(folder: Path, trial: Trial) -> Path:
    return folder / f"shadow-{trial.id}"


def shadows_of(
    home: Path, rollouts: Withdraws, *, folder: Path | None = None, first: bool = True
) -> Callable[[Trial, Endpoint], "Shadow | Line"]:
    """What starts the shadow of a trial beside an endpoint of this home; of several workers the first does, and the
    others send there what they are asked."""
    if folder is not None and not first:
        return lambda trial, _endpoint: Line(trial, _place(folder, trial))
    return lambda trial, endpoint: Shadow(home, trial, endpoint, rollouts=rollouts, folder=folder)
