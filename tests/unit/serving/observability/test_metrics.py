import threading
from itertools import cycle, islice

import pytest

from aias.core.events import nobody
from aias.serving.http.messages import Reply
from aias.serving.observability.metrics import BUCKETS_SECONDS, Histogram, Metrics
from aias.serving.observability.statistics import Statistics
from aias.serving.observability.tallies import REQUESTS_MAX
from aias.serving.survival.isolated_versions import IsolatedVersions
from live_server import BOUNDS, Rule, Shelf, eventually, live_server, samples


def test_what_the_server_did_can_be_scraped() -> None:
    shelf = Shelf()
    shelf.deploy("churn", 1, Rule())
    shelf.deploy("bad", 1, None, model="other")
    with live_server(shelf) as server:
        for _ in range(3):
            server.call("POST", "/predict/churn", [{"age": 1}, {"age": 2}])
        server.call("POST", "/predict/churn", [{"age": "x"}])
        shut = server.call("POST", "/predict/churn", [], key=None)
        found = samples(server)

    assert (shut.status, shut.headers.get("x-aias-version")) == (401, None)
    ok = (("endpoint", "churn"), ("status", "200"), ("version", "churn@1"))
    assert found["aias_requests_total", ok] == 3
    churn = ("endpoint", "churn"), ("version", "churn@1")
    assert found["aias_rows_total", churn] == 6
    assert found["aias_refusals_total", (churn[0], ("reason", "data.bad-value"), churn[1])] == 1
    assert found["aias_refusals_total", (("endpoint", ""), ("reason", "serving.no-key"), ("version", ""))] == 1
    assert found["aias_load_failures_total", (("endpoint", "bad"),)] == 1
    assert found["aias_loaded", (("endpoint", "churn"), ("version", "churn@1"))] == 1
    assert found["aias_open_connections", ()] >= 1
    for phase in ("decode", "run", "encode"):
        labels = churn[0], ("phase", phase), churn[1]
        assert found["aias_seconds_count", labels] == 3
        assert found["aias_seconds_bucket", (churn[0], ("le", "+Inf"), *labels[1:])] == 3
        assert found["aias_seconds_sum", labels] > 0
    assert found["aias_request_seconds_count", churn] == 3
    phases = sum(
        found["aias_seconds_sum", (churn[0], ("phase", each), churn[1])] for each in ("decode", "run", "encode")
    )
    assert found["aias_request_seconds_sum", churn] > phases


def test_two_versions_of_an_endpoint_are_told_apart() -> None:
    shelf = Shelf()
    shelf.deploy("churn", 1, Rule())
    with live_server(shelf) as server:
        server.call("POST", "/predict/churn", [{"age": 1}])
        shelf.deploy("churn", 2, Rule())
        eventually(lambda: server.call("POST", "/predict/churn", [{"age": 1}]).headers["x-aias-version"] == "churn@2")
        server.call("POST", "/predict/churn", [{"age": "x"}])
        found = samples(server)

    of = {each: (("endpoint", "churn"), ("version", each)) for each in ("churn@1", "churn@2")}
    assert found["aias_rows_total", of["churn@1"]] >= 1
    assert found["aias_rows_total", of["churn@2"]] == 1
    for each, labels in of.items():
        assert found["aias_request_seconds_count", labels] == found["aias_rows_total", labels], each
    reason = ("reason", "data.bad-value")
    assert found["aias_refusals_total", (of["churn@2"][0], reason, of["churn@2"][1])] == 1
    assert ("aias_refusals_total", (of["churn@1"][0], reason, of["churn@1"][1])) not in found


