"""The batcher behind a real server: rows of several callers in one run, and each gets its own."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import pytest

from aias.encoders.rows import Encoded
from aias.runtimes.contract import Row
from aias.serving.batching.costs import Cost
from aias.serving.batching.executor import Executor
from aias.serving.batching.tickets import Flow, Ticket
from aias.serving.batching.tiers import STRIKES_MAX
from aias.serving.bounds import Bounds
from aias.serving.observability.metrics import Metrics
from aias.serving.refusals import Overloaded
from live_server import (
    BOUNDS,
    PATIENCE,
    Joined,
    LiveServer,
    Response,
    Rule,
    Shelf,
    eventually,
    live_server,
    read_all,
    samples,
)  # fmt: skip
from raw_requests import POST

THREADS = replace(BOUNDS, inline_row_seconds=1e-12)
"""No model is as fast as that, so every one runs in threads."""


class Busy:
    """A server whose only place is taken by a run that stands still, and callers that queue up behind it."""

    def __init__(self, server: LiveServer, model: Joined) -> None:
        self.server, self.model = server, model
        self.answers: dict[str, Response] = {}
        self.threads: list[threading.Thread] = []

    @property
    def waiting(self) -> int:
        return self.server.gateway.executor.batcher.waiting

    def ask(self, name: str, body: object, path: str = "/predict/churn", **headers: str) -> None:
        """Have a caller of its own ask, and wait until it waits, or has its answer."""
        before = self.waiting

        def call() -> None:
            sent = {each.replace("_", "-"): value for each, value in headers.items()}
            self.answers[name] = self.server.call("POST", path, body, headers=sent)

        self.threads.append(threading.Thread(target=call))
        self.threads[-1].start()
        eventually(lambda: self.waiting > before or name in self.answers)

    def go_on(self) -> None:
        self.model.stall.set()
        for thread in self.threads:
            thread.join(PATIENCE)


@contextmanager
def busy(bounds: Bounds = THREADS) -> Iterator[Busy]:
    shelf, model = Shelf(), Joined()
    shelf.deploy("churn", 1, model)
    with live_server(shelf, bounds=bounds, places=1) as server:
        # A run is worth its company here, whatever was measured of this toy.
        server.gateway.router.find("churn").flow.cost = Cost(0.001, 0.1)
        model.stall.clear()
        while model.started.acquire(blocking=False):
            pass
        found = Busy(server, model)
        first = threading.Thread(target=lambda: server.call("POST", "/predict/churn", [{"age": 1}]))
        found.threads.append(first)
        first.start()
        assert model.started.acquire(timeout=PATIENCE)
        model.runs.clear()
        try:
            yield found
        finally:
            found.go_on()


def shares(response: Response) -> list[float]:
    assert response.status == 200, response.body
    return [each["probabilities"]["yes"] for each in json.loads(response.body)]


def test_callers_that_wait_are_answered_in_one_run_each_with_its_own_rows() -> None:
    with busy() as line:
        line.ask("old", [{"age": 50}, {"age": 60}])
        line.ask("young", [{"age": 20}])
        line.ask("mixed", [{"age": 20}, {"age": 50}, {"age": 20}])
        line.go_on()

        assert line.model.runs == [1, 6]
        assert shares(line.answers["old"]) == [0.75, 0.75]
        assert shares(line.answers["young"]) == [0.25]
        assert shares(line.answers["mixed"]) == [0.25, 0.75, 0.25]


def test_statistics_tell_how_many_rows_ran_together_and_how_long_they_waited_beside_that() -> None:
    with busy() as line:
        line.ask("old", [{"age": 50}, {"age": 60}])
        line.ask("young", [{"age": 20}])
        line.go_on()
        told = line.server.call("GET", "/v2/models/churn/stats").json

    (found,) = told["model_stats"]  # type: ignore[index]
    assert (found["inference_count"], found["execution_count"]) == (4, 2)
    assert {each["batch_size"]: each["compute_infer"]["count"] for each in found["batch_stats"]} == {1: 1, 3: 1}
    durations = found["inference_stats"]
    assert [durations[each]["count"] for each in ("success", "queue", "compute_infer")] == [3, 3, 3]
    assert sum(durations[each]["ns"] for each in ("queue", "compute_infer")) <= durations["success"]["ns"]


def test_rows_of_two_protocols_run_together() -> None:
    inference = {"inputs": [{"name": "age", "shape": [2], "datatype": "FP64", "data": [50, 20]}]}
    with busy() as line:
        line.ask("native", [{"age": 50}])
        line.ask("v2", inference, "/v2/models/churn/infer")
        line.go_on()

        assert line.model.runs == [1, 3]
        assert shares(line.answers["native"]) == [0.75]
        outputs = json.loads(line.answers["v2"].body)["outputs"]
        assert outputs[0]["data"] == ["yes", "no"]


def test_a_bad_row_fails_alone() -> None:
    with busy() as line:
        line.ask("good", [{"age": 50}])
        bad = line.server.call("POST", "/predict/churn", [{"age": 50}, {"age": "old"}])
        line.go_on()

        assert (bad.status, json.loads(bad.body)["error"]["row"]) == (422, 1)
        assert shares(line.answers["good"]) == [0.75]


def test_rows_that_break_a_run_break_it_for_their_caller_only() -> None:
    with busy() as line:
        line.model.breaks = {66.0}
        line.ask("good", [{"age": 50}])
        line.ask("bad", [{"age": 66}])
        line.ask("fine", [{"age": 20}])
        line.go_on()

        assert line.answers["bad"].status == 500
        assert (shares(line.answers["good"]), shares(line.answers["fine"])) == ([0.75], [0.25])
        assert line.model.runs == [1, 3, 1, 1, 1]


def test_more_rows_than_a_run_may_have_are_answered_in_parts() -> None:
    with busy(replace(THREADS, batch_rows=4)) as line:
        line.ask("many", [{"age": 50 if at % 3 else 20} for at in range(10)])
        line.go_on()

        assert line.model.runs == [1, 4, 4, 2]
        assert shares(line.answers["many"]) == [0.75 if at % 3 else 0.25 for at in range(10)]


def test_who_hangs_up_is_not_run() -> None:
    with busy() as line:
        body = b'[{"age": 50}, {"age": 50}]'
        head = b"POST /predict/churn HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer all-key\r\n"
        with line.server.socket() as client:
            client.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            eventually(lambda: line.waiting == 1)
        eventually(lambda: line.waiting == 0)
        line.ask("stays", [{"age": 50}])
        line.go_on()

        assert line.model.runs == [1, 1]
        assert shares(line.answers["stays"]) == [0.75]
        metrics = line.server.gateway.metrics
        assert metrics.refusals["serving.caller-gone", "churn", "churn@1"] == 1
        assert metrics.requests["churn", "churn@1", 499] == 1


def test_of_a_large_request_that_runs_in_parts_nothing_more_is_run_once_its_caller_has_hung_up() -> None:
    shelf, model = Shelf(), Joined()
    shelf.deploy("churn", 1, model)
    with live_server(shelf, bounds=replace(THREADS, batch_rows=4), places=1) as server:
        model.stall.clear()
        while model.started.acquire(blocking=False):
            pass
        model.runs.clear()
        body = json.dumps([{"age": 50}] * 40).encode()
        with server.socket() as client:
            client.sendall(POST + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            assert model.started.acquire(timeout=PATIENCE)
        eventually(lambda: server.gateway.metrics.refusals["serving.caller-gone", "churn", "churn@1"] == 1)
        model.stall.set()

        assert shares(server.call("POST", "/predict/churn", [{"age": 20}])) == [0.25]
        assert model.runs == [4, 1]


def test_a_deadline_that_cannot_be_met_is_refused_at_once_with_the_time_to_come_again() -> None:
    with busy() as line:
        line.ask("waits", [{"age": 50}])
        late = hurried(line.server, "/predict/churn", [{"age": 50}])

        assert late.startswith(b"HTTP/1.1 503 ")
        assert b'"code":"serving.overloaded"' in late
        assert b"\r\nretry-after: " in late


def hurried(server: LiveServer, path: str, body: object) -> bytes:
    """What is answered in half of a run's time: head and body are sent as one, so that none is spent between them."""
    sent = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer all-key\r\nConnection: close\r\n"
    head += f"Content-Type: application/json\r\nX-Deadline-Ms: 50\r\nContent-Length: {len(sent)}\r\n\r\n"
    return server.raw(head.encode() + sent)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/predict/churn", [{"age": 50}]),
        ("/v2/models/churn/infer", {"inputs": [{"name": "age", "datatype": "FP64", "shape": [1], "data": [50]}]}),
        ("/invocations", {"dataframe_records": [{"age": 50}]}),
    ],
)
def test_deadlines_and_priorities_are_heard_in_every_dialect(path: str, body: object) -> None:
    with busy() as line:
        line.ask("waits", [{"age": 50}])
        late = hurried(line.server, path, body)
        wrong = line.server.call("POST", path, body, headers={"X-Priority": "urgent"})
        line.ask("low", body, path, X_Priority="low")
        line.ask("high", body, path, X_Priority="high")
        priorities = {each[2].priority for queue in line.server.gateway.executor.batcher._queues.values()
                      for flow in queue.flows.values() for each in flow}  # fmt: skip

    assert (late[:13], wrong.status) == (b"HTTP/1.1 503 ", 400)
    assert b"\r\nretry-after-ms: " in late
    assert {0, 2} <= priorities


