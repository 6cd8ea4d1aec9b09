"""Who has changed something is told when it is followed: keys at once, endpoints when what they need is loaded."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from aias.core.errors import StorageFailed
from aias.core.events import Event, nobody
from aias.database.followers import FOLDER, What, wait_for_all
from aias.serving.observability.metrics import Metrics
from aias.serving.versions import router as versions
from aias.serving.versions.following import Following
from clock import Clock
from live_server import BOUNDS, PATIENCE, Rule, Shelf, eventually


class Router:
    """Follows, and loads what is due when it is let; counts what it has begun."""

    def __init__(self) -> None:
        self.gate, self.follows, self.loads, self.looks = threading.Event(), 0, 0, 0
        self.broken: set[str] = set()
        self.fault: Exception = StorageFailed("the disk is gone", hint="find it")
        self.stage = SimpleNamespace(report=lambda: False)
        self.due: frozenset[str] = frozenset()
        self.gate.set()

    def follow(self) -> None:
        self.follows += 1
        if "follow" in self.broken:
            raise self.fault

    def look(self) -> None:
        self.looks += 1
        if "look" in self.broken:
            raise self.fault

    def load_next(self) -> bool:
        if not self.due:
            return False
        self.loads += 1
        self.gate.wait(PATIENCE)
        self.due = frozenset()
        return True


@contextmanager
def following(home: Path, router: Any, *, seconds: float = PATIENCE) -> Iterator[list[Event]]:
    told: list[Event] = []
    made = Following(router, watch=told.append, seconds=seconds, home=home)
    made.open()
    made.start()
    try:
        yield told
    finally:
        router.gate.set()
        made.stop()


def asking(home: Path, what: What, name: str = "") -> threading.Thread:
    thread = threading.Thread(target=wait_for_all, args=(home, what, name), kwargs={"seconds": PATIENCE})
    thread.start()
    return thread


def waiting_for_big(home: Path, router: Router) -> threading.Thread:
    """Who has changed an endpoint that is being loaded, until the router's gate is set."""
    router.gate.clear()
    router.due = frozenset(("big",))
    found = asking(home, "endpoints", "big")
    eventually(lambda: router.loads > 0)
    return found


def test_who_has_changed_an_endpoint_is_told_when_what_it_needs_is_loaded(tmp_path: Path) -> None:
    router = Router()
    with following(tmp_path, router):
        waiting = [waiting_for_big(tmp_path, router), asking(tmp_path, "endpoints")]
        follows = router.follows
        router.gate.set()
        for each in waiting:
            each.join(PATIENCE)

        assert not any(each.is_alive() for each in waiting)
        assert router.follows > follows


def test_who_has_changed_another_endpoint_does_not_wait_for_that(tmp_path: Path) -> None:
    router = Router()
    with following(tmp_path, router):
        big = waiting_for_big(tmp_path, router)
        small = asking(tmp_path, "endpoints", "small")
        small.join(PATIENCE)

        assert (small.is_alive(), big.is_alive()) == (False, True)
        router.gate.set()
        big.join(PATIENCE)


def test_keys_are_followed_while_a_model_is_loaded(tmp_path: Path) -> None:
    router = Router()
    with following(tmp_path, router):
        deployed = waiting_for_big(tmp_path, router)
        wait_for_all(tmp_path, "keys", seconds=PATIENCE)

        assert (router.looks, deployed.is_alive()) == (1, True)
        router.gate.set()
        deployed.join(PATIENCE)


@pytest.mark.parametrize("fault", [StorageFailed("the disk is gone", hint="find it"), ValueError("a row is odd")])
def test_who_could_not_be_told_is_told_when_the_database_answers_again(tmp_path: Path, fault: Exception) -> None:
    router = Router()
    router.fault = fault
    router.broken = {"follow", "look"}
    with following(tmp_path, router, seconds=0.01) as told:
        waiting = [asking(tmp_path, "endpoints"), asking(tmp_path, "keys")]
        eventually(lambda: router.looks == 1 and router.follows >= 3)
        assert all(each.is_alive() for each in waiting)
        router.broken = set()
        for each in waiting:
            each.join(PATIENCE)

        assert not any(each.is_alive() for each in waiting)
        assert [each.name for each in told] == ["serve.refresh-failed"]


def test_who_waits_for_a_server_that_ends_goes_on(tmp_path: Path) -> None:
    router = Router()
    router.broken = {"follow"}
    with following(tmp_path, router):
        waiting = asking(tmp_path, "endpoints")
        eventually(lambda: router.follows == 1)
    waiting.join(PATIENCE)

    assert not waiting.is_alive()


def test_a_home_that_takes_no_sockets_is_looked_at_all_the_same(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("a file")
    router = Router()
    with following(tmp_path, router, seconds=0.01) as told:
        eventually(lambda: router.follows >= 2)

    assert [each.name for each in told] == ["serve.deaf"]


def test_what_is_loaded_at_the_start_is_waited_for_no_longer_than_that_and_the_rest_is_loaded_beside_it() -> None:
    shelf, gate = Shelf(), threading.Event()
    shelf.deploy("good", 2, Rule())
    shelf.deploy("never", 1, Rule(gate=gate))
    table = versions.Router(
        shelf, shelf.load, metrics=Metrics(), watch=nobody, asked_before=["never"], bounds=BOUNDS, clock=Clock()
    )
    made = Following(table, watch=nobody, seconds=PATIENCE)

    made.begin(0.01)
    before = table.ready, table.loaded(), table.answering()
    made.start()
    eventually(lambda: table.loaded() == [("good", "churn@2")])
    gate.set()
    eventually(lambda: not table.due)
    made.stop()

    assert before == (True, [], [("good", "churn@2"), ("never", "churn@1")])
    assert sorted(table.loaded()) == before[2]


def test_who_stops_amid_the_first_loads_waits_for_the_one_that_runs_and_for_no_other() -> None:
    """A process that ends amid one is aborted by what it is loaded with."""
    shelf, gate = Shelf(), threading.Event()
    shelf.deploy("first", 1, Rule(gate=gate))
    shelf.deploy("second", 2, Rule())
    table = versions.Router(
        shelf, shelf.load, metrics=Metrics(), watch=nobody, asked_before=["first", "second"], bounds=BOUNDS,
        clock=Clock(),
    )  # fmt: skip
    made = Following(table, watch=nobody, seconds=PATIENCE)

    made.begin(0.01)
    stopping = threading.Thread(target=made.stop)
    stopping.start()
    stopping.join(0.05)
    waits = stopping.is_alive()
    gate.set()
    stopping.join(PATIENCE)

    assert (waits, stopping.is_alive()) == (True, False)
    assert table.loaded() == [("first", "churn@1")]
