"""Bodies that are read, and answers that are written, in threads: whose turn it is."""

import asyncio
import gc
import threading
import time
import weakref
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from aias.serving.batching.executor import Executor
from aias.serving.batching.steps import Step, Steps
from aias.serving.http.bodies import ClientGone
from aias.serving.observability.metrics import Metrics
from aias.serving.refusals import Overloaded, TooLate
from live_server import BOUNDS, PATIENCE


class Told:
    """Steps that take a second each by a clock of their own, the first of which begin when they are let `go_on`."""

    def __init__(self) -> None:
        self.order, self.go_on, self.now = list[str](), threading.Event(), 0.0

    def step(self, name: str) -> str:
        self.go_on.wait(PATIENCE)
        self.order.append(name)
        self.now += 1.0
        return name


def test_who_comes_behind_a_flood_of_large_bodies_is_read_after_the_one_that_is_being_read() -> None:
    told = Told()

    async def story() -> None:
        executor = Executor(places=1, bounds=BOUNDS, metrics=Metrics())
        waiting = [
            asyncio.ensure_future(executor.step(lambda payer=payer: told.step(payer), body_bytes=size, payer=payer))
            for payer in ("flood",) * 5 + ("other",)
            for size in (1 << 20,)
        ]
        await asyncio.sleep(0)
        told.go_on.set()
        await asyncio.gather(*waiting)
        executor.close()

    asyncio.run(story())

    assert told.order == ["flood", "other", "flood", "flood", "flood", "flood"]


def test_payers_take_turns_by_the_seconds_that_they_have_had() -> None:
    told = Told()

    async def story() -> None:
        steps = Steps(1, "test", clock=lambda: told.now)
        names = ["long 0", "long 1", "short 0", "short 1", "short 2", "short 3"]
        waiting = [asyncio.ensure_future(steps.run(lambda name=name: step(name), name.split()[0])) for name in names]
        await asyncio.sleep(0)
        told.go_on.set()
        await asyncio.gather(*waiting)
        steps.close()

    def step(name: str) -> None:
        told.step(name)
        told.now += 2.0 if name.startswith("long") else 0.0

    asyncio.run(story())

    assert told.order == ["long 0", "short 0", "short 1", "short 2", "long 1", "short 3"]


async def started(*steps: Any) -> list[asyncio.Future[Any]]:
    found = [asyncio.ensure_future(each) for each in steps]
    await asyncio.sleep(0)
    return found


def test_who_would_wait_longer_than_is_of_use_is_refused_and_told_when_to_come_again() -> None:
    """These take a second each, in two threads. Who takes long itself may be kept waiting for longer."""
    told = Told()

    async def story() -> None:
        steps = Steps(2, "test", clock=lambda: told.now)
        steps.check("a", 1.0, wait_max=0.1, deadline=0.1)
        waiting = await started(*(steps.run(lambda: told.step(""), "a", Step(1.0)) for _ in range(5)))
        assert steps.expected_wait("a", 1.0) == 2.5
        assert steps.expected_wait("b", 1.0) == 1.5
        steps.check("a", 0.1, wait_max=2.5, deadline=None)
        steps.check("a", 0.7, wait_max=1.0, deadline=None)
        steps.check("b", 1.0, wait_max=0.1, deadline=2.6)
        with pytest.raises(Overloaded) as refused:
            steps.check("a", 0.1, wait_max=2.0, deadline=None)
        assert refused.value.retry_seconds == 0.5
        with pytest.raises(Overloaded, match="after its deadline"):
            steps.check("b", 1.0, wait_max=9.0, deadline=2.4)
        told.go_on.set()
        await asyncio.gather(*waiting)
        steps.close()

    asyncio.run(story())


