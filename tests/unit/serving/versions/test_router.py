import threading
import time
from collections.abc import Sequence
from dataclasses import astuple

import pytest

from aias.registry.values import Endpoint
from aias.runtimes.contract import Answers, Row
from aias.serving.observability.metrics import Metrics
from aias.serving.versions.model import FASTER, warm
from aias.serving.versions.residency import KEEP_SECONDS, MEASURED_FOR_SECONDS
from aias.serving.versions.router import RETRY_SECONDS, Router
from clock import Clock
from live_server import BOUNDS, PATIENCE, Rule, Shelf, eventually, live_server


def router(shelf: Shelf, clock: Clock | None = None) -> tuple[Router, list[str], Metrics]:
    told: list[str] = []
    metrics = Metrics()
    made = Router(
        shelf, shelf.load, metrics=metrics, watch=lambda event: told.append(event.name), clock=clock or Clock()
    )
    return made, told, metrics


def test_a_new_version_takes_over_and_the_old_one_is_let_go() -> None:
    shelf = Shelf()
    shelf.deploy("churn", 1, Rule())
    table, _, _ = router(shelf)
    table.refresh()
    before = table.find("churn")

    shelf.deploy("churn", 2, Rule())
    table.refresh()

    assert (before.version, table.find("churn").version) == ("churn@1", "churn@2")
    assert table.loaded() == [("churn", "churn@2")]


def test_going_back_within_ten_minutes_loads_nothing() -> None:
    shelf, clock = Shelf(), Clock()
    first = Rule()
    shelf.deploy("churn", 1, first)
    table, _, _ = router(shelf, clock)
    table.refresh()
    shelf.deploy("churn", 2, Rule())
    table.refresh()
    shelf.runtimes["churn-1"], found = Rule(), []
    for wait in (1.0, KEEP_SECONDS + 1):
        clock.now += wait
        table.refresh()
        shelf.deploy("churn", 1, None)
        table.refresh()
        found.append(table.find("churn").runtime is first)
        shelf.deploy("churn", 2, None)
        table.refresh()

    assert found == [True, False]


def test_a_version_that_cannot_be_loaded_leaves_the_old_one_answering() -> None:
    shelf = Shelf()
    shelf.deploy("churn", 1, Rule())
    table, told, metrics = router(shelf)
    table.refresh()

    shelf.deploy("churn", 2, None)
    table.refresh()

    assert table.find("churn").version == "churn@1"
    assert table.ready
    assert told == ["serve.loaded", "serve.load-failed"]
    assert metrics.load_failures == {"churn": 1}


