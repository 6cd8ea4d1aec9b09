"""Where the loop looks again at once, and where it goes to sleep."""

import asyncio

import pytest

from aias.serving.connections import busy_polling
from aias.serving.connections.busy_polling import PASS_MAX, BusyPolling

SECONDS = 1.0


class Clock:
    now = 1.0

    def __call__(self) -> float:
        return self.now


class Scene:
    """One caller: `waits` until it asks again, or for so long nobody asks."""

    def __init__(self, *, seconds: float = SECONDS) -> None:
        self.clock, self.runs = Clock(), False
        self.polling = BusyPolling(seconds, lambda: self.runs, self.clock)

    async def answer(self, times: int = 1) -> bool:
        """So many in one turn; whether the loop looks again."""
        for _ in range(times):
            self.polling.answered()
        await asyncio.sleep(0)
        return self.polling.is_on

    async def wait(self, seconds: float) -> bool:
        self.clock.now += seconds
        await asyncio.sleep(0)
        return self.polling.is_on

    async def answers_until_on(self) -> int:
        for count in range(2 * PASS_MAX):
            if await self.answer():
                return count
        raise AssertionError


@pytest.fixture(autouse=True)
def unbounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(busy_polling, "quota", lambda: float("inf"))
    monkeypatch.setattr("os.cpu_count", lambda: 2)


def test_it_looks_for_as_long_as_told_after_each_answer_and_then_sleeps() -> None:
    async def run() -> list[bool]:
        scene = Scene()
        return [
            await scene.answer(),
            await scene.wait(0.9),
            await scene.answer(),
            await scene.wait(0.9),
            await scene.wait(0.2),
        ]

    assert asyncio.run(run()) == [True, True, True, True, False]


def test_after_each_time_in_vain_twice_as_many_pass_and_one_in_time_counts_anew() -> None:
    async def run() -> tuple[list[int], int]:
        scene, passed = Scene(), list[int]()
        for _ in range(14):
            passed.append(await scene.answers_until_on())
            assert not await scene.wait(2)
        await scene.answers_until_on()
        assert await scene.wait(0.5)
        assert await scene.answer()
        assert not await scene.wait(2)
        return passed, await scene.answers_until_on()

    passed, after = asyncio.run(run())
    assert passed == [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 1_024, 1_024]
    assert after == 1


@pytest.mark.parametrize("why", ["several in one turn", "models in threads"])
def test_it_does_not_look_where_there_is_other_work(why: str) -> None:
    async def run() -> tuple[bool, bool, int]:
        scene = Scene()
        before = await scene.answer()
        scene.runs = why == "models in threads"
        after = await scene.answer(1 if scene.runs else 2)
        scene.runs = False
        return before, after, await scene.answers_until_on()

    assert asyncio.run(run()) == (True, False, PASS_MAX)


@pytest.mark.parametrize(
    ("seconds", "quota", "count"), [(0.0, float("inf"), 2), (SECONDS, 2.0, 2), (SECONDS, float("inf"), 1)]
)
def test_never_where_it_is_switched_off_or_the_time_of_processors_is_bounded(
    seconds: float, quota: float, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(busy_polling, "quota", lambda: quota)
    monkeypatch.setattr("os.cpu_count", lambda: count)

    async def run() -> list[bool]:
        scene = Scene(seconds=seconds)
        return [await scene.answer() for _ in range(2 * PASS_MAX)]

    assert not any(asyncio.run(run()))