def test_a_large_body_that_would_be_answered_too_late_is_not_even_read() -> None:
    with busy() as line:
        line.ask("waits", [{"age": 50}])
        head = b"POST /predict/churn HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer all-key\r\n"
        said = line.server.raw(head + b"X-Deadline-Ms: 60\r\nContent-Length: 100000\r\n\r\n")

    assert said.startswith(b"HTTP/1.1 503 ")


def test_a_deadline_that_passes_in_the_queue_ends_the_wait() -> None:
    with busy() as line:
        line.ask("late", [{"age": 50}], X_Deadline_Ms="200000")
        line.server.gateway.executor.batcher._clock = lambda: time.monotonic() + 200  # it is so much later
        eventually(lambda: "late" in line.answers)

        assert line.answers["late"].status == 504
        line.go_on()
        assert line.model.runs == [1]


@pytest.mark.parametrize(
    "headers", [{"X-Deadline-Ms": "soon"}, {"X-Deadline-Ms": "0"}, {"X-Deadline-Ms": "-5"}, {"X-Priority": "urgent"}]
)
def test_wishes_that_make_no_sense_are_told(headers: dict[str, str]) -> None:
    with live_server() as server:
        assert server.call("POST", "/predict/churn", [{"age": 50}], headers=headers).status == 400


