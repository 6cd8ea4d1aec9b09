"""The supervisor's side: whose fault a death is, what is stuck, and that nothing a worker has left gets lost."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from aias.core.events import Event
from aias.serving.survival.adoption import Transfer, send
from aias.serving.survival.crash_record import AGAIN_DEATHS, DEATHS_MAX, LOADING_DEATHS, CrashRecord
from aias.serving.survival.heartbeat import TICKS_A_SECOND, state_of, threads_of
from aias.serving.survival.journal import Journal, Layout, Pages
from aias.serving.survival.keeper import can_keep
from aias.serving.survival.transfers import TransferQueue
from aias.serving.survival.worker_process import (
    START_ASLEEP_SECONDS_MAX,
    RunSeconds,
    WorkerChannel,
    WorkerProcess,
)
from live_server import eventually
from open_files import room_for

pytestmark = pytest.mark.skipif(not can_keep(), reason="this machine cannot keep connections")

SECOND = 1_000_000_000
LOADING = 240.0


def process(status: int = -signal.SIGSEGV) -> WorkerProcess:
    channel = WorkerChannel.make(Layout(threads=2, slots=4))
    process: Any = SimpleNamespace(returncode=status, pid=-1)
    return WorkerProcess(process, channel, 0.0, ready=True)


@pytest.fixture
def one() -> Iterator[WorkerProcess]:
    yield process()


def journal(of: WorkerProcess) -> Journal:
    """As the worker has it, with a mapping of its own."""
    assert of.channel is not None
    return Journal(Pages(os.dup(of.channel.pages.descriptor), of.channel.pages.layout))


def test_who_ran_when_a_process_ended_by_itself_is_to_blame_in_equal_shares(one: WorkerProcess) -> None:
    runs = journal(one).runs
    runs.begin("a@1", [])
    assert one.suspects() == {"a@1": 1.0}
    runs.begin("b@1", [])
    assert one.suspects() == {"a@1": 0.5, "b@1": 0.5}


def test_what_a_version_does_while_it_is_loaded_is_its_fault_and_may_take_minutes(one: WorkerProcess) -> None:
    runs, looks = journal(one).runs, range(int(LOADING / 4))
    runs.load("a@1")

    assert one.suspects() == {"a@1": LOADING_DEATHS}
    assert not any(one.find_stuck(2**62, RunSeconds(0.1, 0.1, LOADING), every=4.0) for _ in looks[1:])

    other = runs.load("b@1")
    assert one.suspects() == {"a@1": LOADING_DEATHS / 2, "b@1": LOADING_DEATHS / 2}
    runs.loaded(other)
    assert one.suspects() == {"a@1": LOADING_DEATHS}

    said = one.must_end(2**62, RunSeconds(0.1, 0.1, LOADING), every=4.0)
    assert said is not None
    assert said.message == "loading a@1 does not end; its process is ended"
    assert one.suspects() == {"a@1": LOADING_DEATHS}


def test_nobody_is_to_blame_for_a_kill_from_outside_but_who_ran_a_request_that_had_seen_one_before() -> None:
    killed = process(-signal.SIGKILL)
    mine = journal(killed)
    mine.runs.begin("innocent@1", [])
    assert killed.suspects() == {}

    slot = mine.take()
    assert slot is not None
    slot.open(7, start=0, written=0, tries=1)
    mine.runs.begin_on_loop("again@1", slot)
    assert killed.suspects() == {"again@1": 1.0}


def test_in_whose_run_a_request_sees_the_second_death_is_to_blame_alone(one: WorkerProcess) -> None:
    mine = journal(one)
    slot = mine.take()
    assert slot is not None
    slot.open(7, start=0, written=0, tries=1)
    mine.runs.begin("neighbour@1", [])
    mine.runs.begin_on_loop("bad@1", slot)

    assert one.suspects() == {"bad@1": AGAIN_DEATHS}


def test_a_run_is_stuck_when_it_has_lasted_and_has_been_seen_for_too_long(one: WorkerProcess) -> None:
    runs = journal(one).runs
    runs.begin_on_loop("loop@1", None)
    runs.begin("thread@1", [])
    assert one.channel is not None
    [since, _] = [since for _, since in one.channel.pages.running().values()]

    def look(seconds: float) -> bool:
        return one.find_stuck(since + int(seconds * SECOND), RunSeconds(2.0, 10.0, LOADING), every=1.0)

    # The machine stood still: there was one look in all that time.
    assert not look(3.0)
    assert look(3.5)
    assert one.stuck == {0: "loop@1"}
    assert one.suspects() == {"loop@1": 1.0}


def test_a_run_in_a_thread_is_stuck_when_it_takes_far_longer_than_its_like(one: WorkerProcess) -> None:
    runs = journal(one).runs
    runs.begin("usual@1", [], most_seconds=0.0)
    runs.begin("stuck@1", [], most_seconds=3.0)

    found = [one.find_stuck(2**62, RunSeconds(2.0, 10.0, LOADING), every=1.0) for _ in range(3)]

    assert found == [False, False, True]
    assert [*one.stuck.values()] == ["stuck@1"]


@pytest.mark.parametrize(("used_of_each_look", "looks"), [(1.0, 4), (0.5, 6), (0.01, None)])
def test_who_waits_for_a_processor_has_only_had_the_time_that_it_got(
    one: WorkerProcess, used_of_each_look: float, looks: int | None
) -> None:
    used = count(0, round(used_of_each_look * TICKS_A_SECOND))
    one.threads = lambda _pid: ({"R", "S"}, next(used))
    journal(one).runs.begin_on_loop("loop@1", None)

    found = [one.find_stuck(2**62, RunSeconds(3.0, 10.0, LOADING), every=1.0) for _ in range(50)]

    assert (found.index(True) + 1 if any(found) else None) == looks


def test_a_run_that_follows_another_at_once_is_not_taken_for_it(one: WorkerProcess) -> None:
    runs = journal(one).runs
    for _ in range(5):
        runs.begin_on_loop("loop@1", None)
        assert not one.find_stuck(2**62, RunSeconds(2.0, 10.0, LOADING), every=1.0)
        runs.end_on_loop(None)


def test_one_that_starts_may_sleep_for_longer_than_one_that_answers(one: WorkerProcess) -> None:
    every = START_ASLEEP_SECONDS_MAX / 4

    def look() -> Event | None:
        return one.must_end(0, RunSeconds(2 * every, 10.0, LOADING), every=every)

    with subprocess.Popen(["sleep", "1000"]) as asleep:
        try:
            one.popen, one.ready = asleep, False
            eventually(lambda: threads_of(asleep.pid)[0] == {"S"})
            assert [look() for _ in range(4)] == [None] * 4
            one.ready = True
            assert [look() for _ in range(3)] == [None] * 3
            hung = look()
            assert hung and hung.facts["why"] == "does nothing, and hears nobody"

            one.ready = False
            assert [look() for _ in range(5)] == [None] * 5
            assert look() is not None
        finally:
            asleep.kill()


@pytest.mark.parametrize(("stopped", "blamed"), [(False, {"a@1": LOADING_DEATHS}), (True, {})])
def test_what_is_loaded_when_one_that_starts_falls_asleep_for_good_is_to_blame(
    one: WorkerProcess, *, stopped: bool, blamed: dict[str, float]
) -> None:
    journal(one).runs.load("a@1")
    with subprocess.Popen(["sleep", "1000"]) as asleep:
        one.popen, one.ready = asleep, False
        if stopped:
            asleep.send_signal(signal.SIGSTOP)
        eventually(lambda: threads_of(asleep.pid)[0] == {"T" if stopped else "S"})
        for _ in range(8):
            one.must_end(0, RunSeconds(1.0, 10.0, LOADING), every=START_ASLEEP_SECONDS_MAX / 4)
        one.kill()

    assert one.suspects() == blamed


def test_what_it_could_not_load_is_kept_until_it_could(one: WorkerProcess) -> None:
    facts: dict[str, object] = {"endpoint": "churn", "version": "a@2"}
    one.hear(Event("serve.load-failed", "why", "warning", facts))
    one.hear(Event("serve.loaded", "it answers", facts=facts | {"version": "a@1"}))
    assert one.failed == {("churn", "a@2"): "why"}

    one.hear(Event("serve.loaded", "it answers", facts=facts))
    assert one.failed == {}


def channel(one: WorkerProcess) -> socket.socket:
    assert one.channel is not None
    return one.channel.ours


def test_new_connections_wait_until_there_is_a_worker_and_then_go_to_each_in_turn() -> None:
    transfers, workers = TransferQueue(), [process(), process()]
    here, there = socket.socketpair()
    for _ in range(2):
        transfers.welcome(here.dup(), [])
    transfers.deliver([channel(each) for each in workers])

    for each in workers:
        assert each.channel is not None
        _, descriptors, *_ = socket.recv_fds(each.channel.theirs, 1_000, 10)
        os.write(descriptors[0], b"x")
        assert there.recv(10) == b"x"


def test_a_letter_that_a_worker_did_not_live_to_read_goes_to_another() -> None:
    transfers, dead, alive = TransferQueue(), process(), process()
    here, there = socket.socketpair()
    transfers.welcome(here, [channel(dead)])
    assert transfers.settle(dead, [channel(alive)]) == (0, 0)

    assert alive.channel is not None
    _, descriptors, *_ = socket.recv_fds(alive.channel.theirs, 1_000, 10)
    os.write(descriptors[0], b"x")
    assert there.recv(10) == b"x"


@pytest.mark.parametrize("other", ["true", "cat"])
def test_a_keeper_that_has_ended_is_lost_only_where_its_worker_has_not(one: WorkerProcess, other: str) -> None:
    class Waited(subprocess.Popen[bytes]):
        def poll(self) -> None:
            """As while another thread waits for it."""

    with subprocess.Popen(["true"]) as keeper, Waited([other], stdin=subprocess.PIPE) as worker:
        one.popen, one.keeper = worker, keeper.pid
        for each in (keeper, worker) if other == "true" else (keeper,):
            eventually(lambda each=each: state_of(each.pid) == "Z")
        lost = one.lost_keeper()

    assert (lost is None) == (other == "true")


def test_what_the_keeper_sent_goes_on_with_the_journal_and_who_died_in_a_run() -> None:
    transfers, dead, alive = TransferQueue(), process(), process()
    mine, (here, _there) = journal(dead), socket.socketpair()
    idle, busy = mine.take(), mine.take()
    assert idle and busy and dead.channel and alive.channel
    mine.runs.begin_on_loop("a@1", busy)
    socket.send_fds(dead.channel.theirs, [b"%d,%d" % (idle.index, busy.index)], [here.fileno(), here.fileno()])

    assert transfers.settle(dead, [channel(alive)]) == (2, 0)
    said, descriptors, *_ = socket.recv_fds(alive.channel.theirs, 10_000, 10)
    assert msgspec.json.decode(said, type=Transfer) == Transfer([idle.index, busy.index], [busy.index], [], (2, 4))
    assert len(descriptors) == 3


def test_who_has_no_room_to_hear_of_a_quarantine_is_told_once_there_is_and_what_is_true_then() -> None:
    transfers, crashes, full, free = TransferQueue(), CrashRecord(), process(), process()
    while send(channel(full), Transfer(), []):
        pass
    crashes.add({"bad@1": DEATHS_MAX}, 0.0)
    transfers.tell(crashes, [full, free])
    assert [each.isolated for each in heard(free)] == [(["bad@1"], ["bad@1"])]
    assert transfers.tell_again(crashes)
    crashes.release("bad@1", 0.0)
    assert [each for each in heard(full) if each.isolated] == []

    assert not transfers.tell_again(crashes)
    assert not transfers.tell_again(crashes)
    assert [[each.isolated for each in heard(of)] for of in (full, free)] == [[([], ["bad@1"])], []]


def test_who_has_ended_is_told_nothing_more() -> None:
    transfers, crashes, full = TransferQueue(), CrashRecord(), process()
    while send(channel(full), Transfer(), []):
        pass
    transfers.tell(crashes, [full])
    transfers.settle(full, [])

    assert not transfers.tell_again(crashes)


def heard(of: WorkerProcess) -> list[Transfer]:
    assert of.channel is not None
    of.channel.theirs.setblocking(False)
    found = []
    with suppress(BlockingIOError):
        while True:
            found.append(msgspec.json.decode(of.channel.theirs.recv(10_000), type=Transfer))
    return found


def left_by(dead: WorkerProcess, messages: int, slots: int) -> None:
    """As its keeper would."""
    assert dead.channel is not None
    here, there = socket.socketpair()
    with here, there:
        for _ in range(messages):
            said = b",".join(b"%d" % index for index in range(slots))
            socket.send_fds(dead.channel.theirs, [said], [here.fileno()] * slots)


def test_more_than_may_be_open_at_once_is_handed_on_as_it_comes() -> None:
    transfers, dead, alive = TransferQueue(), process(), process()
    left_by(dead, messages=5, slots=4)
    with room_for(6):
        assert transfers.settle(dead, [channel(alive)]) == (20, 0)

    assert alive.channel is not None
    for _ in range(5):
        assert len(socket.recv_fds(alive.channel.theirs, 10_000, 10)[1]) == 5


def test_what_may_not_be_open_is_counted_as_lost_and_the_rest_waits() -> None:
    transfers, dead, alive = TransferQueue(), process(), process()
    left_by(dead, messages=2, slots=4)
    with room_for(8):
        assert transfers.settle(dead, []) == (6, 2)
        transfers.deliver([channel(alive)])

    assert alive.channel is not None
    for slots in ([0, 1, 2, 3], [0, 1]):
        said, descriptors, *_ = socket.recv_fds(alive.channel.theirs, 10_000, 10)
        assert (msgspec.json.decode(said, type=Transfer).slots, len(descriptors)) == (slots, 1 + len(slots))
