"""Workers die, hang and are replaced under load: every request is answered, once and rightly, but those that did it."""

import http.client
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import mortal_worker
import pytest
from mortal_server import HEADERS, PATIENCE, Server, load, more, serving
from mortal_worker import BROKEN, DEADLY, ENDLESS, GREEDY, LONG

import artifacts
from aias.core.errors import AiasError
from aias.core.events import nobody
from aias.encoders.rows import Encoded
from aias.serving.batching.allowance import allowed
from aias.serving.refusals import Busy, TooLate, may_be_shown, status_of
from aias.serving.survival import apart
from aias.serving.survival.keeper import can_keep
from aias.serving.survival.suspects import Suspects
from serving_house import BOUNDS, House, Joined, Rule, Shelf, eventually, house

pytestmark = pytest.mark.skipif(not can_keep(), reason="this machine cannot keep connections")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving(loop_seconds=5.0) as running:
        yield running


def test_workers_are_killed_under_load_and_no_caller_notices(server: Server) -> None:
    with load(server, good=3, slow=2) as clients:
        for at in range(3):
            more(clients)
            eventually(server.whole, PATIENCE)
            os.kill(server.supervisor.pids[at % 2], signal.SIGKILL)
            eventually(lambda at=at: server.told("serve.worker-died") == at + 1, PATIENCE)
        eventually(server.whole, PATIENCE)

    assert server.told("serve.quarantined") == 0


def test_workers_are_renewed_under_load_and_no_connection_is_closed(server: Server) -> None:
    died, before = server.told("serve.worker-died"), set(server.supervisor.pids)
    with load(server, good=2, slow=2) as clients:
        more(clients)
        server.supervisor.renew()
        eventually(lambda: server.whole() and not before & set(server.supervisor.pids), PATIENCE)

    assert server.told("serve.worker-died") == died


def test_a_model_that_ends_its_process_is_tried_again_then_runs_apart_and_then_no_more(server: Server) -> None:
    with load(server, good=2, slow=1):
        eventually(server.whole, PATIENCE)
        first = server.call("bad", DEADLY)
        eventually(lambda: server.told("serve.apart"), PATIENCE)
        died = server.told("serve.worker-died")
        alone = server.call("bad", 50, 20)
        second = server.call("bad", DEADLY)
        eventually(lambda: server.told("serve.quarantined"), PATIENCE)
        eventually(lambda: server.call("bad", 50)[0] == 503, PATIENCE)
        third = server.call("bad", 50)

    assert (first[0], first[1]["error"]["code"]) == (500, "serving.run-ended")
    assert (alone[0], [answer["prediction"] for answer in alone[1]]) == (200, ["yes", "no"])
    assert (second[0], second[1]["error"]["code"]) == (500, "serving.run-ended")
    assert (third[0], third[1]["error"]["code"]) == (503, "serving.quarantined")
    assert server.told("serve.worker-died") == died
    assert b'aias_held{how="quarantined",version="bad@1"} 1.0' in server.send("GET", "/metrics")[1]
    index, names = indexed(server)
    assert (index["bad"], index["good"], names) == ("UNAVAILABLE", "READY", sorted(index.keys() - {"bad"}))

    # Somebody vouches for it: one step back each time.
    assert released(server) == {"bad@1": "apart"}
    assert indexed(server)[0]["bad"] == "READY"
    eventually(lambda: server.call("bad", 50)[0] == 200, PATIENCE)
    assert b'aias_held{how="apart",version="bad@1"} 1.0' in server.send("GET", "/metrics")[1]
    assert released(server) == {}
    assert server.call("bad", 50)[0] == 200
    status, body = server.send("POST", "/endpoints/bad/release")
    assert (status, json.loads(body)["error"]["code"]) == (404, "serving.not-held")


def indexed(server: Server) -> tuple[dict[str, str], list[str]]:
    """What the repository says of each endpoint, and which can answer."""
    index = json.loads(server.send("POST", "/v2/repository/index")[1])
    return {each["name"]: each["state"] for each in index}, json.loads(server.send("GET", "/v2/models")[1])["models"]


