"""Arrow bodies, read and written by a process of their own.

A forged Arrow body can abort the process that reads it: of 1,500 mutated bodies Polars died of one. So the reader
lives apart, with a bound on its memory, starts with the first Arrow body and ends when none has come for a minute.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from aias.core.frames import TimeUp, end, give_frame, take_frame
from aias.serving.refusals import BadBody, BodyTooLarge, Busy, TooLate, TooManyRows

Columns = dict[str, list[object]]

_UNSAID: Final[Mapping[str, str]] = MappingProxyType({})

IDLE_SECONDS: Final = 60.0
"""Polars holds 80 MB; a server that sees no Arrow should not pay for it."""

ANSWER_SECONDS_MAX: Final = 20.0
"""Also of waiting for others."""

READ_SECONDS_MAX: Final = 3.0
"""Of a processor. Four million times, 32 MB as they are, took 2.7 s, half of them fit into a body; packed, 324 kB of
dates that are all alike took 6.1 s, and 174 kB of times with a zone 11.2 s."""

_NOT_OF_THE_BODY: Final = frozenset((0, None, -signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP))
"""How a process ends that has gone to sleep just then, or that somebody has ended."""

_REFUSALS: Final = {each.code: each for each in (BadBody, BodyTooLarge, TooManyRows)}


def packed(columns: Columns) -> dict[str, bytes]:
    """Each column by itself: of millions of values at once all other threads would wait for the interpreter."""
    return {name: msgspec.msgpack.encode(values) for name, values in columns.items()}


def unpacked(columns: dict[str, bytes]) -> Columns:
    """The same, back."""
    return {name: msgspec.msgpack.decode(values) for name, values in columns.items()}


class ArrowProcess:
    """Safe to call from several threads; they take turns. `read_seconds`: of a processor, for reading a body."""

    def __init__(self, *, read_seconds: float = READ_SECONDS_MAX) -> None:
        self._read_seconds = read_seconds
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def read(self, body: bytes, *, rows_max: int) -> Columns:
        """The columns of an Arrow stream or file, or of Parquet. Raises `BadBody`, `BodyTooLarge`, `TooManyRows`."""
        return unpacked(self._ask(("read", body, (rows_max, self._read_seconds))))

    def write(self, columns: Columns, *, as_file: bool, kinds: Mapping[str, str] = _UNSAID) -> bytes:
        """The columns as an Arrow stream or file. `kinds`: what they hold, where no value may be there to tell it, by
        the names that `arrow_process` has for it; tables of one model are then alike, with rows and without."""
        written: bytes = self._ask(("write", packed(columns), (as_file, dict(kinds))))
        return written

    def close(self) -> None:
        with self._lock:
            self._end()

    def _ask(self, question: tuple[object, ...]) -> Any:
        if not self._lock.acquire(timeout=ANSWER_SECONDS_MAX):
            raise Busy("others keep the process for Arrow busy", hint="send it again, or as JSON")
        try:
            answer = self._asked(question) or self._asked(question)
        finally:
            self._lock.release()
        if answer is None:
            raise Busy("the process for Arrow ended before it could answer, twice", hint="send it again")
        code, result = msgspec.msgpack.decode(answer)
        if code:
            message, hint = result
            raise _REFUSALS[code](message, hint=hint)
        return result

    def _asked(self, question: tuple[object, ...]) -> bytes | None:
        """The answer; None when the process ended, but not of what it read. Raises `BadBody`, `BodyTooLarge`,
        `TooLate`, `Busy`."""
        try:
            process = self._running()
        except OSError as fault:
            said = f"the process for Arrow cannot be started: {fault.strerror}"
            raise Busy(said, hint="try again in a moment, or send it as JSON") from fault
        assert process.stdin is not None
        assert process.stdout is not None
        until, answer = time.monotonic() + ANSWER_SECONDS_MAX, None
        try:
            give_frame(process.stdin, msgspec.msgpack.encode(question), until=until)
            answer = take_frame(process.stdout, until=until)
        except TimeUp:
            self._end()
            raise TooLate(
                f"the process for Arrow took longer than {ANSWER_SECONDS_MAX:.0f} s", hint="send it again, or as JSON"
            ) from None
        except OSError:
            pass
        except BaseException:
            # What it still says would be taken for the answer to the next question.
            self._end()
            raise
        if answer is not None:
            return answer
        status, reads = self._end(), question[0] == "read"
        if status == -signal.SIGPROF and reads:
            said = f"the Arrow body takes longer than {self._read_seconds:g} s of a processor to read"
            raise BodyTooLarge(said, hint="send fewer rows at once, or as JSON")
        if status not in _NOT_OF_THE_BODY and reads:
            raise BadBody("the Arrow body is damaged", hint="its reader gave up on it; does your own Arrow read it?")
        return None

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._end()
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "aias.serving.formats.arrow_process"],
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
                | {"POLARS_MAX_THREADS": "1"},
            )
        return self._process

    def _end(self) -> int | None:
        """End the process, if there is one; its exit status."""
        process, self._process = self._process, None
        if process is None:
            return None
        with contextlib.suppress(subprocess.TimeoutExpired):
            # Who has closed its end is about to exit by itself, and its status tells why.
            process.wait(0.2 if process.poll() is None else None)
        return end(process)