class Slow(Rule):
    """Every run takes so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds, self.runs = seconds, 0

    def predict(self, rows: Sequence[Row]) -> Answers:
        self.runs += 1
        time.sleep(self.seconds)
        return super().predict(rows)


def test_what_was_loaded_in_a_slow_moment_is_measured_again_and_comes_back_to_the_loop() -> None:
    shelf, clock, rule = Shelf(), Clock(1.0), Slow(0.05)
    shelf.deploy("churn", 1, rule)
    table, told, _ = router(shelf, clock)
    table.refresh()
    slow = table.find("churn")
    clock.now += 1.0
    table.follow()
    rule.seconds = 0.0
    table.load_next()
    assert (table.find("churn"), table.tiers()) == (slow, [("churn", "thread")])

    clock.now += MEASURED_FOR_SECONDS
    table.load_next()

    found = table.peek("churn")
    assert (found.row_seconds < FASTER * slow.row_seconds, table.tiers()) == (True, [("churn", "inline")])
    assert (found.resident is slow.resident, told) == (True, ["serve.loaded", "serve.measured-again"])


def test_what_is_no_faster_or_is_not_asked_stays_as_it_was_measured_and_is_looked_at_ever_less_often() -> None:
    shelf, clock, rule = Shelf(), Clock(1.0), Slow(0.02)
    shelf.deploy("churn", 1, rule)
    table, told, _ = router(shelf, clock)
    table.refresh()
    before, looks = table.find("churn"), []
    for minutes in range(8):
        clock.now += MEASURED_FOR_SECONDS
        if minutes not in (3, 4, 5, 6):
            table.find("churn")
        table.follow()
        runs = rule.runs
        table.load_next()
        looks.append(rule.runs > runs)

    assert (looks, table.find("churn")) == ([True, False, True, False, False, False, False, True], before)
    assert told == ["serve.loaded"]


class Meanwhile(Endpoint):
    """What is done whenever somebody looks which version it is."""

    def __getattribute__(self, name: str) -> object:
        if name == "digest":
            self.happens()
        return super().__getattribute__(name)

    @staticmethod
    def happens() -> None: ...


def test_a_model_is_loaded_although_others_come_and_go_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf()
    shelf.deploy("churn", 1, Rule())
    shelf.pointers["churn"] = Meanwhile(*astuple(shelf.pointers["churn"]))
    table, told, _ = router(shelf)
    table.refresh()
    shelf.deploy("late", 2, Rule())
    table.look()

    def another() -> None:
        shelf.deploy("later", 3, Rule())
        table.look()

    monkeypatch.setattr(Meanwhile, "happens", staticmethod(another))

    assert table.bring("late").version == "churn@2"
    assert told == ["serve.loaded", "serve.loaded"]


def test_an_endpoint_that_never_loaded_makes_the_server_unready_until_it_does() -> None:
    shelf, clock = Shelf(), Clock()
    shelf.deploy("good", 1, Rule())
    shelf.deploy("churn", 2, None)
    table, _, metrics = router(shelf, clock)
    table.refresh()
    assert not table.ready

    shelf.runtimes["churn-2"] = Rule()
    table.refresh()
    assert not table.ready
    clock.now += RETRY_SECONDS
    table.refresh()

    assert table.ready
    assert table.find("churn").version == "churn@2"
    assert metrics.load_failures == {"churn": 1}


def test_an_endpoint_that_is_no_more_is_gone_and_is_no_reason_to_be_unready() -> None:
    shelf = Shelf()
    shelf.deploy("churn", 1, None)
    table, _, _ = router(shelf)
    table.refresh()

    shelf.undeploy("churn")
    table.refresh()

    assert table.ready
    assert table.loaded() == []


class Held(Shelf):
    """`big` is loaded when it is let, and says that it is being loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.let, self.begun = threading.Event(), threading.Event()

    def load(self, endpoint: Endpoint) -> Rule:
        if endpoint.name == "big":
            self.begun.set()
            assert self.let.wait(PATIENCE)
        return super().load(endpoint)

    def loading_big(self, table: Router) -> threading.Thread:
        self.deploy("big", 9, Rule())
        loading = threading.Thread(target=table.refresh)
        loading.start()
        assert self.begun.wait(PATIENCE)
        return loading


def test_what_needs_no_load_is_gone_by_while_another_endpoint_is_loaded() -> None:
    shelf = Held()
    table, _, _ = router(shelf)
    for number in (1, 2):
        shelf.deploy("churn", number, Rule())
        shelf.deploy("old", 1, None)
        table.refresh()
    loading = shelf.loading_big(table)
    shelf.undeploy("old")
    shelf.deploy("churn", 1, None)
    shelf.deploy("small", 3, Rule())
    try:
        for name in ("churn", "old", "small"):
            changing = threading.Thread(target=table.retry, args=(name,), daemon=True)
            changing.start()
            changing.join(PATIENCE)
            assert not changing.is_alive()

        assert table.loaded() == [("churn", "churn@1"), ("small", "churn@3")]
        assert table.due == {"big"}
    finally:
        shelf.let.set()
        loading.join(PATIENCE)
    assert (table.find("big").version, table.due) == ("churn@9", set())