def released(server: Server) -> object:
    status, body = server.send("POST", "/endpoints/bad/release")
    assert status == 200, body
    return json.loads(body)["held"]


def test_a_run_that_does_not_end_is_ended_with_its_process(server: Server) -> None:
    with load(server, good=2):
        status, answer = server.call("hung", ENDLESS)

    assert (status, answer["error"]["code"]) == (504, "serving.too-late")
    assert server.told("serve.run-stuck") == 1


def test_a_worker_that_is_told_to_end_by_anybody_leaves_its_connections_to_others(server: Server) -> None:
    eventually(server.whole, PATIENCE)
    died = server.told("serve.worker-died")
    with load(server, good=3, slow=1) as clients:
        for at in range(2):
            more(clients)
            eventually(server.whole, PATIENCE)
            os.kill(server.supervisor.pids[at % 2], signal.SIGTERM)
            eventually(lambda at=at: server.told("serve.worker-died") == died + at + 1, PATIENCE)
        eventually(server.whole, PATIENCE)


def test_a_worker_that_is_stopped_is_replaced_and_its_callers_are_answered(server: Server) -> None:
    eventually(server.whole, PATIENCE)
    died = server.told("serve.worker-died")
    with load(server, good=3, slow=1) as clients:
        more(clients)
        os.kill(server.supervisor.pids[0], signal.SIGSTOP)
        eventually(lambda: server.told("serve.worker-hung"), PATIENCE)
        eventually(lambda: server.told("serve.worker-died") == died + 1 and server.whole(), PATIENCE)


def keeper_of(server: Server, worker: int) -> int:
    life = server.supervisor._workers[worker].life
    assert life is not None
    assert life.keeper is not None
    return life.keeper


def test_a_worker_whose_keeper_is_stopped_dies_heard_and_its_callers_are_answered(server: Server) -> None:
    eventually(server.whole, PATIENCE)
    died = server.told("serve.worker-died")
    with load(server, good=3, slow=1) as clients:
        more(clients)
        os.kill(keeper_of(server, 0), signal.SIGSTOP)
        first = server.supervisor._workers[0].life
        assert first is not None
        os.kill(first.process.pid, signal.SIGKILL)
        eventually(lambda: server.told("serve.worker-died") == died + 1 and server.whole(), PATIENCE)


def test_a_worker_that_loses_its_keeper_is_replaced_once(server: Server) -> None:
    eventually(server.whole, PATIENCE)
    died, life = server.told("serve.worker-died"), server.supervisor._workers[0].life
    assert life is not None
    life.started_at -= 100.0
    os.kill(keeper_of(server, 0), signal.SIGKILL)
    eventually(lambda: life.process.pid not in server.supervisor.pids and server.whole(), PATIENCE)

    assert server.call("good", 50)[0] == 200
    assert (server.told("serve.keeper-ended"), server.told("serve.worker-died")) == (1, died)


def test_what_came_in_pieces_and_in_a_row_is_answered_in_order_after_a_kill() -> None:
    body = json.dumps([{"age": 50}]).encode()
    whole = (
        b"POST /predict/good HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer all-key\r\n"
        b"Content-Type: application/json\r\nX-Request-Id: %b\r\nContent-Length: %d\r\n\r\n%b"
    )
    with serving(workers=1) as server, socket.create_connection(("127.0.0.1", server.port), PATIENCE) as client:
        client.sendall(whole % (b"a", len(body), body) + (whole % (b"b", len(body), body))[:-5])
        came = client.makefile("rb")
        assert one_answer(came) == b"a"
        os.kill(server.supervisor.pids[0], signal.SIGKILL)
        client.sendall(body[-5:] + whole % (b"c", len(body), body))

        assert [one_answer(came), one_answer(came)] == [b"b", b"c"]


