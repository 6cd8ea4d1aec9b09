"""When a worker that has died is started again."""

import signal
import time
from types import SimpleNamespace

from aias.serving.processes.worker_slot import (
    PAUSE_SECONDS_ALONE,
    PAUSE_SECONDS_MAX,
    PAUSE_SECONDS_SUCCEEDED,
    QUICK_DEATHS,
    SETTLED_SECONDS,
    Worker,
)
from aias.serving.survival.worker_process import WorkerProcess


def process(status: int, *, ready: bool = True, seconds: float = 0.0) -> WorkerProcess:
    process = SimpleNamespace(returncode=status, pid=1)
    return WorkerProcess(process, None, time.monotonic() - seconds, ready=ready)  # type: ignore[arg-type]


def pauses(worker: Worker, *processes: WorkerProcess, alone: bool = False) -> list[float]:
    return [worker.pause_after(each, alone=alone) for each in processes]


def test_one_that_is_killed_over_and_over_is_started_again_at_once_each_time() -> None:
    assert pauses(Worker(0, []), *[process(-signal.SIGKILL)] * 20) == [0.0] * 20


def test_one_that_ends_by_itself_is_first_tried_at_once_and_then_after_pauses_that_grow_and_are_bounded() -> None:
    found = pauses(Worker(0, []), *[process(1)] * 40)

    assert found[:QUICK_DEATHS] == [0.0] * QUICK_DEATHS
    assert found == sorted(found)
    assert 0 < found[QUICK_DEATHS] < 1 < found[-1] == PAUSE_SECONDS_MAX


def test_where_nobody_else_answers_the_pauses_are_short() -> None:
    assert max(pauses(Worker(0, []), *[process(1)] * 40, alone=True)) == PAUSE_SECONDS_ALONE


def test_where_the_one_before_it_answers_the_pauses_grow_longer() -> None:
    found = pauses(Worker(0, [], process(0)), *[process(1, ready=False)] * 40)

    assert found == sorted(found)
    assert found[-1] == PAUSE_SECONDS_SUCCEEDED > PAUSE_SECONDS_MAX


def test_killed_while_it_starts_it_is_not_started_without_a_pause_for_ever() -> None:
    assert pauses(Worker(0, []), *[process(-signal.SIGKILL, ready=False)] * 40)[-1] == PAUSE_SECONDS_MAX


def test_one_that_has_lived_long_begins_anew() -> None:
    worker = Worker(0, [])

    assert pauses(worker, *[process(1)] * 10)[-1] > 0
    assert pauses(worker, process(1, seconds=SETTLED_SECONDS + 1)) == [0.0]


def test_one_that_the_system_cannot_start_is_tried_again_after_pauses_that_grow_and_are_bounded() -> None:
    worker = Worker(0, [])
    found = [worker.pause_unstarted(alone=False) for _ in range(40)]

    assert found == sorted(found)
    assert 0 < found[0] < 1 < found[-1] == PAUSE_SECONDS_MAX
    assert worker.pause_unstarted(alone=True) == PAUSE_SECONDS_ALONE