def test_a_version_that_is_replaced_while_it_is_loaded_never_answers() -> None:
    shelf = Held()
    shelf.deploy("churn", 1, Rule())
    table, told, _ = router(shelf)
    table.refresh()
    loading = shelf.loading_big(table)
    shelf.undeploy("big")
    table.follow()
    shelf.let.set()
    loading.join(PATIENCE)

    assert table.loaded() == [("churn", "churn@1")]
    assert (told, table.ready, table.due) == (["serve.loaded"], True, set())


def test_two_endpoints_at_one_version_share_it() -> None:
    shelf = Shelf()
    shelf.deploy("churn", 1, Rule())
    shelf.deploy("live", 1, None)
    table, _, _ = router(shelf)

    table.refresh()

    assert table.find("churn").runtime is table.find("live").runtime


def test_a_model_is_tried_with_its_example_and_its_cost_decides_where_it_runs() -> None:
    model = warm(Rule(), version="churn@1", number=1)

    assert model.example == {"age": 41, "plan": "pro"}
    assert model.row_seconds > 0
    assert model.seconds_for(100 * model.example_bytes) == 100 * model.row_seconds
    assert not model.runs_inline(int(model.example_bytes * BOUNDS.inline_seconds / model.row_seconds) + 100, BOUNDS)


def test_a_running_server_follows_what_is_deployed() -> None:
    with live_server() as server:
        server.shelf.deploy("other", 3, Rule())
        eventually(lambda: server.call("POST", "/predict/other", []).status == 200)

        server.shelf.undeploy("other")
        eventually(lambda: server.call("POST", "/predict/other", []).status == 404)


def test_a_directory_that_fails_for_a_while_stops_nothing() -> None:
    class Flaky(Shelf):
        broken = False
        looks = 0

        def generation(self) -> int:
            self.looks += 1
            if self.broken:
                raise OSError("no disk")
            return super().generation()

    shelf = Flaky()
    shelf.deploy("churn", 1, Rule())
    with live_server(shelf) as server:
        shelf.broken = True
        eventually(lambda: any(event.name == "serve.refresh-failed" for event in server.events))
        looks = shelf.looks
        eventually(lambda: shelf.looks > looks + 3)
        assert [event.name for event in server.events].count("serve.refresh-failed") == 1
        assert server.call("POST", "/predict/churn", [{"age": 50}]).status == 200

        shelf.broken = False
        shelf.deploy("churn", 2, Rule())
        eventually(lambda: server.call("POST", "/predict/churn", []).headers["x-aias-version"] == "churn@2")


def test_readiness_is_told_and_names_nothing() -> None:
    shelf = Shelf()
    shelf.deploy("churn", 1, None)
    with live_server(shelf) as server:
        for path in ("/health/ready", "/v2/health/ready"):
            response = server.call("GET", path, key=None)
            assert (response.status, response.json) == (503, {"ready": False})
        refused = server.call("POST", "/predict/churn", [])
        assert refused.status == 503
        assert "secret" not in refused.body.decode()

        shelf.deploy("churn", 2, Rule())
        eventually(lambda: server.call("GET", "/health/ready", key=None).status == 200)
        assert server.call("GET", "/health/live", key=None).json == {"live": True}


def test_a_request_that_waits_for_a_thread_finishes_on_the_version_it_began_with() -> None:
    gate = threading.Event()
    gate.set()
    slow = Rule(gate=gate)
    shelf = Shelf()
    shelf.deploy("churn", 1, slow)
    with live_server(shelf) as server:
        gate.clear()
        versions: list[str] = []
        csv = {"Content-Type": "text/csv"}
        asking = threading.Thread(
            target=lambda: versions.append(
                server.call("POST", "/predict/churn", "age\n50\n", headers=csv).headers["x-aias-version"]
            )
        )
        for _ in range(5):
            assert slow.started.acquire(timeout=PATIENCE)  # the trials at loading
        asking.start()
        assert slow.started.acquire(timeout=PATIENCE)
        shelf.deploy("churn", 2, Rule())
        eventually(lambda: server.call("GET", "/predict/churn").headers["x-aias-version"] == "churn@2")
        gate.set()
        asking.join(PATIENCE)

    assert versions == ["churn@1"]
