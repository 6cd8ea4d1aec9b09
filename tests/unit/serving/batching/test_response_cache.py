"""Requests that repeat: from memory, together, or not at all."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from aias.serving.batching.response_cache import ResponseCache
from aias.serving.bounds import Bounds
from aias.serving.http.bodies import ClientGone
from aias.serving.http.messages import Reply, Request
from aias.serving.observability.metrics import Metrics
from aias.serving.refusals import BadBody, Overloaded, TooLate
from clock import Clock
from live_server import BOUNDS, Joined, LiveServer, Shelf, eventually, live_server, samples

BODY = b'[{"age": 50}]'


class Model:
    """Answers with how often it has been asked; `gate` holds it up."""

    def __init__(self) -> None:
        self.asked = 0
        self.gate: asyncio.Event | None = None
        self.fault: Exception | None = None

    async def run(self) -> Reply:
        self.asked += 1
        serial = self.asked
        if self.gate is not None:
            await self.gate.wait()
        if self.fault is not None and serial == 1:
            raise self.fault
        return Reply(b"%d" % serial, rows=1, phases=(0.1, 0.1, 0.1))


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def clock() -> Clock:
    return Clock(100.0)


@pytest.fixture
def cache(clock: Clock) -> ResponseCache:
    return ResponseCache(Bounds(cache_bytes=100_000), Metrics(), clock=clock)


def request(body: bytes = BODY, *, tenant: str = "shop", version: str = "m@1", **headers: str) -> Request:
    sent = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    asked: Any = SimpleNamespace(version=version)
    return Request("POST", "/predict/m", "1", sent, {"endpoint": "m"}, body, asked, tenant)


async def never() -> None:
    await asyncio.Event().wait()


def ask(
    cache: ResponseCache, model: Model, asked: Request, gone: Callable[[], Awaitable[None]] = never
) -> Awaitable[Reply]:
    return cache.answer(asked, model.run, gone)


def told(reply: Reply) -> tuple[bytes, bytes]:
    return reply.body, dict(reply.headers)[b"x-cache"]


def run(story: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(story())  # type: ignore[arg-type]


def test_an_equal_request_is_answered_from_memory(cache: ResponseCache, model: Model, clock: Clock) -> None:
    async def story() -> None:
        assert told(await ask(cache, model, request())) == (b"1", b"miss")
        clock.now += 7.9
        again = await ask(cache, model, request(user_agent="another", x_request_id="2", x_priority="low"))
        assert told(again) == (b"1", b"hit")
        assert dict(again.headers)[b"age"] == b"7"
        assert (again.phases, again.rows, again.repeated) == (None, 1, True)

    run(story)
    assert model.asked == 1


@pytest.mark.parametrize("name", ["x_forwarded_for", "x_amzn_trace_id", "b3", "via", "x_datadog_trace_id", "cf_ray"])
def test_what_proxies_and_traces_add_makes_no_other_request(cache: ResponseCache, model: Model, name: str) -> None:
    found = [told(asyncio.run(ask(cache, model, request(**{name: str(at)}))))[1] for at in range(2)]  # type: ignore[arg-type]

    assert found == [b"miss", b"hit"]


@pytest.mark.parametrize(
    "other",
    [
        request(b'[{"age": 51}]'),
        request(tenant="another"),
        request(version="m@2"),
        request(accept="text/csv"),
        request(b"", content_type=BODY.decode()),
        request(x_unheard_of="1"),
    ],
)
def test_whatever_could_change_the_answer_makes_another_request(
    cache: ResponseCache, model: Model, other: Request
) -> None:
    async def story() -> None:
        await ask(cache, model, request())
        assert told(await ask(cache, model, other)) == (b"2", b"miss")

    run(story)


@pytest.mark.parametrize(
    ("control", "expected", "afterwards"),
    [
        ("no-store", b"2", (b"1", b"hit")),
        ("no-cache", b"2", (b"2", b"hit")),
        ("private, Max-Age=5", b"2", (b"2", b"hit")),
        ("max-age=60", b"1", (b"1", b"hit")),
    ],
)
def test_callers_say_how_old_an_answer_may_be(
    cache: ResponseCache, model: Model, clock: Clock, control: str, expected: bytes, afterwards: tuple[bytes, bytes]
) -> None:
    async def story() -> None:
        await ask(cache, model, request())
        clock.now += 10
        assert (await ask(cache, model, request(cache_control=control))).body == expected
        assert told(await ask(cache, model, request())) == afterwards

    run(story)


def test_what_must_not_be_stored_is_not(cache: ResponseCache, model: Model) -> None:
    async def story() -> None:
        await ask(cache, model, request(cache_control="no-store"))
        assert cache.held_bytes == 0

    run(story)


def test_equal_requests_under_way_are_run_once(cache: ResponseCache, model: Model) -> None:
    async def story() -> None:
        model.gate = asyncio.Event()
        asked = [asyncio.ensure_future(ask(cache, model, request())) for _ in range(5)]
        await asyncio.sleep(0)
        model.gate.set()
        assert [told(each) for each in await asyncio.gather(*asked)] == [(b"1", b"miss")] + [(b"1", b"shared")] * 4

    run(story)
    assert model.asked == 1


def test_a_failure_of_the_first_is_its_own_and_the_others_run_together(cache: ResponseCache, model: Model) -> None:
    async def story() -> None:
        model.gate, model.fault = gate, _ = asyncio.Event(), Overloaded()
        asked = [asyncio.ensure_future(ask(cache, model, request())) for _ in range(4)]
        await asyncio.sleep(0)
        model.gate = asyncio.Event()
        gate.set()
        await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        for _ in range(5):
            await asyncio.sleep(0)
        assert model.asked == 4
        # Who comes now shares the run of one of them.
        late = asyncio.ensure_future(ask(cache, model, request()))
        await asyncio.sleep(0)
        model.gate.set()
        first, *others = await asyncio.gather(*asked, return_exceptions=True)
        assert isinstance(first, Overloaded)
        assert {told(each)[1] for each in others} == {b"miss"}  # type: ignore[arg-type]
        assert told(await late)[1] == b"shared"

    run(story)
    assert model.asked == 4


def test_what_is_wrong_with_the_body_of_one_is_told_to_all_that_wait_for_it(cache: ResponseCache, model: Model) -> None:
    async def story() -> None:
        model.gate, model.fault = asyncio.Event(), BadBody("it is no JSON")
        asked = [asyncio.ensure_future(ask(cache, model, request())) for _ in range(3)]
        await asyncio.sleep(0)
        model.gate.set()
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert found == [model.fault] * 3
        # It is not kept: what is wrong costs nothing to be told again.
        assert told(await ask(cache, model, request())) == (b"2", b"miss")

    run(story)


def test_a_first_that_hangs_up_takes_nobody_along(cache: ResponseCache, model: Model) -> None:
    async def story() -> None:
        model.gate = asyncio.Event()
        first, second = (asyncio.ensure_future(ask(cache, model, request())) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0.01)
        model.gate.set()
        assert told(await second) == (b"2", b"miss")

    run(story)


def test_who_waits_for_another_may_hang_up_or_run_out_of_time(cache: ResponseCache, model: Model) -> None:
    async def story() -> None:
        model.gate, left = asyncio.Event(), asyncio.Event()
        first = asyncio.ensure_future(ask(cache, model, request()))
        await asyncio.sleep(0)
        hurried = request()
        hurried.deadline = time.monotonic() + 0.01
        with pytest.raises(TooLate):
            await ask(cache, model, hurried)
        leaving = asyncio.ensure_future(cache.answer(request(), model.run, left.wait))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        left.set()
        with pytest.raises(ClientGone):
            await leaving
        model.gate.set()
        assert told(await first) == (b"1", b"miss")

    run(story)


def test_who_is_in_a_hurry_does_not_wait_for_who_is_not(cache: ResponseCache, model: Model) -> None:
    async def story() -> None:
        model.gate = asyncio.Event()
        slow, urgent, slower = request(), request(), request()
        slow.priority, urgent.priority, slower.priority = 1, 0, 2
        asked = [asyncio.ensure_future(ask(cache, model, each)) for each in (slow, urgent, slower)]
        await asyncio.sleep(0)
        model.gate.set()
        assert [told(each) for each in await asyncio.gather(*asked)] == [
            (b"1", b"miss"),
            (b"2", b"miss"),
            (b"2", b"shared"),
        ]

    run(story)


def test_those_who_are_in_a_hurry_share_a_run_beside_that_of_who_is_not() -> None:
    cache, model = ResponseCache(Bounds(cache_bytes=0), Metrics()), Model()

    async def story() -> None:
        model.gate = asyncio.Event()
        each = [request() for _ in range(4)]
        each[0].priority, each[3].priority = 2, 2
        asked = [asyncio.ensure_future(ask(cache, model, one)) for one in each]
        await asyncio.sleep(0)
        model.gate.set()
        assert [told(one) for one in await asyncio.gather(*asked)] == [
            (b"1", b"miss"),
            (b"2", b"miss"),
            (b"2", b"shared"),
            (b"2", b"shared"),
        ]
        assert not cache._flights

    run(story)


def test_only_so_many_bytes_are_kept_and_the_longest_unused_goes_first(model: Model) -> None:
    cache = ResponseCache(Bounds(cache_bytes=32_000), Metrics())

    async def story() -> None:
        for serial in range(40):
            await ask(cache, model, request(b"%d" % serial))
            await ask(cache, model, request(b"0"))
        assert cache.held_bytes <= 32_000
        assert told(await ask(cache, model, request(b"0"))) == (b"1", b"hit")
        assert told(await ask(cache, model, request(b"1")))[1] == b"miss"

    run(story)


def test_what_takes_too_much_room_is_not_kept(cache: ResponseCache) -> None:
    async def large() -> Reply:
        return Reply(bytes(10_000), rows=1)

    async def story() -> None:
        await cache.answer(request(), large, never)
        assert cache.held_bytes == 0

    run(story)


def test_the_answers_of_a_version_go_with_it(cache: ResponseCache, model: Model) -> None:
    async def story() -> None:
        await ask(cache, model, request())
        await ask(cache, model, request(version="m@2"))
        cache.keep_only({"m@2"})
        assert told(await ask(cache, model, request(version="m@2")))[1] == b"hit"
        assert told(await ask(cache, model, request()))[1] == b"miss"
        cache.keep_only(())
        assert cache.held_bytes == 0

    run(story)


def test_only_answers_are_kept_and_shared(cache: ResponseCache) -> None:
    serial = iter(range(9))

    async def story() -> None:
        async def refusing() -> Reply:
            return Reply(b"%d" % next(serial), 422)

        assert [(await cache.answer(request(), refusing, never)).body for _ in range(2)] == [b"0", b"1"]

    run(story)


def test_cheap_models_are_left_alone(cache: ResponseCache) -> None:
    def costs(seconds: float) -> Any:
        return SimpleNamespace(seconds_for=lambda _bytes: seconds)

    assert cache.pay(costs(1.0), 1_000)
    assert not cache.pay(costs(1e-6), 1_000)
    assert not cache.pay(costs(1e9), 10**9)
    assert not ResponseCache(Bounds(cache_bytes=0), Metrics()).pay(costs(1.0), 1_000)


# Behind a real server

EVERYTHING = replace(BOUNDS, cache_bytes=1_000_000, cache_runs_min=1e-9, inline_row_seconds=1e-12)
"""Everything pays, and every model runs in threads."""


def cached(server: LiveServer, endpoint: str = "churn") -> dict[str, float]:
    found = samples(server)
    return {
        name: found.get((f"aias_cache_{name}_total", (("endpoint", endpoint),)), 0.0)
        for name in ("hits", "misses", "shared")
    }


def test_a_server_answers_from_memory_for_each_key_and_version_by_itself() -> None:
    shelf, first = Shelf(), Joined()
    shelf.deploy("churn", 1, first)
    with live_server(shelf, bounds=EVERYTHING) as server:
        before = len(first.runs)
        answers = [
            server.call("POST", "/predict/churn", BODY, key=key) for key in ("all-key", "all-key", "predict-key")
        ]
        assert [each.headers["x-cache"] for each in answers] == ["miss", "hit", "miss"]
        assert len({each.body for each in answers}) == 1
        assert len(first.runs) == before + 2
        assert cached(server) == {"hits": 1, "misses": 2, "shared": 0}

        shelf.deploy("churn", 2, Joined(0.9))
        eventually(lambda: server.gateway.router.find("churn").version == "churn@2")
        after = server.call("POST", "/predict/churn", BODY)
        assert (after.headers["x-cache"], after.headers["x-aias-version"]) == ("miss", "churn@2")
        assert after.body != answers[0].body


def test_every_dialect_is_answered_from_memory_with_its_own_answer() -> None:
    shelf = Shelf()
    shelf.deploy("churn", 1, Joined())
    tensors = {"inputs": [{"name": "age", "datatype": "FP64", "shape": [1], "data": [50]}]}
    with live_server(shelf, bounds=EVERYTHING) as server:
        for path, body in (
            ("/predict/churn", [{"age": 50}]),
            ("/v2/models/churn/infer", tensors | {"id": "a"}),
            ("/v2/models/churn/infer", tensors | {"id": "b"}),
            ("/invocations", {"dataframe_records": [{"age": 50}]}),
        ):
            miss, hit = (server.call("POST", path, body) for _ in range(2))
            assert (miss.status, hit.status) == (200, 200)
            assert (miss.headers["x-cache"], hit.headers["x-cache"]) == ("miss", "hit")
            assert miss.body == hit.body
        assert (
            server.call("GET", "/v2/models/churn/stats").json["model_stats"][0]["inference_stats"]["cache_hit"]["count"]
            == 4
        )  # type: ignore[index,call-overload]


def test_rows_from_memory_count_for_the_quota_of_their_key(tmp_path: Any) -> None:
    from functools import partial

    from aias.access.ledger import Ledger
    from aias.access.quotas import checked

    quotas = {"few": checked(["3 rows/day"])}
    shelf = Shelf()
    shelf.deploy("churn", 1, Joined())
    with live_server(shelf, bounds=EVERYTHING, quotas=quotas, ledger=partial(Ledger.open, tmp_path)) as server:
        statuses = [server.call("POST", "/predict/churn", BODY, key="few").status for _ in range(5)]

    assert statuses == [200, 200, 200, 429, 429]