def test_what_waited_and_ran_together_can_be_scraped() -> None:
    with busy() as line:
        line.ask("a", [{"age": 50}])
        line.ask("b", [{"age": 50}])
        line.go_on()
        found = samples(line.server)

    version = (("version", "churn@1"),)
    of = (("endpoint", "churn"), *version)
    assert found["aias_batch_rows_sum", of] == 3
    assert found["aias_batch_rows_count", of] == 2
    assert found["aias_batch_rows_bucket", (of[0], ("le", "1.0"), of[1])] == 1
    assert found["aias_tier", (("endpoint", "churn"), ("tier", "thread"))] == 1
    assert found["aias_seconds_count", (("endpoint", "churn"), ("phase", "queue"), *version)] == 3


def test_a_place_that_was_kept_for_one_version_lets_in_no_request_for_another() -> None:
    with busy() as line:
        application, model = line.server.gateway.application, line.server.gateway.router.find("churn")
        head = application.heads.of(b"/predict/churn", [(b"host", b"localhost"), (b"content-length", b"13")])
        assert head is not None
        request = application.request(head, None)
        request.model, request.deadline = model, time.monotonic() + 0.01
        other = Flow("churn@2", Cost(0.001, 0.1), rows_max=8, objective_seconds=1.0)
        request.coming = Ticket(model.flow, "", 1, lambda _ticket, _found: None)
        application._admit(request)
        request.coming = Ticket(other, "", 1, lambda _ticket, _found: None)

        with pytest.raises(Overloaded):
            application._admit(request)


