"""The access log: one line of JSON for each request, or for a share of them, on standard error.

    event loop ──facts──▶ a few thousand at most ──every 0.1 s──▶ a thread: lines ──▶ standard error

Never a body, never a secret. Whoever reads it too slowly loses lines, and is told how many; nobody waits for it.
"""

import atexit
import contextlib
import logging
import os
import random
import sys
import threading
import time
from collections import deque
from functools import lru_cache
from typing import Final, TextIO

import msgspec

from aias.serving.processes.hangup import is_heard

LINES_WAITING_MAX: Final = 20_000
"""Some 6 MB; a second of the busiest worker."""

_PATH_CHARS: Final = 200
_EVERY_SECONDS: Final = 0.1
_BLOCK_BYTES: Final = 4_096
"""Pipes keep so much in one piece: lines of several workers do not run into each other."""

_LAST_SECONDS: Final = 2.0
"""For the lines that wait when the process ends; whoever does not read them by then has lost them."""


class Line(msgspec.Struct, omit_defaults=True, gc=False):
    """`at`: when it was answered. `key`: the name of the key it came with. `code`: why it was refused. Of the time in
    `run_ms` the rows were in the model; `queue_ms` is the wait before. What is empty, or below 0, is left out."""

    at: str = ""
    request: str = ""
    trace: str = ""
    key: str = ""
    method: str = ""
    path: str = ""
    endpoint: str = ""
    version: str = ""
    status: int = -1
    code: str = ""
    rows: int = -1
    bytes_in: int = -1
    bytes_out: int = -1
    ms: float = -1.0
    decode_ms: float = -1.0
    queue_ms: float = -1.0
    run_ms: float = -1.0
    encode_ms: float = -1.0


Facts = tuple[
    float, str, str, str, str, str, str, str, int, str, int, int, int, float,
    tuple[float, float, float] | None, float | None,
]  # fmt: skip
"""Of an answer, as they are: the fields of its line up to `ms`, but seconds; those of its phases and of its wait."""


class AccessLog:
    """Off until it is started. `wants` says whether the next request is among those that are logged."""

    def __init__(self) -> None:
        self.share = 0.0
        self._lines: deque[Facts] = deque()
        self._lost, self._torn = 0, False
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, descriptor: int, *, share: float = 1.0) -> None:
        """Write to a descriptor from now on."""
        assert 0 < share <= 1
        self.share = share
        self._over.clear()
        self._thread = threading.Thread(target=self._write_on, args=(descriptor,), name="aias-access-log", daemon=True)
        self._thread.start()

    def wants(self) -> bool:
        return self.share >= 1.0 or (self.share > 0.0 and random.random() < self.share)  # noqa: S311 no secret

    def add(self, facts: Facts) -> None:
        if len(self._lines) < LINES_WAITING_MAX:
            self._lines.append(facts)
        else:
            self._lost += 1

    def stop(self) -> None:
        """Write what waits, and no more after that."""
        self.share = 0.0
        self._over.set()
        if self._thread is not None:
            self._thread.join(_LAST_SECONDS)
        self._thread = None

    def _write_on(self, descriptor: int) -> None:
        while not self._over.wait(_EVERY_SECONDS):
            self._write_waiting(descriptor)
        self._write_waiting(descriptor)

    def _write_waiting(self, descriptor: int) -> None:
        block, count = b"", 0
        while self._lines:
            told = _told(self._lines.popleft())
            if block and len(block) + len(told) > _BLOCK_BYTES:
                self._write(descriptor, block, count)
                block, count = b"", 0
            block, count = block + told, count + 1
        if block:
            self._write(descriptor, block, count)
        if self._lost:
            lost, self._lost = self._lost, 0
            self._write(descriptor, msgspec.json.encode({"at": _iso(time.time()), "lost": lost}) + b"\n", lost)

    def _write(self, descriptor: int, block: bytes, count: int) -> None:
        """Lines, so many; what cannot be written is lost, and the next may come through: a disk that is full has room
        again some day. What of a line got out ends before the next one begins."""
        data = b"\n" * self._torn + block
        written = 0
        try:
            while written < len(data):
                written += os.write(descriptor, data[written:])
        except OSError:
            self._lost += count - block[: max(0, written - self._torn)].count(b"\n")
        self._torn = data[written - 1 : written] != b"\n" if written else self._torn


_encode: Final = msgspec.json.Encoder().encode


def _told(facts: Facts) -> bytes:
    (at, request, trace, key, method, path, endpoint, version, status, code, rows, bytes_in, bytes_out, seconds, phases,
     queue) = facts  # fmt: skip
    line = Line(
        _iso(at), request, trace, key, method, path[:_PATH_CHARS], endpoint, version, status, code, rows, bytes_in,
        bytes_out, round(seconds * 1_000, 3),
    )  # fmt: skip
    if phases is not None:
        decode, run, encode = phases
        line.decode_ms, line.encode_ms = round(decode * 1_000, 3), round(encode * 1_000, 3)
        if queue is not None:
            run -= queue
            line.queue_ms = round(queue * 1_000, 3)
        line.run_ms = round(run * 1_000, 3)
    return _encode(line) + b"\n"


def _iso(at: float) -> str:
    """To the millisecond, in UTC."""
    ms = int(at * 1_000)
    return f"{_second(ms // 1_000)}.{ms % 1_000:03d}+00:00"


@lru_cache(2)
def _second(at: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at))


ACCESS: Final = AccessLog()
"""Of this process."""


class Faults(logging.StreamHandler[TextIO]):
    """Tracebacks on standard error, unless its reader would hold up the event loop with them."""

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(ValueError, OSError):
            if not is_heard(self.stream.fileno()):
                return
        super().emit(record)


def log_accesses(share: float = 1.0) -> None:
    """Switch it on for this process."""
    ACCESS.start(sys.stderr.fileno(), share=share)
    atexit.register(ACCESS.stop)
