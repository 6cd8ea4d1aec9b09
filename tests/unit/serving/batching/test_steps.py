"""Bodies that are read, and answers that are written, in threads: whose turn it is."""

import asyncio
import threading

import pytest

from aias.serving.batching.executor import Executor
from aias.serving.batching.steps import Steps
from aias.serving.observability.metrics import Metrics
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
