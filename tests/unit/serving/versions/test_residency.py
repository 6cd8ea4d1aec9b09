"""Who is in memory: those that were asked last, within the budget; the others are loaded when they are asked."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from aias.artifact.manifest import FileEntry
from aias.core.events import nobody
from aias.core.memory import memory_bytes
from aias.registry.values import Endpoint
from aias.serving.bounds import Bounds
from aias.serving.observability.metrics import Metrics
from aias.serving.refusals import NotReady
from aias.serving.versions.following import Following
from aias.serving.versions.residency import AT_START_MAX, GROWN_MAX, OWN_BYTES, LoadSlots, Residency, taken_bytes
from aias.serving.versions.router import RETRY_SECONDS, START_SECONDS, Router
from artifacts import manifest
from clock import Clock
from live_server import BOUNDS, PATIENCE, Response, Rule, Shelf, eventually, live_server, samples

ONE = OWN_BYTES
"""What a rule takes: it has no files."""


def many(count: int) -> Shelf:
    shelf = Shelf()
    for number in range(1, count + 1):
        shelf.deploy(f"e{number}", number, Rule())
    return shelf


def router(shelf: Shelf, clock: Clock, *, room: int = 0, pinned: frozenset[str] = frozenset()) -> Router:
    made = Router(
        shelf, shelf.load, metrics=Metrics(), watch=lambda _event: None, clock=clock,
        residency=Residency(room * ONE, pinned),
    )  # fmt: skip
    made.refresh()
    return made


def names(table: Router) -> list[str]:
    return sorted(name for name, _ in table.loaded())


def ask(table: Router, clock: Clock, endpoint: str) -> str:
    clock.now += 1
    model = table.find(endpoint) or table.bring(endpoint)
    assert table.find(endpoint) is model
    table.refresh()  # as the poller does
    return model.version


def test_a_few_models_are_all_loaded_at_the_start_and_of_many_only_some() -> None:
    few, lots = router(many(3), Clock()), router(many(AT_START_MAX + 5), Clock())

    assert names(few) == ["e1", "e2", "e3"]
    assert len(lots.loaded()) == AT_START_MAX
    assert len(lots.answering()) == AT_START_MAX + 5
    assert lots.ready


def test_who_is_asked_longest_ago_makes_room_and_answers_again_when_it_is_asked() -> None:
    clock = Clock()
    table = router(many(6), clock, room=3)
    for name in ("e1", "e2", "e3", "e1", "e4"):
        assert ask(table, clock, name) == f"churn@{name[1:]}"

    assert names(table) == ["e1", "e3", "e4"]
    assert ask(table, clock, "e2") == "churn@2"
    assert names(table) == ["e1", "e2", "e4"]
    assert table.held_bytes <= 3 * ONE


def test_the_start_fills_half_of_the_room_with_those_that_were_asked_last_before() -> None:
    shelf = many(6)
    table = Router(
        shelf, shelf.load, metrics=Metrics(), watch=lambda _event: None, clock=Clock(),
        residency=Residency(4 * ONE), asked_before=["e2", "e5"],
    )  # fmt: skip
    table.refresh()

    assert {"e2", "e5"} <= {*names(table)}
    assert len(table.loaded()) == 3


def test_pinned_models_are_loaded_and_stay_whatever_comes() -> None:
    clock = Clock()
    table = router(many(6), clock, room=2, pinned=frozenset(("e6",)))
    for name in ("e1", "e2", "e3", "e4", "e5"):
        ask(table, clock, name)
    everything = router(many(AT_START_MAX + 2), Clock(), room=1, pinned=frozenset("*"))

    assert names(table) == ["e5", "e6"]
    assert len(everything.loaded()) == AT_START_MAX + 2


def test_what_there_is_no_time_for_at_the_start_follows_behind_it() -> None:
    class Slow(Shelf):
        def load(self, endpoint: Endpoint) -> Rule:
            clock.now += START_SECONDS
            return super().load(endpoint)

    clock, shelf = Clock(), Slow()
    for number in range(1, 5):
        shelf.deploy(f"e{number}", number, Rule())
    table = router(shelf, clock)
    assert len(table.loaded()) == 1

    following = Following(table, watch=nobody, seconds=0.01)
    following.start()
    try:
        eventually(lambda: len(table.loaded()) == 4)
    finally:
        following.stop()


def test_a_version_that_replaces_one_in_memory_is_loaded_and_one_that_is_broken_is_not_taken() -> None:
    clock, shelf = Clock(), many(4)
    table = router(shelf, clock, room=2)
    for name in ("e1", "e2", "e3"):
        ask(table, clock, name)
    assert names(table) == ["e2", "e3"]
    shelf.deploy("e2", 12, Rule())
    shelf.deploy("e1", 11, None)
    table.refresh()

    assert ask(table, clock, "e2") == "churn@12"
    assert ask(table, clock, "e1") == "churn@1"
    assert table.ready


def test_a_model_that_cannot_be_loaded_is_tried_again_later_and_not_by_every_request() -> None:
    clock, shelf = Clock(), many(3)
    table = router(shelf, clock, room=1)
    [parked, *_] = sorted({"e1", "e2", "e3"} - {*names(table)})
    rule = shelf.runtimes.pop(f"churn-{parked[1:]}")
    loads = []
    for _ in range(3):
        with pytest.raises(NotReady):
            loads.append(table.find(parked) or table.bring(parked))
    assert not table.ready

    shelf.runtimes[f"churn-{parked[1:]}"] = rule
    clock.now += RETRY_SECONDS
    table.refresh()

    assert table.ready
    assert ask(table, clock, parked) == f"churn@{parked[1:]}"


def test_two_endpoints_at_one_version_count_once() -> None:
    shelf = Shelf()
    shelf.deploy("churn", 1, Rule())
    shelf.deploy("live", 1, None)

    assert router(shelf, Clock()).held_bytes == ONE


def test_what_a_model_takes_is_what_the_process_grew_within_what_its_files_can_become() -> None:
    held = replace(manifest(), files=(FileEntry("model.onnx", "", 1_000_000), FileEntry("card.md", "", 5_000)))

    grown = [taken_bytes(held, each) - OWN_BYTES for each in (-10, 2_500_000, 10**10)]

    assert grown == [1_000_000, 2_500_000, int(GROWN_MAX * 1_000_000)]


def test_of_mapped_weights_each_worker_counts_its_part_beside_what_is_its_own() -> None:
    tables = FileEntry("encoders/0.json", "", 20_000)
    held = replace(manifest(), files=(FileEntry("model.onnx", "", 1_000_000), tables))

    taken = [taken_bytes(held, each, mapped=1_400_000, sharers=4) - OWN_BYTES for each in (0, 60_000)]

    assert taken == [20_000 + 350_000, 60_000 + 350_000]


def test_who_is_in_a_hurry_comes_before_those_who_are_not() -> None:
    line, order = LoadSlots(), list[str]()
    inside, go = threading.Event(), threading.Event()

    def first() -> None:
        with line.turn("first"):
            inside.set()
            go.wait(PATIENCE)

    def next_one(name: str, *, hurry: bool) -> None:
        with line.turn(name, hurry=hurry):
            order.append(name)

    with ThreadPoolExecutor(3) as pool:
        pool.submit(first)
        inside.wait(PATIENCE)
        pool.submit(next_one, "later", hurry=False)
        eventually(lambda: len(line._changed._waiters) == 1)  # type: ignore[attr-defined]
        pool.submit(next_one, "hurried", hurry=True)
        eventually(lambda: len(line._hurrying) == 1)
        go.set()

    assert order == ["hurried", "later"]


def test_who_waits_for_a_load_that_may_never_end_holds_up_nobody() -> None:
    line, inside, go = LoadSlots(lambda: 2), list[str](), threading.Event()

    def load(digest: str, *, hurry: bool) -> None:
        with line.turn(digest, hurry=hurry):
            inside.append(digest)
            if digest == "never":
                go.wait(PATIENCE)

    with ThreadPoolExecutor(3) as pool:
        pool.submit(load, "never", hurry=False)
        eventually(lambda: inside == ["never"])
        pool.submit(load, "never", hurry=True)
        eventually(lambda: line._hurrying == ["never"])
        pool.submit(load, "other", hurry=False)
        eventually(lambda: inside == ["never", "other"])
        go.set()


def test_loads_of_two_versions_go_on_beside_each_other_and_no_version_is_loaded_twice() -> None:
    line, inside, go = LoadSlots(lambda: 2), list[str](), threading.Event()

    def load(digest: str) -> None:
        with line.turn(digest, hurry=True):
            inside.append(digest)
            go.wait(PATIENCE)

    with ThreadPoolExecutor(4) as pool:
        for digest, loading, waiting in (("a", 1, 0), ("a", 1, 1), ("b", 2, 1), ("c", 2, 2)):
            pool.submit(load, digest)
            eventually(lambda now=(loading, waiting): (len(inside), len(line._hurrying)) == now)
        assert inside == ["a", "b"]
        go.set()

    assert sorted(inside[2:]) == ["a", "c"]


def test_where_room_is_short_one_is_loaded_after_the_other() -> None:
    shelf = many(3)

    assert [router(shelf, Clock(), room=room)._loads_max() for room in (0, 3, 10)] == [2, 1, 2]


def test_an_endpoint_that_is_moved_while_its_old_version_is_loaded_answers_with_the_new_one() -> None:
    clock, shelf = Clock(), Counted()
    for number in (1, 2):
        shelf.deploy(f"e{number}", number, Rule())
    table = router(shelf, clock, room=1)
    [gone] = {"e1", "e2"} - {*names(table)}
    table.residency = Residency()
    before, now = shelf.open, threading.Event()
    before.clear()
    now.set()
    shelf.loads.clear()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(table.bring, gone)
        eventually(lambda: shelf.loads == [gone])
        # What is not in memory is loaded as soon as it is deployed, beside the version that is asked.
        shelf.open = now
        shelf.deploy(gone, 9, Rule())
        table.refresh()
        assert shelf.loads == [gone, gone]
        # The old one is there last.
        before.set()
        assert asked.result(PATIENCE).version == "churn@9"

    assert table.known(gone).version == "churn@9"  # type: ignore[union-attr]
    assert str(table.pointer(gone).ref) == "churn@9"


def test_a_container_s_bound_is_known(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal:  2048 kB\nMemFree: 1 kB\n")

    assert memory_bytes(tmp_path / "meminfo") == 2048 * 1024


class Counted(Shelf):
    """LoadSlots that can be held up, and are counted."""

    def __init__(self) -> None:
        super().__init__()
        self.open, self.begun = threading.Event(), threading.Semaphore(0)
        self.open.set()
        self.loads: list[str] = []

    def load(self, endpoint: Endpoint) -> Rule:
        until = self.open
        self.loads.append(endpoint.name)
        self.begun.release()
        until.wait(PATIENCE)
        return super().load(endpoint)


def crowded() -> tuple[Counted, Bounds]:
    shelf = Counted()
    for number in range(1, 4):
        shelf.deploy(f"e{number}", number, Rule(0.5 + number / 10))
    return shelf, replace(BOUNDS, memory_bytes=ONE)


def test_requests_for_a_model_that_is_not_there_wait_for_one_load_and_neighbours_do_not() -> None:
    shelf, bounds = crowded()
    with live_server(shelf, bounds=bounds) as server, ThreadPoolExecutor(6) as pool:
        [(here, _)] = server.gateway.router.loaded()
        gone = next(name for name in ("e1", "e2", "e3") if name != here)
        shelf.loads.clear()
        shelf.open.clear()
        row = [{"age": 50}]
        asked = [pool.submit(server.call, "POST", f"/predict/{gone}", row) for _ in range(4)]
        eventually(lambda: shelf.loads == [gone])
        assert server.call("POST", f"/predict/{here}", row).status == 200
        late = server.call("POST", f"/predict/{gone}", row, headers={"X-Deadline-Ms": "20"})
        shelf.open.set()
        answers: list[Response] = [each.result(PATIENCE) for each in asked]

        assert (late.status, late.json["error"]["code"]) == (504, "serving.too-late")  # type: ignore[index]
        assert [each.status for each in answers] == [200] * 4
        assert {each.headers["x-aias-version"] for each in answers} == {f"churn@{gone[1:]}"}
        assert shelf.loads == [gone]
        told = samples(server)
        assert told["aias_loads_total", (("endpoint", gone),)] == 1
        assert told["aias_unloads_total", (("endpoint", here),)] == 1
        assert (told["aias_models_bytes", ()], told["aias_models_bytes_max", ()]) == (ONE, ONE)
        assert told["aias_load_seconds_count", ()] == 2


def test_who_asks_for_another_model_does_not_wait_for_a_slow_load() -> None:
    slow = threading.Event()
    shelf = Counted()
    for number in range(1, 4):
        shelf.deploy(f"e{number}", number, Rule())

    def load(endpoint: Endpoint) -> Rule:
        if endpoint.name == gone[0] and shelf.loads:
            slow.wait(PATIENCE)
        return Shelf.load(shelf, endpoint)

    gone: list[str] = [""]
    with (
        live_server(shelf, bounds=replace(BOUNDS, memory_bytes=ONE), load=load) as server,
        ThreadPoolExecutor(2) as pool,
    ):
        router = server.gateway.router
        [(here, _)] = router.loaded()
        router.residency = Residency()
        gone[:] = [name for name in ("e1", "e2", "e3") if name != here]
        shelf.loads.append("from now on")
        asked = pool.submit(server.call, "POST", f"/predict/{gone[0]}", [{"age": 50}])
        eventually(lambda: router._loading._under_way)

        assert server.call("POST", f"/predict/{gone[1]}", [{"age": 50}]).status == 200

        assert not asked.done()
        slow.set()
        assert asked.result(PATIENCE).status == 200


def test_what_is_not_in_memory_is_ready_and_said_to_be_loaded_when_it_is_asked() -> None:
    shelf, bounds = crowded()
    with live_server(shelf, bounds=bounds) as server:
        [(here, _)] = server.gateway.router.loaded()
        gone = sorted({"e1", "e2", "e3"} - {here})
        index = server.call("POST", "/v2/repository/index", {"ready": True}).json
        assert isinstance(index, list)
        assert {each["name"] for each in index if each["state"] == "READY"} == {"e1", "e2", "e3"}
        assert [each["name"] for each in index if each["reason"]] == gone
        shelf.loads.clear()
        for name in gone:
            assert server.call("GET", f"/v2/models/{name}/ready").status == 200
            assert server.call("GET", f"/v2/models/{name}/versions/9/ready").status == 404
            assert server.call("GET", f"/v2/models/{name}/stats").status == 200
        assert server.call("GET", "/health/ready", key=None).status == 200
        assert shelf.loads == []

        assert server.call("POST", f"/v2/repository/models/{gone[0]}/load", "{}").status == 200
        assert [name for name, _ in server.gateway.router.loaded()] == [gone[0]]
        described = server.call("GET", f"/v2/models/{gone[1]}")
        assert (described.status, described.json["versions"]) == (200, [gone[1][1:]])  # type: ignore[index]


def test_a_model_that_turns_out_broken_is_refused_and_takes_nobody_with_it() -> None:
    shelf, bounds = crowded()
    with live_server(shelf, bounds=bounds) as server:
        [(here, _)] = server.gateway.router.loaded()
        gone = next(name for name in ("e1", "e2", "e3") if name != here)
        del shelf.runtimes[f"churn-{gone[1:]}"]

        refused = server.call("POST", f"/predict/{gone}", [{"age": 50}])

        assert (refused.status, b"secret" in refused.body) == (503, False)
        assert server.call("GET", f"/v2/models/{gone}/ready").status == 503
        assert server.call("GET", "/health/ready", key=None).status == 503
        assert server.call("POST", f"/predict/{here}", [{"age": 50}]).status == 200
