"""Who stands still, and who only has to wait for a processor."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from aias.serving.survival.heartbeat import Heartbeat, threads_of
from live_server import eventually

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what threads do is read from /proc")

Look = Callable[[int], str]


@contextmanager
def process(*command: str) -> Iterator[tuple[subprocess.Popen[bytes], Look]]:
    with subprocess.Popen(command) as running:
        try:
            heartbeat = Heartbeat(running.pid)
            yield running, lambda beat: heartbeat.look(beat, every=0.5, asleep_seconds=3.0)
        finally:
            running.kill()


def test_who_is_stopped_and_beats_no_more_is_told_after_two_seconds_of_looks() -> None:
    with process("sleep", "1000") as (running, look):
        running.send_signal(signal.SIGSTOP)
        eventually(lambda: threads_of(running.pid)[0] == {"T"})
        said = [look(7) for _ in range(5)]

    assert said == ["", "", "", "", "is stopped"]


def test_who_goes_on_in_time_has_not_stood_still() -> None:
    with process("sleep", "1000") as (running, look):
        running.send_signal(signal.SIGSTOP)
        eventually(lambda: threads_of(running.pid)[0] == {"T"})
        before = [look(7) for _ in range(4)]
        running.send_signal(signal.SIGCONT)
        after = [look(8), *(look(8) for _ in range(3))]

    assert [*before, *after] == [""] * 8


def test_who_sleeps_and_beats_no_more_is_told_after_as_long_as_a_run_may_take() -> None:
    with process("sleep", "1000") as (running, look):
        eventually(lambda: threads_of(running.pid)[0] == {"S"})
        said = [look(7) for _ in range(8)]

    assert said == [""] * 7 + ["does nothing, and hears nobody"]


def test_who_sleeps_and_beats_is_alive() -> None:
    with process("sleep", "1000") as (_, look):
        assert {look(beat // 2) for beat in range(40)} == {""}


def test_who_wants_to_work_is_alive_however_little_it_is_let() -> None:
    with process(sys.executable, "-c", "while True: pass") as (running, look):
        eventually(lambda: threads_of(running.pid)[1] > 0)
        assert {look(7) for _ in range(40)} == {""}


def test_of_a_process_that_has_gone_nothing_is_said() -> None:
    with process("true") as (running, look):
        os.waitid(os.P_PID, running.pid, os.WEXITED | os.WNOWAIT)
        assert {look(7) for _ in range(40)} == {""}