def test_runs_on_the_loop_are_counted_by_their_rows_as_those_in_threads_are() -> None:
    shelf = Shelf()
    for endpoint in ("churn", "other"):
        shelf.deploy(endpoint, 1, Rule())
    with live_server(shelf) as server:
        for rows in (1, 1, 3):
            assert server.call("POST", "/predict/churn", [{"age": 50}] * rows).status == 200
        found = samples(server)

    assert found["aias_tier", (("endpoint", "churn"), ("tier", "inline"))] == 1
    of = (("endpoint", "churn"), ("version", "churn@1"))
    assert (found["aias_batch_rows_count", of], found["aias_batch_rows_sum", of]) == (3, 5)
    buckets = [found["aias_batch_rows_bucket", (of[0], ("le", le), of[1])] for le in ("1.0", "2.0", "4.0", "+Inf")]
    assert buckets == [2, 2, 3, 3]
    # Whoever was not asked has run nothing.
    assert [dict(at)["endpoint"] for name, at in found if name == "aias_batch_rows_count"] == ["churn"]


def test_names_that_callers_make_up_are_no_labels() -> None:
    with live_server() as server:
        for at in range(20):
            server.call("POST", f"/predict/made-up-{at}", [])
        text = server.call("GET", "/metrics").body.decode()

    assert "made-up" not in text


@pytest.mark.parametrize(
    ("quarantined", "apart", "tier"), [((), ("churn@1",), "apart"), (("churn@1",), (), "quarantined")]
)
def test_a_version_that_is_held_is_told_to_run_where_it_does(
    quarantined: tuple[str, ...], apart: tuple[str, ...], tier: str
) -> None:
    with live_server() as server:
        isolated = IsolatedVersions(lambda _version: [], bounds=BOUNDS, watch=nobody)
        isolated.set(quarantined=frozenset(quarantined), apart=frozenset(apart))
        server.gateway._fill_metrics(isolated)
        found = samples(server)

    assert [of for name, of in found if name == "aias_tier"] == [(("endpoint", "churn"), ("tier", tier))]


def test_what_takes_long_to_write_for_prometheus_is_not_written_on_the_event_loop() -> None:
    with live_server() as server:
        writers: list[threading.Thread] = []
        server.gateway.metrics.more = lambda: [writers.append(threading.current_thread())][:0]

        assert server.call("GET", "/metrics", key="read-key").status == 200

    assert writers
    assert server.thread not in writers


def test_what_is_added_up_later_is_what_was_seen() -> None:
    metrics, whole, run, queue, plain = Metrics(), Histogram(), Histogram(), Histogram(), Statistics()
    times = [*BUCKETS_SECONDS, 0.0, 9.0, 0.3, 0.00007]
    for at, seconds in enumerate(islice(cycle(times), 2 * REQUESTS_MAX + 7)):
        waited = seconds / 4 if at % 3 else None
        reply = Reply(b"", rows=1 + at % 2, phases=(0.1 * seconds, 0.5 * seconds, 0.2 * seconds), queue=waited)
        assert reply.phases is not None
        metrics.predicted("churn", "churn@7", reply.rows, reply.phases, seconds=seconds, queue=waited)
        plain.note("churn", "churn@7", reply, seconds, queue=waited or 0.0)
        whole.add(seconds)
        run.add(reply.phases[1] - (waited or 0.0))
        if waited is not None:
            queue.add(waited)

    work = metrics.work["churn", "churn@7"]
    for found, expected in ((work.whole, whole), (work.phases[1], run), (work.phases[3], queue)):
        assert found.counts == expected.counts
        assert found.sum == pytest.approx(expected.sum)
    assert metrics.requests["churn", "churn@7", 200] == 2 * REQUESTS_MAX + 7
    (added,), (noted,) = (list(each.of([("churn", "churn@7")])) for each in (metrics.statistics, plain))
    assert work.rows == added["inference_count"] == noted["inference_count"]
    assert flat(added) == pytest.approx(flat(noted), rel=1e-6, abs=1e4)


def flat(told: object) -> list[float]:
    """The numbers in it, but when it was."""
    if isinstance(told, dict):
        return [each for name, value in sorted(told.items()) if name != "last_inference" for each in flat(value)]
    if isinstance(told, list):
        return [each for value in told for each in flat(value)]
    return [told] if isinstance(told, int | float) else []
