"""A version in a process of its own: what ends its process there ends nothing else.

    thread ──frame: rows──▶ isolated_process ──frame: answers──▶ thread        msgpack; arrays as their bytes

It takes 0.1 ms more than a run beside the others, and a copy of the model, but for weights that are mapped: only for
versions in whose runs workers end.
"""

import contextlib
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from aias.artifact.manifest import Manifest
from aias.core import frames
from aias.core.errors import AiasError, BadValue
from aias.core.frames import TimeUp, give_frame, take_frame
from aias.core.memory import private_bytes
from aias.runtimes.contract import Answers, Row, Text, Vectors
from aias.serving.batching.allowance import allowance
from aias.serving.refusals import BadBody, Busy, RunEnded, TooLate, too_late

GRACE_SECONDS: Final = 0.5
"""What a run may go on beyond its caller's deadline, or as long again as its like take: most are over by then, and to
start anew costs more. What cannot end is ended, for the sake of those that wait."""

FAR: Final = 100.0
FAR_SECONDS: Final = 1.0
"""A run that is ended at its caller's deadline counts as a death only if it took so many times what its like take, at
least so long: whoever sets short deadlines has nothing quarantined."""

ATTEMPTS: Final = 2
"""A request in whose run the process ends is repeated once, unseen."""

START_SECONDS_MAX: Final = 60.0
"""To load a version; a large sentence encoder takes some seconds."""

GROWTH_BYTES_MAX: Final = 256 << 20
"""A process that has grown by so much since it was warm is started anew between two runs."""

RETIRE_SECONDS: Final = 5.0
"""Without a question, until a process ends that nobody new comes to. Who waits for it has it run all the while."""

PIECE_ROWS: Final = 256
"""Of rows that are packed at once."""

_FRAMES_TOLD: Final = 8
"""The last ones, of what has failed there."""

WARM_RUNS: Final = 32
"""Before them its caches fill. Also how often its memory is looked at: a look takes 50 us."""


class Ended(Exception):
    """The process has ended, or was."""


