"""How much longer everything takes: by how long threads ran, and how long they waited."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aias.core.load import LOOK_SECONDS, RAN_SECONDS_MIN, WINDOW_SECONDS, Load, Seconds, family, threads


class Machine:
    """One process whose threads ran and waited as is said."""

    def __init__(self) -> None:
        self.now, self.said = 100.0, {1: (50.0, 400.0)}
        self.load = Load(lambda: (7,), lambda: self.now, self.read, cores=2)

    def read(self, pid: int) -> dict[int, Seconds]:
        assert pid == 7
        return dict(self.said)

    def after(self, seconds: float, *, ran: float, waited: float, thread: int = 1) -> float:
        self.now += seconds
        run, wait = self.said.get(thread, (0.0, 0.0))
        self.said[thread] = (run + ran, wait + waited)
        return self.load.stretch


def test_who_waits_two_seconds_for_each_of_work_takes_three_times_as_long() -> None:
    machine = Machine()  # what was before anybody looked does not count
    assert machine.after(3, ran=1.0, waited=2.0) == 3.0


def test_who_is_left_alone_does_not_wait_for_who_was_of_its_own() -> None:
    machine = Machine()
    assert machine.after(2, ran=4.0, waited=2.0) == 1.5  # three of ours on two processors, and nobody else
    assert (machine.load.stretch_of(1), machine.load.stretch_of(3)) == (1.0, 1.5)
    machine.now += WINDOW_SECONDS
    assert machine.after(2, ran=24.0, waited=0.0) == 1.0
    others = Machine()
    assert others.after(2, ran=1.0, waited=5.0) == 6.0  # three of ours, beside nine
    assert (others.load.stretch_of(1), others.load.stretch_of(2), others.load.stretch_of(4)) == (5.0, 5.5, 6.0)


def test_threads_that_come_and_go_are_each_counted_while_they_are_there() -> None:
    machine = Machine()
    assert machine.after(2, ran=1.0, waited=1.0, thread=2) == 2.0
    del machine.said[2]
    assert machine.after(2, ran=1.0, waited=0.0) == 1.5


def test_what_is_long_ago_is_forgotten() -> None:
    machine = Machine()
    assert machine.after(2, ran=1.0, waited=9.0) == 10.0
    machine.after(WINDOW_SECONDS, ran=1.0, waited=0.0)
    assert machine.after(WINDOW_SECONDS, ran=1.0, waited=0.0) == 1.0


def test_who_did_hardly_anything_says_nothing_new() -> None:
    machine = Machine()
    assert machine.after(2, ran=1.0, waited=1.0) == 2.0
    assert machine.after(WINDOW_SECONDS, ran=RAN_SECONDS_MIN / 2, waited=5.0) == 2.0


def test_it_looks_no_oftener_than_it_should() -> None:
    machine = Machine()
    assert machine.after(LOOK_SECONDS / 2, ran=1.0, waited=1.0) == 1.0
    assert machine.after(LOOK_SECONDS / 2, ran=0.0, waited=0.0) == 2.0


def test_of_nobody_and_of_who_is_gone_nothing_is_told() -> None:
    assert Load().stretch == 1.0 and threads(2**22 + 1) == {}


def test_this_very_process_has_run() -> None:
    found = threads(os.getpid())
    assert not found or found[os.getpid()][0] > 0


def test_a_process_that_ends_while_it_is_looked_at_started_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(path: Path, pattern: str) -> Iterator[Any]:
        raise FileNotFoundError(path, pattern)

    monkeypatch.setattr(Path, "glob", gone)
    assert family() == [os.getpid()]