def one_answer(came: object) -> bytes:
    """Read one answer, which must be good; whose it is."""
    assert came.readline() == b"HTTP/1.1 200 OK\r\n"
    headers = dict(line.rstrip().lower().split(b": ", 1) for line in iter(came.readline, b"\r\n"))
    assert json.loads(came.read(int(headers[b"content-length"])))[0]["prediction"] == "yes"
    return headers[b"x-request-id"]


def test_a_model_that_holds_the_interpreter_gets_a_process_of_its_own_before_anything_dies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(GREEDY, "1")
    with serving(workers=1) as server:
        eventually(lambda: server.told("serve.apart"), PATIENCE)
        why = next(event.facts["why"] for event in server.events if event.name == "serve.apart")
        answered = server.call("greedy", 50, 20)
        shown = server.send("GET", "/metrics")[1]

    assert "holds the interpreter" in str(why)
    assert (answered[0], [each["prediction"] for each in answered[1]]) == (200, ["yes", "no"])
    assert b'aias_held{how="apart",version="greedy@1"} 1.0' in shown
    assert shown.count(b"aias_held{") == 1
    assert server.told("serve.worker-died") == 0


def test_a_process_of_its_own_that_grows_is_started_anew_between_two_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "GROWTH_BYTES_MAX", 8 << 20)
    monkeypatch.setenv("PYTHONPATH", artifacts.importable()["PYTHONPATH"])
    died, renewed = list[int](), list[int]()
    runtime = apart.Apart(
        (mortal_worker.__file__, "apart", "leaky"), artifacts.manifest(), answer_seconds=PATIENCE,
        died=lambda: died.append(1), renewed=lambda: renewed.append(1),
    )  # fmt: skip
    answers = [runtime.predict([{"age": 50}]).predictions for _ in range(2 * apart.WARM_RUNS + 1)]
    runtime.kill()

    assert answers == [["yes"]] * len(answers)
    assert (len(renewed), died) == (1, [])