class IsolatedRuntime:
    """Answers as the runtime does that `program` serves; its arguments are the interpreter's. Safe to call from several
    threads, which take turns. `died` is called each time that the process ends in a run, `late` when a run is ended
    that may only have had too short a deadline, `renewed` when the process is ended for having grown."""

    def __init__(
        self, program: Sequence[str], manifest: Manifest, *, answer_seconds: float, died: Callable[[], None],
        late: Callable[[], None] = lambda: None, renewed: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        self._late, self._closed = late, False
        self.manifest, self._renewed = manifest, renewed
        self._runs, self._warm_bytes = 0, 0
        self._asked_at = time.monotonic()
        self._program, self._answer_seconds, self._died = program, answer_seconds, died
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        # While it starts: until when it must be ready.
        self._starts_until: float | None = None

    def predict(self, rows: Sequence[Row]) -> Answers:
        """Raises `BadValue`, `RunEnded`, `TooLate`, `Busy`; `AiasError` where the run fails."""
        return self._ask("predict", _pieces(rows))

    def predict_columns(self, columns: Mapping[str, Any], rows: int) -> Answers:
        return self._ask("predict_columns", {name: _piece(values) for name, values in columns.items()}, rows)

    def embed(self, texts: Sequence[Text]) -> Answers:
        return self._ask("embed", _pieces(texts))

    @property
    def is_closed(self) -> bool:
        return self._closed

    def kill(self) -> None:
        """End the process, whatever it is at, for good."""
        self._closed = True
        if (process := self._process) is not None:
            process.kill()

    def retire(self) -> None:
        """Answer those that wait, and end the process when nobody has come for a while."""
        threading.Thread(target=self._end_idle, name="aias-retire", daemon=True).start()

    def _end_idle(self) -> None:
        while not self._closed:
            time.sleep(RETIRE_SECONDS)
            if time.monotonic() - self._asked_at >= RETIRE_SECONDS and self._lock.acquire(blocking=False):
                self.kill()
                self._lock.release()

    def _ask(self, verb: str, *arguments: object) -> Answers:
        self._asked_at = time.monotonic()
        question = msgspec.msgpack.encode((verb, *arguments))
        if not self._lock.acquire(timeout=self._answer_seconds):
            raise Busy("others wait for this version too long already", hint="try again in a moment")
        try:
            for _ in range(ATTEMPTS):
                with contextlib.suppress(Ended):
                    return read_answers(self._asked(question))
        finally:
            self._asked_at = time.monotonic()
            self._lock.release()
        raise RunEnded(
            "the process that answered this request died, and so did the next", hint="the server's log has more"
        )

    def _asked(self, question: bytes) -> bytes:
        deadline, usual_seconds = allowance()
        process = self._running(deadline)
        assert process.stdin is not None
        assert process.stdout is not None
        began = time.monotonic()
        end = began + self._answer_seconds
        if deadline is not None:
            end = min(end, deadline + max(GRACE_SECONDS, usual_seconds))
        answer = None
        try:
            with contextlib.suppress(OSError):
                give_frame(process.stdin, question, until=end)
                answer = take_frame(process.stdout, until=end)
        except TimeUp:
            self._stop_run(time.monotonic() - began, usual_seconds)
            said = "the run of this request did not end, so its process was ended"
            raise TooLate(said, hint="send fewer rows") from None
        except BaseException:
            # What it still says would be taken for the answer to the next question.
            self._end()
            raise
        if answer is None:
            self._end()
            self._has_died()
            raise Ended
        self._runs += 1
        if self._runs % WARM_RUNS == 0:
            self._look_at(process.pid)
        return answer

    def _stop_run(self, seconds: float, usual_seconds: float) -> None:
        """End the process in a run of so many seconds, and start the next for those that wait."""
        self._end()
        if seconds >= min(self._answer_seconds, max(FAR_SECONDS, FAR * usual_seconds)):
            self._has_died()
        else:
            self._late()
        if not self._closed:
            # Where the machine has no room for it now, whoever comes next tries again.
            with contextlib.suppress(OSError):
                self._start()

    def _has_died(self) -> None:
        if not self._closed:
            self._died()

    def _look_at(self, pid: int) -> None:
        held = private_bytes(Path(f"/proc/{pid}/status"))
        self._warm_bytes = self._warm_bytes or held
        if held - self._warm_bytes >= GROWTH_BYTES_MAX:
            self._end()
            self._renewed()

    def _running(self, deadline: float | None) -> "subprocess.Popen[bytes]":
        """The process, ready. Raises `Ended`, `Busy`, and `TooLate` where a caller cannot wait so long: it goes on."""
        if self._process is None or self._process.poll() is not None:
            self._end()
            if self._closed:
                # Others have ended it, or nobody seemed to wait any more.
                raise Busy("the process of this version has been ended", hint="try again in a moment")
            try:
                self._start()
            except OSError as fault:
                said = f"the process of this version cannot be started: {fault.strerror}"
                raise Busy(said, hint="try again in a moment") from fault
        process, until = self._process, self._starts_until
        assert process is not None
        if until is not None:
            assert process.stdout is not None
            ready = None
            try:
                ready = take_frame(process.stdout, until=until if deadline is None else min(until, deadline))
            except TimeUp:
                if time.monotonic() < until:
                    raise too_late() from None
            if ready is None:
                self._end()
                self._has_died()
                raise Ended
            self._starts_until = None
        if deadline is not None and time.monotonic() >= deadline:
            raise too_late()
        return process

    def _start(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603  this very program
            [sys.executable, *self._program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        self._starts_until = time.monotonic() + START_SECONDS_MAX

    def _end(self) -> None:
        process, self._process = self._process, None
        self._runs = self._warm_bytes = 0
        if process is not None:
            frames.end(process)


def _pieces(rows: Sequence[Any]) -> list[bytes]:
    """Some rows in each: of thousands at once all other threads would wait for the interpreter."""
    return [_piece(rows[start : start + PIECE_ROWS]) for start in range(0, len(rows), PIECE_ROWS)]


def _piece(values: Any) -> bytes:
    plain = values.tolist() if isinstance(values, np.ndarray) else values
    try:
        return msgspec.msgpack.encode(plain)
    except OverflowError:
        raise BadBody("a whole number is too large", hint="64 bits hold what models read") from None


def read_question(frame: bytes) -> tuple[str, list[Any]]:
    """What the parent asks of its runtime, and the arguments."""
    verb, packed, *more = msgspec.msgpack.decode(frame)
    decode = msgspec.msgpack.decode
    if isinstance(packed, dict):
        return verb, [{name: decode(values) for name, values in packed.items()}, *more]
    return verb, [[row for piece in packed for row in decode(piece)], *more]


def write_answers(answers: Answers) -> bytes:
    """Answers as a frame."""
    vectors = answers.vectors
    return msgspec.msgpack.encode(
        {
            "predictions": answers.predictions,
            "probabilities": _packed(answers.probabilities),
            "intervals": answers.intervals,
            "vectors": None if vectors is None else (_packed(vectors.values), vectors.tokens, vectors.cut),
        }
    )


def write_fault(fault: BadValue) -> bytes:
    return msgspec.msgpack.encode({"fault": (fault.message, fault.hint, fault.field, fault.row)})


def write_failure(fault: Exception) -> bytes:
    """For the parent's log."""
    return msgspec.msgpack.encode({"failed": "".join(traceback.format_exception(fault, limit=-_FRAMES_TOLD))})


def read_answers(frame: bytes) -> Answers:
    """The answers in a frame. Raises the `BadValue` in it, or `AiasError` where the run has failed."""
    found: dict[str, Any] = msgspec.msgpack.decode(frame)
    if "failed" in found:
        raise AiasError(f"the run failed in the process of its version: {found['failed']}")
    if "fault" in found:
        message, hint, field, row = found["fault"]
        raise BadValue(message, hint=hint, field=field, row=row)
    vectors, intervals = found["vectors"], found["intervals"]
    return Answers(
        found["predictions"],
        _unpacked(found["probabilities"]),
        None if intervals is None else [(low, high) for low, high in intervals],
        None if vectors is None else Vectors(_unpacked(vectors[0]), vectors[1], vectors[2]),
    )


def _packed(array: Any) -> tuple[Any, bytes] | None:
    return None if array is None else (array.shape, np.ascontiguousarray(array, np.float32).tobytes())


def _unpacked(packed: Any) -> Any:
    return None if packed is None else np.frombuffer(packed[1], np.float32).reshape(packed[0])
