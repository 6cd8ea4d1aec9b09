"""Requests that wait for a model to be loaded."""

import asyncio
import threading
from typing import Any

import pytest

from aias.serving.bounds import Bounds
from aias.serving.refusals import Busy
from aias.serving.versions import fetching as fetching_module
from aias.serving.versions.fetching import Fetching


def test_who_has_as_many_waiting_for_models_as_may_wait_refuses_nobody_else() -> None:
    go_on, model = threading.Event(), object()

    def bring(_endpoint: str) -> Any:
        go_on.wait(30)
        return model

    async def story() -> list[object]:
        fetching = Fetching(bring, Bounds(waiting_requests=4))
        asked = [asyncio.ensure_future(fetching.model("one", payer=each)) for each in ("flood",) * 6 + ("other",) * 3]
        await asyncio.sleep(0)
        go_on.set()
        found = await asyncio.gather(*asked, return_exceptions=True)
        fetching.close()
        assert not fetching._waiting
        return found

    found = asyncio.run(story())

    # Half of them for each, where there are two.
    assert [each is model for each in found] == [True] * 4 + [False] * 2 + [True] * 2 + [False]
    assert all(isinstance(each, Busy) for each in found if each is not model)


def test_models_are_loaded_by_turns_of_those_who_ask_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching_module, "LOADS_MAX", 1)
    go_on, loaded = threading.Event(), list[str]()

    def bring(endpoint: str) -> Any:
        go_on.wait(30)
        loaded.append(endpoint)

    async def story() -> None:
        fetching = Fetching(bring, Bounds())
        asked = [asyncio.ensure_future(fetching.model(f"m{at}", payer="flood")) for at in range(6)]
        asked += [asyncio.ensure_future(fetching.model(name, payer="other")) for name in ("own", "m5")]
        await asyncio.sleep(0)
        go_on.set()
        await asyncio.gather(*asked)
        fetching.close()
        assert not fetching._queues
        assert not fetching._under_way

    asyncio.run(story())

    assert loaded == ["m0", "m1", "own", "m2", "m5", "m3", "m4"]