def test_how_long_steps_take_is_learned_and_one_stall_teaches_little() -> None:
    told = Told()

    async def story() -> list[float]:
        steps, waits = Steps(1, "test", clock=lambda: told.now), list[float]()
        told.go_on.set()
        for stall in (1_000.0, *[1.0] * 100, *[0.0] * 300):

            def work(stall: float = stall) -> None:
                told.now += stall

            await steps.run(lambda: told.step(""), "a", Step(0.5))
            await steps.run(work, "a", Step(first=True, of_read=True))
            waits.append(steps._stretch(""))
        steps.close()
        return waits

    waits = asyncio.run(story())

    # A second where half of one was said, and a second more for the answer; then none.
    assert waits[0] < 2.0
    assert waits[100] == pytest.approx(4.0, rel=0.2)
    assert waits[-1] == pytest.approx(2.0, rel=0.01)


def test_answers_to_bodies_that_were_not_read_in_a_thread_make_nobody_who_is_to_be_read_wait_in_vain() -> None:
    told = Told()

    async def story() -> None:
        steps = Steps(1, "test", clock=lambda: told.now)
        told.go_on.set()
        await steps.run(lambda: told.step("read"), "a", Step(1.0))
        for _ in range(100):
            await steps.run(lambda: told.step("answer"), "a", Step(first=True))
        told.go_on.clear()
        waiting = await started(*(steps.run(lambda: told.step(""), "a", Step(1.0)) for _ in range(3)))
        assert steps.expected_wait("a", 1.0) == pytest.approx(3.0)
        told.go_on.set()
        await asyncio.gather(*waiting)
        steps.close()

    asyncio.run(story())


def test_each_form_of_a_body_has_a_pace_of_its_own() -> None:
    told = Told()

    async def story() -> None:
        steps = Steps(1, "test", clock=lambda: told.now)
        told.go_on.set()
        for _ in range(100):
            await steps.run(lambda: told.step(""), "a", Step(0.25, form="csv"))
        told.go_on.clear()
        bodies = [Step(0.25, form="csv"), Step(0.25, form="csv"), Step(1.0, form="json")]
        waiting = await started(*(steps.run(lambda: told.step(""), "a", each) for each in bodies))
        assert steps.expected_wait("a", 1.0, form="json") == pytest.approx(3.0, rel=0.01)
        assert steps.expected_wait("b", 0.25, form="csv") == pytest.approx(2.0, rel=0.01)
        told.go_on.set()
        await asyncio.gather(*waiting)
        steps.close()

    asyncio.run(story())


def test_what_runs_is_waited_for_and_for_longer_where_it_takes_longer_than_it_should() -> None:
    told = Told()

    async def story() -> None:
        steps = Steps(1, "test", clock=lambda: told.now)
        waiting = await started(steps.run(lambda: told.step(""), "a", Step(1.0)))
        for told.now, wait in ((0.0, 1.0), (0.75, 0.25), (2.5, 1.5), (100.0, 4.0)):
            assert steps.expected_wait("b", 1.0) == wait
        with pytest.raises(Overloaded):
            steps.check("b", 0.5, wait_max=3.0, deadline=None)
        told.go_on.set()
        await asyncio.gather(*waiting)
        assert steps.expected_wait("b", 1.0) == 0.0
        steps.close()

    asyncio.run(story())


def test_of_one_payer_what_is_urgent_is_read_first_and_let_in_where_what_may_wait_is_refused() -> None:
    told = Told()

    async def story() -> None:
        steps = Steps(1, "test", clock=lambda: told.now)
        waiting = await started(
            *(steps.run(lambda at=at: told.step(str(at)), "a", Step(1.0, priority=at)) for at in (2, 2, 1, 2, 0))
        )
        assert [steps.expected_wait("a", 0.1, at) for at in (0, 1, 2)] == [2.0, 3.0, 5.0]
        steps.check("a", 0.1, wait_max=3.0, deadline=None, priority=1)
        with pytest.raises(Overloaded):
            steps.check("a", 0.1, wait_max=3.0, deadline=None, priority=2)
        told.go_on.set()
        await asyncio.gather(*waiting)
        steps.close()

    asyncio.run(story())

    assert told.order == ["2", "0", "1", "2", "2"]