class Hung:
    """A runtime in a process of its own; runs at the age of `ENDLESS` do not end. `told`: what was said of them."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.runtime = apart.Apart(
            (mortal_worker.__file__, "apart", "hung"), artifacts.manifest(), answer_seconds=PATIENCE,
            died=lambda: self.told.append("died"), late=lambda: self.told.append("late"),
        )  # fmt: skip

    def run(self, age: int, *, seconds: float, usual_seconds: float = 0.0) -> object:
        """Its answer to a caller who waits for so long."""
        with allowed(time.monotonic() + seconds, usual_seconds):
            return self.runtime.predict([{"age": age}]).predictions


@pytest.fixture
def hung(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hung]:
    monkeypatch.setenv("PYTHONPATH", artifacts.importable()["PYTHONPATH"])
    found = Hung()
    yield found
    found.runtime.kill()


def test_a_run_that_outlives_its_callers_deadline_is_ended_and_the_next_process_is_there(hung: Hung) -> None:
    assert hung.run(50, seconds=PATIENCE) == ["yes"]
    before = hung.runtime._process
    with pytest.raises(TooLate):
        hung.run(ENDLESS, seconds=2.0, usual_seconds=1.0)
    after = hung.runtime._process

    assert before is not None
    assert before.poll() == -signal.SIGKILL
    assert after is not None
    assert after.poll() is None
    assert hung.run(20, seconds=PATIENCE) == ["no"]


@pytest.mark.parametrize(("usual_seconds", "told"), [(0.001, ["died"]), (PATIENCE / apart.FAR, ["late"])])
def test_only_a_run_that_takes_far_longer_than_its_like_counts_as_a_death(
    hung: Hung, usual_seconds: float, told: list[str]
) -> None:
    hung.run(50, seconds=PATIENCE)
    with pytest.raises(TooLate):
        hung.run(ENDLESS, seconds=1.5, usual_seconds=usual_seconds)

    assert hung.told == told


def test_who_sets_short_deadlines_has_no_version_quarantined(hung: Hung, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "FAR_SECONDS", PATIENCE)  # a busy machine may make a second of any deadline
    hung.run(50, seconds=PATIENCE)
    with pytest.raises(TooLate):
        hung.run(ENDLESS, seconds=0.1)

    assert hung.told == ["late"]


def test_a_run_that_fails_apart_is_one_callers_fault_and_its_process_goes_on(hung: Hung) -> None:
    hung.run(50, seconds=PATIENCE)
    before = hung.runtime._process
    for _ in range(3):
        with pytest.raises(AiasError, match="the graph broke") as failed:
            hung.run(BROKEN, seconds=PATIENCE)
        assert status_of(failed.value) == 500
        assert not may_be_shown(failed.value)

    assert hung.run(20, seconds=PATIENCE) == ["no"]
    assert hung.runtime._process is before
    assert hung.told == []


def test_what_is_killed_for_good_is_not_started_again(hung: Hung) -> None:
    hung.run(50, seconds=PATIENCE)
    hung.runtime.kill()
    with pytest.raises(Busy):
        hung.run(50, seconds=PATIENCE)

    assert hung.told == []


def test_runs_that_hang_apart_end_at_their_deadlines_and_hold_no_place_of_their_neighbours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONPATH", artifacts.importable()["PYTHONPATH"])
    shelf = Shelf()
    for name in ("hung", "beside"):
        shelf.deploy(name, 1, Rule(), model=name)
    # All in threads, of which there is one.
    bounds = replace(BOUNDS, inline_row_seconds=1e-9, objective_seconds=PATIENCE)
    with house(shelf, bounds=bounds, places=1) as running, ThreadPoolExecutor(8) as pool:
        suspects = Suspects(lambda _version: (mortal_worker.__file__, "apart", "hung"), bounds=bounds, watch=nobody)
        suspects.set(quarantined=frozenset(), apart=frozenset(("hung@1",)))
        running.gateway.application.suspects = suspects

        def call(name: str, age: int, seconds: float = PATIENCE) -> int:
            connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=PATIENCE)
            headers = HEADERS | {"X-Deadline-Ms": str(int(1000 * seconds))}
            connection.request("POST", f"/predict/{name}", json.dumps([{"age": age}]), headers)
            status = connection.getresponse().status
            connection.close()
            return status

        alone = [call("hung", 50), call("hung", ENDLESS, 5.0), call("hung", 50)]
        endless = [pool.submit(call, "hung", ENDLESS) for _ in range(4)]
        line = running.gateway.executor._apart["hung@1"].batcher
        eventually(lambda: line.running == 1 and line.waiting == 3, PATIENCE)
        beside = [call("beside", 50) for _ in range(3)]
        still = [line.running, line.waiting]
        suspects.close()
        ended = [each.result(PATIENCE) for each in endless]

    assert alone == [200, 504, 200]
    assert (beside, still) == ([200] * 3, [1, 3])
    assert ended == [503] * 4


class Reader(Joined):
    """Reads the row of a body by itself, as the runtimes of tables do."""

    def read(self, body: bytes) -> Encoded:
        return self.encode(json.loads(body))


def test_a_process_of_its_own_is_asked_rows_also_where_the_worker_could_read_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONPATH", artifacts.importable()["PYTHONPATH"])
    shelf = Shelf()
    shelf.deploy("churn", 1, Reader())
    with house(shelf) as running:
        suspects = Suspects(lambda _version: (mortal_worker.__file__, "apart", "good"), bounds=BOUNDS, watch=nobody)
        suspects.set(quarantined=frozenset(), apart=frozenset(("churn@1",)))
        running.gateway.application.suspects = suspects
        answers = [running.call("POST", "/predict/churn", [{"age": 50}] * rows) for rows in (1, 2)]
        suspects.close()

    assert [(each.status, len(each.json)) for each in answers] == [(200, 1), (200, 2)]


def test_a_server_that_ends_takes_the_processes_of_its_versions_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", artifacts.importable()["PYTHONPATH"])
    with house() as running:
        suspects = Suspects(lambda _version: (mortal_worker.__file__, "apart", "good"), bounds=BOUNDS, watch=nobody)
        suspects.set(quarantined=frozenset(), apart=frozenset(("churn@1",)))
        running.gateway.application.suspects = suspects
        connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=PATIENCE)
        connection.request("POST", "/predict/churn", json.dumps([{"age": 50}]), HEADERS)
        status = connection.getresponse().status
        connection.close()
        process = suspects._models["churn@1"].runtime._process

    assert status == 200
    assert process.wait(PATIENCE) == -signal.SIGKILL


@contextmanager
def serving_apart(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[House, Suspects]]:
    """A server whose `churn@1` runs in a process of its own."""
    monkeypatch.setenv("PYTHONPATH", artifacts.importable()["PYTHONPATH"])
    monkeypatch.setattr(apart, "RETIRE_SECONDS", 1.0)
    bounds = replace(BOUNDS, objective_seconds=PATIENCE)
    with house(shelf, bounds=bounds) as running:
        suspects = Suspects(lambda _version: (mortal_worker.__file__, "apart", "hung"), bounds=bounds, watch=nobody)
        suspects.set(quarantined=frozenset(), apart=frozenset(("churn@1",)))
        running.gateway.application.suspects = suspects
        yield running, suspects
        suspects.close()


def call_patiently(running: House, age: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=PATIENCE)
    connection.request("POST", "/predict/churn", json.dumps([{"age": age}]), HEADERS)
    status = connection.getresponse().status
    connection.close()
    return status


def test_a_version_that_is_released_answers_those_that_wait_for_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf()
    shelf.deploy("churn", 1, Rule())
    with serving_apart(shelf, monkeypatch) as (running, suspects), ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(call_patiently, running, LONG) for _ in range(3)]
        line = running.gateway.executor
        eventually(lambda: "churn@1" in line._apart and line._apart["churn@1"].batcher.waiting == 2, PATIENCE)
        runtime = suspects._models["churn@1"].runtime
        eventually(lambda: runtime._process is not None, PATIENCE)
        process = runtime._process
        suspects.set(quarantined=frozenset(), apart=frozenset())
        assert [each.result(PATIENCE) for each in asked] == [200] * 3
        assert call_patiently(running, 50) == 200
        assert process.wait(PATIENCE) == -signal.SIGKILL


def test_who_waits_for_a_process_that_is_ended_for_good_may_try_again(monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf()
    shelf.deploy("churn", 1, Rule())
    with serving_apart(shelf, monkeypatch) as (running, suspects), ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(call_patiently, running, age) for age in (ENDLESS, ENDLESS)]
        line = running.gateway.executor
        eventually(lambda: "churn@1" in line._apart and line._apart["churn@1"].batcher.waiting == 1, PATIENCE)
        runtime = suspects._models["churn@1"].runtime
        eventually(lambda: runtime._process is not None and runtime._starts_until is None, PATIENCE)
        suspects.set(quarantined=frozenset(("churn@1",)), apart=frozenset())

        assert [each.result(PATIENCE) for each in asked] == [503, 503]


def test_the_process_of_a_version_goes_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf()
    shelf.deploy("churn", 1, Rule())
    with serving_apart(shelf, monkeypatch) as (running, suspects):
        assert call_patiently(running, 50) == 200
        process = suspects._models["churn@1"].runtime._process
        shelf.deploy("churn", 2, Rule())
        eventually(lambda: not suspects._models, PATIENCE)
        assert process.wait(PATIENCE) == -signal.SIGKILL
        assert call_patiently(running, 50) == 200
        # Back again, it has another.
        shelf.deploy("churn", 1, Rule())
        eventually(lambda: running.gateway.router.find("churn").version == "churn@1", PATIENCE)
        assert call_patiently(running, 50) == 200
        assert suspects._models["churn@1"].runtime._process.poll() is None
