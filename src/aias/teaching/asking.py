"""Rows → answers: a few calls at a time, each tried again where that may help, none more than were allowed.

what is known is not asked · equal rows are asked once · what is answered is kept before the next is asked
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from aias.core.deadline import Clock
from aias.core.errors import AiasError
from aias.core.events import Event, Level, Watch
from aias.teaching.answer_cache import AnswerCache, key_of
from aias.teaching.teachers.contract import Busy, Labeller, Row, Said, TeacherRefused, Unanswered

TRIES: Final = 5
WAIT_SECONDS: Final = 1.0
"""Before the second try; each further one twice as long, unless the service says when."""

WAIT_SECONDS_MAX: Final = 60.0

FAILURES_MAX: Final = 5
"""Batches one after the other without any answer: more would only cost."""

NONSENSE_ROWS_MIN: Final = 20
NONSENSE_SHARE_MAX: Final = 0.5
"""Of the first answers; who says nothing that counts is asked otherwise, or another is asked."""

STRAYS_MIN: Final = 10
STRAYS_SHARE_MAX: Final = 0.05
"""Of answers that are labels, but unknown ones. A few are left out; more are a label that nobody named."""

LABELS_TOLD: Final = 5

TOLD_EVERY: Final = 50
"""Rows."""

FORETOLD_AFTER_SECONDS: Final = 5.0
"""From when on the first answers say how long the others take."""

KEPT: Final = "what was answered is kept"

LOOK_SECONDS: Final = 0.2
"""How soon somebody who stops it is noticed."""

Wait = Callable[[float], object]


@dataclass(frozen=True, slots=True)
class Answers:
    """`said`: None where a row was not answered. `why`: the last reason for that; `refused`: the one for which asking
    ended early. `read`, `written`: tokens of these calls; of what was known before nothing is paid."""

    said: tuple[Said | None, ...]
    calls: int
    why: str = ""
    read: int = 0
    written: int = 0
    refused: TeacherRefused | None = None


@dataclass(eq=False)
class _Calls:
    """How many there may still be; asked by several threads."""

    left: int
    made: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self) -> bool:
        with self._lock:
            if self.left < 1:
                return False
            self.left, self.made = self.left - 1, self.made + 1
            return True


class _Spent(Unanswered):
    """As many calls were made as were allowed."""

    code = "teaching.calls-spent"


def ask(
    teacher: Labeller, rows: Sequence[Row], cache: AnswerCache, *, calls_max: int, stop: threading.Event, watch: Watch,
    counts: Callable[[str], bool] = bool, wait_for: Wait | None = None, clock: Clock = time.monotonic,
) -> Answers:  # fmt: skip
    """`counts`: whether an answer is one that can be learned.

    Asking ends where going on would only cost. Raises `TeacherRefused` if no row is answered then, or if what came are
    no answers; what was answered is kept.
    """
    keys = [key_of(row) for row in rows]
    todo = {key: row for key, row in zip(keys, rows, strict=True) if cache.get(key) is None}
    job = _Job(teacher, cache, _Calls(calls_max), stop, watch, len(todo), counts, wait_for, clock)
    if todo:
        job.run(list(todo.items()))
    new = [each for key in todo if (each := cache.get(key))]
    read, written = sum(each.read for each in new), sum(each.written for each in new)
    said = tuple(cache.get(key) for key in keys)
    if job.refused is not None and not any(said):
        raise job.refused
    return Answers(said, job.calls.made, job.why, read, written, job.refused)


@dataclass(eq=False)
class _Job:
    teacher: Labeller
    cache: AnswerCache
    calls: _Calls
    stop: threading.Event
    watch: Watch
    rows: int
    counts: Callable[[str], bool]
    wait_for: Wait | None = None
    clock: Clock = time.monotonic
    answered: int = 0
    nonsense: int = 0
    strays: Counter[str] = field(default_factory=Counter)
    failures: int = 0
    why: str = ""
    refused: TeacherRefused | None = None
    trouble: str = ""
    """Why somebody was asked again for the first time."""
    begun_at: float = 0.0
    _ended: threading.Event = field(default_factory=threading.Event)
    _told: set[str] = field(default_factory=set)

    def run(self, todo: list[tuple[str, Row]]) -> None:
        self.begun_at = self.clock()
        batches = _batches(todo, self.teacher.rows_at_once)
        with ThreadPoolExecutor(self.teacher.concurrent) as pool:
            running: dict[Future[list[Said]], list[str]] = {}
            try:
                self._submit(pool, running, islice(batches, self.teacher.concurrent))
                while running:
                    done, _ = wait(running, timeout=LOOK_SECONDS, return_when=FIRST_COMPLETED)
                    for each in done:
                        self._take(running.pop(each), each)
                    if self.trouble:
                        again = f"{self.trouble}: it is asked again, up to {TRIES - 1} times"
                        self._tell_once("teach.again", f"{again}; {KEPT}, and Ctrl-C goes on with it", "warning")
                    if not self._over:
                        self._submit(pool, running, islice(batches, len(done)))
                    elif self.stop.is_set():
                        self._ended.set()
            finally:
                self._ended.set()
                self._keep(running)
        if next(batches, None):
            self.why = self.why or ("it was stopped" if self.stop.is_set() else "no more calls were allowed")

    @property
    def _over(self) -> bool:
        return self.stop.is_set() or self.calls.left < 1 or self.refused is not None

    def _submit(
        self, pool: ThreadPoolExecutor, running: dict[Future[list[Said]], list[str]],
        batches: Iterator[list[tuple[str, Row]]],
    ) -> None:  # fmt: skip
        for batch in batches:
            running[pool.submit(self._asked, [row for _, row in batch])] = [key for key, _ in batch]

    def _asked(self, rows: list[Row]) -> list[Said]:
        for tries in range(1, TRIES + 1):
            if self._ended.is_set() or self.stop.is_set() or not self.calls.take():
                raise _Spent("no more calls are made")
            try:
                said = self.teacher.ask(rows)
            except Busy as fault:
                if tries == TRIES:
                    raise
                self.trouble = self.trouble or fault.message
                seconds = fault.seconds if fault.seconds is not None else WAIT_SECONDS * 2 ** (tries - 1)
                (self.wait_for or self._ended.wait)(min(seconds, WAIT_SECONDS_MAX))
            else:
                if len(said) != len(rows):
                    raise Unanswered(f"{self.teacher.who} gives {len(said)} answers to {len(rows)} rows")
                return said
        raise AssertionError("the last try returns or raises")

    def _take(self, keys: list[str], future: Future[list[Said]]) -> None:
        try:
            said = future.result()
        except Unanswered as fault:
            self._failed(fault)
            return
        except TeacherRefused as fault:
            self._refused(fault)
            return
        self.failures = 0
        before, self.answered = self.answered, self.answered + len(said)
        wrong = [each for each in said if not self.counts(each.answer)]
        self.nonsense += len(wrong)
        self.strays.update(each.answer for each in wrong if each.answer)
        self.cache.put(zip(keys, said, strict=True))
        if self.answered // TOLD_EVERY > before // TOLD_EVERY:
            facts: dict[str, object] = {"answered": self.answered, "rows": self.rows, "calls": self.calls.made}
            message = f"{self.answered:,} of {self.rows:,} rows are answered by {self.teacher.who}"
            self.watch(Event("teach.progress", message, "debug", facts))
        self._foretell()
        self._check_sense(next((each.came for each in wrong if each.came), ""))

    def _foretell(self) -> None:
        """How long the others take, if that is long."""
        passed, left = self.clock() - self.begun_at, self.rows - self.answered
        seconds = passed / self.answered * left
        if passed >= FORETOLD_AFTER_SECONDS and seconds >= FORETOLD_AFTER_SECONDS:
            message = f"{self.answered:,} rows took {passed:.0f} s, so the other {left:,} take about {seconds:.0f} s"
            self._tell_once("teach.pace", f"{message}; Ctrl-C goes on with those answered", "info")

    def _tell_once(self, name: str, message: str, level: Level) -> None:
        if name not in self._told:
            self._told.add(name)
            self.watch(Event(name, message, level))

    def _check_sense(self, came: str) -> None:
        if self.answered < NONSENSE_ROWS_MIN:
            return
        strays = self.strays.total()
        if strays >= STRAYS_MIN and strays > STRAYS_SHARE_MAX * self.answered:
            raise TeacherRefused(
                f"{strays} of {self.answered} answers of {self.teacher.who} are none that counts: "
                f"{', '.join(repr(label) for label, _ in self.strays.most_common(LABELS_TOLD))}",
                hint="are the rows' labels written as the teacher writes them? If it knows more of them than the rows "
                "hold, name all: `--classes a,b,c`, or `classes=`",
            )
        if self.nonsense > NONSENSE_SHARE_MAX * self.answered:
            raise TeacherRefused(
                f"{self.nonsense} of {self.answered} answers of {self.teacher.who} are none that counts"
                + (f", such as {came!r}" if came else ""),
                hint="a chat service is told what the labels mean by `--instructions`, or `instructions=`; or ask "
                "another teacher",
            )

    def _keep(self, running: dict[Future[list[Said]], list[str]]) -> None:
        """What was under way when asking ended is paid for too."""
        for each, keys in running.items():
            if each.exception() is None:
                self.cache.put(zip(keys, each.result(), strict=True))

    def _failed(self, fault: AiasError) -> None:
        if isinstance(fault, _Spent):
            self.why = self.why or "no more calls were allowed"
            return
        self.failures, self.why = self.failures + 1, fault.message
        if self.failures >= FAILURES_MAX:
            message = f"{self.failures} requests in a row came to nothing; the last: {fault.message}"
            self._refused(TeacherRefused(message, hint="" if self.answered else fault.hint))

    def _refused(self, fault: TeacherRefused) -> None:
        self.refused = self.refused or fault
        self.why = self.refused.message
        self._ended.set()


def _batches(todo: list[tuple[str, Row]], size: int) -> Iterator[list[tuple[str, Row]]]:
    return (todo[at : at + size] for at in range(0, len(todo), size))
