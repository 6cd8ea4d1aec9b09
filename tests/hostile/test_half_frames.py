"""Processes beside a worker that stop or end amid a frame: whoever waits is answered, or told, and never hangs."""

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from time import monotonic

import half_frames
import pytest
from half_frames import DEAF, ENDS, STARTS, STOPS

import artifacts
from aias.serving.batching.allowance import allowed
from aias.serving.formats import arrow as arrows
from aias.serving.formats.arrow import ArrowProcess
from aias.serving.refusals import Busy, TooLate
from aias.serving.survival.isolated_runtime import IsolatedRuntime
from live_server import PATIENCE, eventually

SHORT = 0.5


class Asked:
    """A version in a process of its own, asked from a thread so that a test never hangs."""

    def __init__(self, how: str, mark: Path) -> None:
        self.told: list[str] = []
        self.mark = mark
        self.apart = IsolatedRuntime(
            (half_frames.__file__, how, os.fspath(mark)), artifacts.manifest(), answer_seconds=PATIENCE,
            died=lambda: self.told.append("died"), late=lambda: self.told.append("late"),
        )  # fmt: skip
        self._pool = ThreadPoolExecutor(1)

    def ask(self, seconds: float, *, bytes_: int = 1) -> "Future[list[str]]":
        """For a caller who waits for so long."""

        def run() -> list[str]:
            with allowed(monotonic() + seconds, 0.0):
                return [str(each) for each in self.apart.predict([{"age": "x" * bytes_}]).predictions]

        return self._pool.submit(run)

    def close(self) -> None:
        # What still waits sees the end of the process.
        self.apart.kill()
        self._pool.shutdown()


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[str], Asked]]:
    monkeypatch.setenv("PYTHONPATH", artifacts.importable()["PYTHONPATH"])
    made: list[Asked] = []

    def make(how: str) -> Asked:
        made.append(Asked(how, tmp_path / "mark"))
        return made[-1]

    yield make
    for each in made:
        each.close()


def begun(asked: Asked) -> None:
    """Start its process, for a caller who does not wait for that."""
    with pytest.raises(TooLate):
        asked.ask(0.0).result(PATIENCE)
    eventually(asked.mark.exists, PATIENCE)


def test_a_process_that_stops_amid_its_answer_is_ended_at_the_deadline_and_the_next_answers(
    make: Callable[[str], Asked],
) -> None:
    asked = make(STOPS)
    begun(asked)

    with pytest.raises(TooLate):
        asked.ask(2.0).result(PATIENCE)

    assert asked.ask(PATIENCE).result(PATIENCE) == ["yes"]


def test_a_process_that_ends_amid_its_answer_is_asked_again_unseen(make: Callable[[str], Asked]) -> None:
    asked = make(ENDS)

    assert asked.ask(PATIENCE).result(PATIENCE) == ["yes"]
    assert asked.told == ["died"]


def test_a_process_that_does_not_read_a_large_question_is_ended_at_the_deadline(make: Callable[[str], Asked]) -> None:
    asked = make(DEAF)
    begun(asked)

    with pytest.raises(TooLate):
        asked.ask(2.0, bytes_=1 << 20).result(PATIENCE)

    assert asked.ask(PATIENCE, bytes_=1 << 20).result(PATIENCE) == ["yes"]


def test_who_cannot_wait_until_a_process_is_ready_is_told_and_it_goes_on_for_the_next(
    make: Callable[[str], Asked],
) -> None:
    asked = make(STARTS)
    with pytest.raises(TooLate):
        asked.ask(SHORT).result(PATIENCE)
    process = asked.apart._process
    assert process is not None
    eventually(asked.mark.exists, PATIENCE)
    waiting = asked.ask(PATIENCE)
    eventually(lambda: is_stopped(process.pid), PATIENCE)
    os.kill(process.pid, signal.SIGCONT)

    assert waiting.result(PATIENCE) == ["yes"]
    assert asked.apart._process is process
    assert asked.told == []


def test_a_reader_of_arrow_that_stops_holds_nobody_up_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrows, "ANSWER_SECONDS_MAX", PATIENCE)
    arrow = ArrowProcess()
    written = arrow.write({"age": list(range(50_000))}, as_file=False)
    process = arrow._process
    assert process is not None
    os.kill(process.pid, signal.SIGSTOP)
    monkeypatch.setattr(arrows, "ANSWER_SECONDS_MAX", SHORT)
    with ThreadPoolExecutor(1) as pool:
        try:
            with pytest.raises(TooLate):
                pool.submit(arrow.read, written, rows_max=50_000).result(PATIENCE)
        finally:
            process.kill()
    monkeypatch.setattr(arrows, "ANSWER_SECONDS_MAX", PATIENCE)

    assert arrow.read(written, rows_max=50_000) == {"age": list(range(50_000))}
    arrow.close()


def test_a_reader_of_arrow_that_somebody_kills_amid_its_work_is_asked_again_unseen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(arrows, "ANSWER_SECONDS_MAX", PATIENCE)
    arrow = ArrowProcess()
    written = arrow.write({"age": [1, 2]}, as_file=False)
    process = arrow._process
    assert process is not None
    os.kill(process.pid, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(arrow.read, written, rows_max=2)
        eventually(lambda: arrow._lock.locked(), PATIENCE)
        process.kill()

        assert read.result(PATIENCE) == {"age": [1, 2]}
    arrow.close()


def test_a_writer_of_arrow_that_ends_each_time_is_no_fault_of_the_body(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrows, "ANSWER_SECONDS_MAX", PATIENCE)
    arrow = ArrowProcess()
    with pytest.raises(Busy):
        # Columns of two lengths are no table: its writer fails.
        arrow.write({"age": [1], "plan": ["x", "y"]}, as_file=False)
    arrow.close()


def is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