def test_an_answer_comes_before_what_is_to_be_read_and_what_is_late_or_left_is_passed_over() -> None:
    told, hung_up = Told(), asyncio.Event()

    async def story() -> list[object]:
        steps = Steps(1, "test", clock=lambda: told.now)
        names = ["running", "body", "late", "gone", "answer", "answer after it"]
        own = {"late": Step(until=0.5)} | {name: Step(first=True) for name in names if "answer" in name}
        waiting = await started(
            *(steps.run(lambda name=name: told.step(name), "a", own.get(name), hung_up.wait if name == "gone" else None)
              for name in names)
        )  # fmt: skip
        await asyncio.sleep(0)
        hung_up.set()
        told.now = 0.5
        steps.expire()
        with pytest.raises(TooLate):
            await waiting[2]
        with pytest.raises(ClientGone):
            await waiting[3]
        told.go_on.set()
        await asyncio.gather(waiting[0], waiting[1], *waiting[4:])
        steps.close()
        return told.order

    assert asyncio.run(story()) == ["running", "answer", "answer after it", "body"]


def test_a_server_asks_the_door_before_a_body_is_read_and_no_request_waits_for_one_that_has_gone() -> None:
    told = Told()
    flow = SimpleNamespace(wait_seconds_max=200.0)
    model = SimpleNamespace(seconds_to_read_bytes=lambda size: size / 1e4, flow=flow)
    asked: Any = SimpleNamespace(asked=model, deadline=None, payer="a", priority=1, form="json", asks_arrow=False)

    async def story() -> None:
        executor = Executor(places=1, bounds=BOUNDS, metrics=Metrics())
        read = partial(executor.read, asked, lambda: told.step("read"), asyncio.Event().wait, body_bytes=1_000_000)
        waiting = await started(*(read() for _ in range(5)))
        with pytest.raises(Overloaded):
            await read()
        waiting[2].cancel()
        told.go_on.set()
        await asyncio.gather(*waiting[:2], *waiting[3:])
        executor.close()

    asyncio.run(story())

    assert told.order == ["read"] * 4


def test_a_body_that_names_its_model_is_not_read_after_its_deadline_nor_for_who_has_gone() -> None:
    told, hung_up = Told(), asyncio.Event()

    def asked(deadline: float | None) -> Any:
        return SimpleNamespace(payer="a", priority=1, deadline=deadline)

    async def story() -> None:
        executor = Executor(places=1, bounds=BOUNDS, metrics=Metrics())
        running = await started(executor.step(lambda: told.step("running"), body_bytes=1 << 20, payer="a"))
        late, left = await started(
            executor.named(asked(time.monotonic()), lambda: told.step("late"), hung_up.wait, body_bytes=1 << 20),
            executor.named(asked(None), lambda: told.step("left"), hung_up.wait, body_bytes=1 << 20),
        )
        executor.expire()
        with pytest.raises(TooLate):
            await late
        hung_up.set()
        with pytest.raises(ClientGone):
            await left
        told.go_on.set()
        await asyncio.gather(*running)
        executor.close()

    asyncio.run(story())

    assert told.order == ["running"]


