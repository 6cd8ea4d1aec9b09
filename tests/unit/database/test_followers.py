import errno
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from aias.core.events import Event
from aias.core.unix_sockets import connect, listen_as
from aias.database.engine import Database, changed
from aias.database.followers import FOLDER, ChangeListener, Waiter, What, wait_for_all
from live_server import PATIENCE


class Follower:
    """Keeps who asks."""

    def __init__(self, home: Path, *, hears: bool = True) -> None:
        self.listener, self.asked, self.came = ChangeListener(home), list[Waiter](), threading.Semaphore(0)
        self.listener.open()
        self.thread = threading.Thread(target=self.listener.hear, args=(self.hear,))
        if hears:
            self.thread.start()

    def hear(self, asked: Waiter) -> None:
        self.asked.append(asked)
        self.came.release()

    def close(self) -> None:
        self.listener.close()
        self.thread.join()


@pytest.fixture
def follower(tmp_path: Path):
    made = Follower(tmp_path)
    yield made
    made.close()


def waiting(home: Path, what: What = "endpoints", seconds: float = PATIENCE) -> tuple[threading.Thread, list[Event]]:
    told: list[Event] = []
    thread = threading.Thread(target=wait_for_all, args=(home, what), kwargs={"seconds": seconds, "watch": told.append})
    thread.start()
    return thread, told


def caller_of() -> socket.socket:
    caller = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    caller.settimeout(PATIENCE)
    return caller


def sockets(home: Path) -> list[str]:
    return [each.name for each in (home / FOLDER).iterdir()]


def test_a_change_waits_until_every_follower_has_told(tmp_path: Path, follower: Follower):
    other = Follower(tmp_path)
    thread, told = waiting(tmp_path)
    for each in (follower, other):
        assert each.came.acquire(timeout=PATIENCE)
        assert thread.is_alive()
        each.asked[0].tell()
    thread.join(PATIENCE)
    other.close()

    assert (thread.is_alive(), told) == (False, [])
    assert [each.asked[0].what for each in (follower, other)] == ["endpoints", "endpoints"]


def test_the_endpoint_that_has_moved_is_named_however_long_its_name(tmp_path: Path, follower: Follower):
    name = "e" * 63
    thread = threading.Thread(target=wait_for_all, args=(tmp_path, "endpoints", name), kwargs={"seconds": PATIENCE})
    thread.start()
    assert follower.came.acquire(timeout=PATIENCE)
    follower.asked[0].tell()
    thread.join(PATIENCE)

    assert (follower.asked[0].what, follower.asked[0].name) == ("endpoints", name)


def test_nobody_waits_for_who_ends_or_has_died(tmp_path: Path, follower: Follower):
    # As a process leaves it that was killed.
    listen_as(tmp_path / FOLDER / "follows-1-dead").close()
    thread, told = waiting(tmp_path, "keys")
    assert follower.came.acquire(timeout=PATIENCE)
    follower.asked[0].leave()
    thread.join(PATIENCE)

    assert (thread.is_alive(), told) == (False, [])
    assert [each.startswith("follows-1-") for each in sockets(tmp_path)] == [False]


@contextmanager
def crowded(home: Path) -> Iterator[None]:
    """As many callers as a follower that hears none of them has room for."""
    with ExitStack() as crowd:
        with pytest.raises(BlockingIOError):
            while True:
                connect(crowd.enter_context(caller_of()), home / FOLDER / sockets(home)[0])
        yield


def test_who_finds_a_crowd_before_him_waits_too(tmp_path: Path):
    follower = Follower(tmp_path, hears=False)
    with crowded(tmp_path):
        thread, told = waiting(tmp_path)
        thread.join(0.2)
        assert thread.is_alive()
    follower.thread.start()
    assert follower.came.acquire(timeout=PATIENCE)
    follower.asked[0].tell()
    thread.join(PATIENCE)
    follower.close()

    assert (thread.is_alive(), told) == (False, [])


def test_of_who_lets_nobody_in_is_told(tmp_path: Path):
    # It listens, and is never heard.
    follower = Follower(tmp_path, hears=False)
    with crowded(tmp_path):
        told: list[Event] = []
        wait_for_all(tmp_path, "endpoints", seconds=0.05, watch=told.append)
    follower.thread.start()
    follower.close()

    assert [(each.name, each.facts["pid"]) for each in told] == [("database.not-followed", os.getpid())]


def test_who_could_not_be_let_in_once_is_heard_all_the_same(tmp_path: Path):
    follower = Follower(tmp_path, hears=False)
    listener, faults = follower.listener._listener, [OSError(errno.EMFILE, "too many open files")]

    class Short:
        """For a moment there is no descriptor left."""

        def accept(self) -> object:
            if faults:
                raise faults.pop()
            return listener.accept()

        def __getattr__(self, name: str) -> object:
            return getattr(listener, name)

    follower.listener._listener = Short()
    follower.thread.start()
    thread, _ = waiting(tmp_path)
    assert follower.came.acquire(timeout=PATIENCE)
    follower.asked[0].tell()
    thread.join(PATIENCE)
    follower.close()

    assert (thread.is_alive(), faults) == (False, [])


def test_who_does_not_follow_in_time_is_told_of(tmp_path: Path, follower: Follower):
    thread, told = waiting(tmp_path, seconds=0.05)
    thread.join(PATIENCE)

    assert [(each.name, each.level) for each in told] == [("database.not-followed", "warning")]


def test_who_asks_nothing_that_is_known_is_not_kept(tmp_path: Path, follower: Follower):
    with caller_of() as caller:
        connect(caller, tmp_path / FOLDER / sockets(tmp_path)[0])
        caller.send(b"what?")
        assert caller.recv(8) == b""
    assert follower.asked == []


def test_an_ear_that_is_closed_leaves_nothing(tmp_path: Path):
    Follower(tmp_path).close()

    assert sockets(tmp_path) == []
    wait_for_all(tmp_path, "endpoints")


def test_what_was_not_written_is_not_waited_for(tmp_path: Path):
    database = Database.open(tmp_path)
    follower = Follower(tmp_path)
    with pytest.raises(ZeroDivisionError), database.moving("endpoints") as transaction:
        changed(transaction)
        raise ZeroDivisionError
    follower.close()
    database.close()

    assert follower.asked == []