def test_a_model_that_holds_up_the_loop_is_sent_to_threads_and_this_is_told() -> None:
    shelf, slow = Shelf(), Rule()
    shelf.deploy("churn", 1, slow)
    bounds = replace(BOUNDS, inline_seconds=0.02, inline_row_seconds=1e9, hop_seconds=1e9)
    with live_server(shelf, bounds=bounds) as server:
        wait = threading.Event()
        predict = slow.predict
        slow.predict = lambda rows: wait.wait(0.03) or predict(rows)  # type: ignore[assignment, return-value]
        for _ in range(STRIKES_MAX):
            assert server.call("POST", "/predict/churn", [{"age": 50}]).status == 200
        tier = (("endpoint", "churn"), ("tier", "thread"))
        eventually(lambda: samples(server).get(("aias_tier", tier)) == 1)
        found = samples(server)
        assert server.call("POST", "/predict/churn", [{"age": 50}]).status == 200

    assert found["aias_demotions_total", (("endpoint", "churn"),)] == 1
    assert "serve.demoted" in [event.name for event in server.events]


def test_a_server_that_stops_answers_what_waits() -> None:
    with busy() as line:
        line.ask("waits", [{"age": 50}])
        line.server.gateway.stop()
        line.go_on()

        assert shares(line.answers["waits"]) == [0.75]


def test_a_request_that_is_pipelined_behind_a_waiting_one_is_answered_too() -> None:
    with busy() as line:
        body = b'[{"age": 50}]'
        head = b"POST /predict/churn HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer all-key\r\n"
        one = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
        last = one.replace(b"Host:", b"Connection: close\r\nHost:")
        with line.server.socket() as client:
            client.sendall(one + last)
            eventually(lambda: line.waiting == 1)
            line.go_on()
            assert read_all(client).count(b"HTTP/1.1 200 ") == 2


class Slow(Joined):
    """More than a thousand rows are not understood before `goes_on`."""

    def __init__(self) -> None:
        super().__init__()
        self.reads, self.goes_on = threading.Event(), threading.Event()

    def encode(self, rows: Sequence[Row]) -> Encoded:
        if len(rows) > 1_000:
            self.reads.set()
            self.goes_on.wait(PATIENCE)
        return super().encode(rows)


def test_a_large_body_that_is_read_holds_up_no_smaller_one() -> None:
    shelf, model = Shelf(), Slow()
    shelf.deploy("churn", 1, model)
    with live_server(shelf, bounds=replace(THREADS, light_seconds=1e-9), places=1) as server:
        found: list[Response] = []
        rows = [{"age": 50}] * 8_000
        large = threading.Thread(target=lambda: found.append(server.call("POST", "/predict/churn", rows)))
        large.start()
        assert model.reads.wait(PATIENCE)
        try:
            small = server.call("POST", "/predict/churn", [{"age": 20}] * 500)
            assert not found
        finally:
            model.goes_on.set()
            large.join(PATIENCE)

        assert shares(small) == [0.25] * 500
        assert shares(found[0]) == [0.75] * 8_000


def test_it_tells_whether_a_thread_reads_or_a_model_runs() -> None:
    go_on = threading.Event()

    async def story() -> list[bool]:
        executor = Executor(places=1, bounds=BOUNDS, metrics=Metrics())
        told = [executor.is_running]
        for larger in (0, 1 << 30):
            go_on.clear()
            read = asyncio.ensure_future(executor.step(lambda: go_on.wait(PATIENCE), body_bytes=larger))
            await asyncio.sleep(0)
            told.append(executor.is_running)
            go_on.set()
            await read
            told.append(executor.is_running)
        executor.close()
        return told

    assert asyncio.run(story()) == [False, True, False, True, False]


def test_who_has_as_many_bodies_being_read_as_may_wait_refuses_nobody_else() -> None:
    go_on = threading.Event()

    async def story() -> list[object]:
        executor = Executor(places=1, bounds=replace(BOUNDS, waiting_requests=4), metrics=Metrics())
        read = [
            asyncio.ensure_future(executor.step(lambda: go_on.wait(PATIENCE), payer=each))
            for each in ("flood",) * 6 + ("other",) * 3
        ]
        await asyncio.sleep(0)
        go_on.set()
        found = await asyncio.gather(*read, return_exceptions=True)
        executor.close()
        assert not executor._stepping
        return found

    found = asyncio.run(story())

    # Half of them for each, where there are two.
    assert [each is True for each in found] == [True] * 4 + [False] * 2 + [True] * 2 + [False]