def test_of_a_first_crowd_of_tables_fewer_are_let_in_than_of_as_many_bytes_of_json() -> None:
    """Nothing has been read yet, and what tables take is not known from the model."""
    told = Told()
    flow = SimpleNamespace(wait_seconds_max=200.0)
    model = SimpleNamespace(seconds_to_read_bytes=lambda size: size / 1e4, flow=flow)

    async def let_in(form: str) -> int:
        asked: Any = SimpleNamespace(
            asked=model, deadline=None, payer="a", priority=1, form=form, asks_arrow=form == "arrow"
        )
        executor, waiting = Executor(places=1, bounds=BOUNDS, metrics=Metrics()), list[asyncio.Future[Any]]()
        told.go_on.clear()
        while not (waiting and waiting[-1].done()):
            read = executor.read(asked, lambda: told.step("read"), asyncio.Event().wait, body_bytes=100_000)
            waiting += await started(read)
        assert isinstance(waiting.pop().exception(), Overloaded)
        told.go_on.set()
        await asyncio.gather(*waiting)
        executor.close()
        return len(waiting)

    assert [asyncio.run(let_in(form)) for form in ("json", "csv", "arrow")] == [21, 5, 5]


def test_nobody_waits_for_a_thread_that_waits_for_the_process_for_arrow() -> None:
    told = Told()
    flow = SimpleNamespace(wait_seconds_max=PATIENCE)
    model = SimpleNamespace(seconds_to_read_bytes=lambda size: size / 1e9, flow=flow)

    def asked(**of_it: object) -> Any:
        return SimpleNamespace(asked=model, deadline=None, payer="a", priority=1, **of_it)

    async def story() -> str:
        executor = Executor(places=1, bounds=BOUNDS, metrics=Metrics())
        table, rows = asked(form="arrow", asks_arrow=True), asked(form="json", asks_arrow=False)
        gone = asyncio.Event().wait
        waiting = await started(
            executor.read(table, lambda: told.step("read"), gone, body_bytes=1 << 20),
            executor.step(lambda: told.step("written"), body_bytes=1 << 20, arrow=True, first=True),
        )
        found = await executor.read(rows, lambda: "rows", gone, body_bytes=1 << 20)
        assert told.order == []
        told.go_on.set()
        await asyncio.gather(*waiting)
        executor.close()
        return found

    assert asyncio.run(story()) == "rows"
    assert told.order == ["read", "written"]


def test_a_body_whose_caller_has_gone_is_not_held_until_it_would_be_its_turn() -> None:
    told = Told()

    class Body:
        """That somebody sent."""

    async def story() -> list[bool]:
        steps, hung_up, found = Steps(1, "test", clock=lambda: told.now), asyncio.Event(), list[bool]()
        waiting = await started(*(steps.run(lambda: told.step(""), "a", Step(1.0)) for _ in range(2)))
        for leave in (lambda _: hung_up.set(), lambda left: left.cancel()):
            body = Body()
            held, left = weakref.ref(body), steps.run(lambda body=body: body, "a", Step(1.0), hung_up.wait)
            [left] = await started(left)
            del body
            leave(left)
            await asyncio.wait([left])
            with pytest.raises((ClientGone, asyncio.CancelledError)):
                left.result()
            del left
            gc.collect()
            found += [held() is None, steps.expected_wait("a", 1.0) == 2.0]
        told.go_on.set()
        await asyncio.gather(*waiting)
        steps.close()
        return found

    assert asyncio.run(story()) == [True] * 4


def test_a_step_whose_caller_has_gone_is_not_begun_and_a_fault_is_its_callers_alone() -> None:
    told = Told()

    def break_() -> None:
        raise ValueError("it broke")

    async def story() -> list[object]:
        steps = Steps(1, "test")
        first = asyncio.ensure_future(steps.run(lambda: told.step("first"), "a"))
        gone = asyncio.ensure_future(steps.run(lambda: told.step("gone"), "a"))
        broken = asyncio.ensure_future(steps.run(break_, "a"))
        last = asyncio.ensure_future(steps.run(lambda: told.step("last"), "a"))
        await asyncio.sleep(0)
        gone.cancel()
        told.go_on.set()
        found = await asyncio.gather(first, broken, last, return_exceptions=True)
        steps.close()
        return found

    first, broken, last = asyncio.run(story())

    assert told.order == ["first", "last"] == [first, last]
    with pytest.raises(ValueError, match="it broke"):
        raise broken  # type: ignore[misc]
