"""Keys with quotas, through every way to ask."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from aias.access.ledger import Ledger
from aias.access.quotas import Quota, checked
from aias.core.errors import StorageFailed
from clock import Clock
from live_server import LiveServer, Response, Rule, Shelf, eventually, live_server, samples

NOON = int(datetime(2026, 5, 6, 12, tzinfo=UTC).timestamp()) * 10**9
ROW = [{"age": 50}]


@pytest.fixture
def clock() -> Clock:
    return Clock(NOON)


QUOTAS = {
    "slow": checked(["2/minute"]),
    "few": checked(["10 rows/day"]),
    "both": checked(["3/second", "100/minute", "5 rows/minute"]),
    "plenty": checked(["1000/second"]),
    "acme": checked(["3/minute", "8 rows/day"]),
    "acme-1": checked(["2/minute"]),
    "acme-2": (),
}


@pytest.fixture
def server(tmp_path: Path, clock: Clock) -> Iterator[LiveServer]:
    with live_server(quotas=QUOTAS, ledger=partial(Ledger.open, tmp_path, clock=clock), grpc=True) as running:
        yield running


REFUSED = (("endpoint", "churn"), ("reason", "serving.quota-spent"), ("version", "churn@1"))


def ask(server: LiveServer, key: str, rows: object = ROW, path: str = "/predict/churn", **more: Any) -> Response:
    return server.call("POST", path, rows, key=key, **more)


def error(response: Response) -> dict[str, Any]:
    held: Any = response.json
    return held["error"]


def test_who_has_asked_enough_is_told_when_to_come_again_and_then_may(server: LiveServer, clock: Clock) -> None:
    assert [ask(server, "slow").status for _ in range(2)] == [200, 200]

    refused = ask(server, "slow")

    assert refused.status == 429
    assert error(refused)["code"] == "serving.quota-spent"
    assert error(refused)["retry_after_seconds"] == pytest.approx(30)
    assert (refused.headers["retry-after"], refused.headers["retry-after-ms"]) == ("30", "30000")
    clock.now += 30 * 10**9
    assert ask(server, "slow").status == 200
    assert ask(server, "slow").status == 429


def test_answers_tell_what_is_left(server: LiveServer) -> None:
    headers = ask(server, "both", ROW * 2).headers

    assert headers["ratelimit-policy"] == (
        '"requests-second";q=3;w=1, "requests-minute";q=100;w=60, "rows-minute";q=5;w=60;qu="rows"'
    )
    assert headers["ratelimit"] == '"requests-second";r=2;t=1, "requests-minute";r=99;t=1, "rows-minute";r=3;t=24'
    assert "ratelimit" not in ask(server, "all-key").headers


def test_a_tenants_quota_holds_for_all_of_its_keys_beside_their_own(server: LiveServer, clock: Clock) -> None:
    first = ask(server, "acme-1", ROW * 2)
    assert first.headers["ratelimit-policy"].split(", ") == [
        '"requests-minute";q=2;w=60', '"tenant-requests-minute";q=3;w=60', '"tenant-rows-day";q=8;w=86400;qu="rows"',
    ]  # fmt: skip
    assert ask(server, "acme-1").status == 200
    own = ask(server, "acme-1")
    assert ask(server, "acme-2").status == 200
    shared = ask(server, "acme-2")

    assert (own.status, shared.status) == (429, 429)
    assert "this key's quota of 2 requests/minute is spent" in error(own)["message"]
    assert "the tenant `acme`'s quota of 3 requests/minute is spent" in error(shared)["message"]
    # What one quota refused has taken nothing of the others.
    clock.now += 60 * 10**9
    assert [ask(server, "acme-2", ROW * 2).status for _ in range(2)] == [200, 200]
    spent = ask(server, "acme-2")
    assert "8 rows/day is spent" in error(spent)["message"]
    shown = server.call("GET", "/metrics").body
    assert b'aias_tenant_quota_left{quota="8 rows/day",tenant="acme"} 0.0' in shown


def test_of_several_that_are_spent_the_one_that_takes_longest_is_told(tmp_path: Path, clock: Clock) -> None:
    spent = {"shop": ["1/second", "2 rows/hour"], "hours": ["2/hour", "3 rows/minute"], "acme": ["2/hour"]}
    quotas = {key: checked(of) for key, of in (spent | {"acme-1": ["2/minute"]}).items()}
    with live_server(quotas=quotas, ledger=partial(Ledger.open, tmp_path, clock=clock)) as server:
        for key, kept in (("shop", "2 rows/hour"), ("hours", "2 requests/hour"), ("acme-1", "2 requests/hour")):
            found = ask(server, key, ROW * 2), ask(server, key), ask(server, key)
            last, again = found[-1], ask(server, key, [])
            assert (last.status, again.status) == (429, 429), [each.status for each in found]
            for each in (last, again):
                assert f"{kept} is spent" in error(each)["message"]
                assert each.headers["retry-after"] == "1800"


def test_whose_rows_are_refused_is_told_when_another_request_is_there(tmp_path: Path, clock: Clock) -> None:
    quotas = {"some": checked(["2/hour", "6 rows/minute"])}
    with live_server(quotas=quotas, ledger=partial(Ledger.open, tmp_path, clock=clock)) as server:
        assert ask(server, "some", ROW * 5).status == 200
        last = ask(server, "some", ROW * 5)
        assert (last.status, last.headers["retry-after"]) == (429, "1800")
        clock.now += 1800 * 10**9
        assert ask(server, "some", ROW * 5).status == 200


def test_rows_are_counted_before_they_run_and_in_every_form(server: LiveServer) -> None:
    tensors = {"inputs": [{"name": "age", "datatype": "FP64", "shape": [3], "data": [1, 2, 3]}]}
    csv = {"Content-Type": "text/csv"}

    assert ask(server, "few", ROW * 2).status == 200
    assert ask(server, "few", "age\n1\n2\n", headers=csv).status == 200
    assert ask(server, "few", tensors, "/v2/models/churn/infer").status == 200
    assert ask(server, "few", {"dataframe_records": ROW * 2}, "/invocations").status == 200
    refused = ask(server, "few", ROW * 2)
    assert (refused.status, refused.headers["retry-after"]) == (429, "43200")
    assert ask(server, "few").status == 200
    assert ask(server, "few", "no JSON at all").status == 429


def test_who_brings_many_rows_is_told_to_wait_for_all_of_them(server: LiveServer, clock: Clock) -> None:
    rows = [{"age": 50.0, "plan": "pro"}] * 5
    assert ask(server, "both", rows).status == 200

    one, five = ask(server, "both", rows[:1]), ask(server, "both", rows)
    assert (one.headers["retry-after"], five.status) == ("12", 429)
    assert five.headers["retry-after"] == "60"
    clock.now += int(five.headers["retry-after"]) * 10**9
    assert ask(server, "both", rows[:4]).status == 200


def test_more_rows_than_ever_pass_are_refused_for_good(server: LiveServer) -> None:
    refused = ask(server, "few", ROW * 11)

    assert refused.status == 429
    assert "retry-after" not in refused.headers
    assert error(refused)["hint"] == "send fewer rows at once"


def test_each_way_to_ask_tells_of_it_in_its_own_words(server: LiveServer) -> None:
    for _ in range(2):
        ask(server, "slow")

    by_openai = ask(server, "slow", {"model": "churn", "input": "a"}, "/v1/embeddings")
    by_mlflow = ask(server, "slow", {"dataframe_records": ROW}, "/invocations")
    by_v2 = ask(server, "slow", {}, "/v2/models/churn/infer")

    assert {each.status for each in (by_openai, by_mlflow, by_v2)} == {429}
    assert {each.headers["retry-after-ms"] for each in (by_openai, by_mlflow, by_v2)} == {"30000"}
    assert (error(by_openai)["type"], error(by_openai)["code"]) == ("rate_limit_error", "rate_limit_exceeded")
    assert json.loads(by_mlflow.body)["error_code"] == "REQUEST_LIMIT_EXCEEDED"
    assert "quota" in str(error(by_v2))


def test_grpc_calls_count_and_are_refused_alike(server: LiveServer) -> None:
    grpc = pytest.importorskip("grpc", reason="the extra `grpc` is not installed")
    from aias.serving.grpc.calls import message

    with grpc.insecure_channel(server.grpc) as channel:
        call = channel.unary_unary("/inference.GRPCInferenceService/ModelReady")
        request = message("ModelReadyRequest")(name="churn").SerializeToString()
        metadata = [("authorization", "Bearer slow")]
        for _ in range(2):
            call(request, metadata=metadata)
        with pytest.raises(grpc.RpcError) as refused:
            call(request, metadata=metadata)

    assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert dict(refused.value.trailing_metadata())["retry-after-ms"] == "30000"


def test_a_refusal_comes_before_the_body(server: LiveServer) -> None:
    for _ in range(2):
        ask(server, "slow")

    head = b"POST /predict/churn HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer slow\r\nContent-Length: 9\r\n\r\n"
    assert server.raw(head).startswith(b"HTTP/1.1 429 ")


def test_what_we_refuse_for_our_own_reasons_costs_nothing(tmp_path: Path) -> None:
    shelf = Shelf()
    shelf.deploy("churn", 1, Rule())
    shelf.deploy("broken", 1, None, model="broken")
    with live_server(shelf, quotas=QUOTAS, ledger=partial(Ledger.open, tmp_path)) as server:
        assert {ask(server, "slow", path="/predict/broken").status for _ in range(5)} == {503}
        assert ask(server, "slow").status == 200


def test_metrics_show_what_each_key_has_used(server: LiveServer) -> None:
    ask(server, "few", ROW * 4)
    ask(server, "slow")
    ask(server, "slow")
    ask(server, "slow")

    found = samples(server)

    def labels(key: str, quota: str) -> tuple[tuple[str, str], ...]:
        return (("key", key), ("name", "shop"), ("quota", quota))

    assert found["aias_quota_used", labels("few", "10 rows/day")] == 4
    assert found["aias_quota_left", labels("few", "10 rows/day")] == 6
    assert found["aias_quota_left", labels("slow", "2 requests/minute")] == 0
    assert found["aias_quota_used", labels("plenty", "1000 requests/second")] == 0
    assert found["aias_refusals_total", REFUSED] == 1


def test_a_quota_that_changes_holds_from_the_next_request_on(tmp_path: Path) -> None:
    quotas: dict[str, tuple[Quota, ...]] = {"shop": checked(["1/day"])}
    shelf = Shelf()
    shelf.deploy("churn", 1, Rule())
    with live_server(shelf, quotas=quotas, ledger=partial(Ledger.open, tmp_path)) as server:

        def change(held: tuple[Quota, ...]) -> None:
            before = server.gateway.access.ring
            quotas["shop"] = held
            shelf.moves += 1
            eventually(lambda: server.gateway.access.ring is not before)

        assert [ask(server, "shop").status for _ in range(2)] == [200, 429]
        change(checked(["2/day"]))
        assert [ask(server, "shop").status for _ in range(2)] == [200, 429]
        change(())
        assert [ask(server, "shop").status for _ in range(2)] == [200, 200]


def test_a_row_that_is_taken_at_the_door_is_used_or_given_back(server: LiveServer) -> None:
    """Whoever brings no row, none that can be read, or too many, keeps none of ten."""
    for body in ("no table at all", "[{", [], 7, ROW * 11):
        assert 200 not in {ask(server, "few", body).status for _ in range(4)} or body == []
    assert [ask(server, "few").status for _ in range(11)] == [200] * 10 + [429]


def test_metrics_are_told_without_what_is_used_where_the_ledger_cannot_be_had(caplog: pytest.LogCaptureFixture) -> None:
    def full() -> Ledger:
        raise StorageFailed("cannot keep quotas: no space left", hint="check the disk")

    with live_server(quotas=QUOTAS, ledger=full) as server:
        refused, shown = ask(server, "slow"), server.call("GET", "/metrics")

    assert (refused.status, shown.status) == (507, 200)
    assert b'reason="aias.storage-failed"' in shown.body and b"quota_used{" not in shown.body
    assert "what keys have used of their quotas cannot be told: cannot keep quotas: no space left" in caplog.text
