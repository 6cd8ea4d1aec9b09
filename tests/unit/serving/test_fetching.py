"""Requests that wait for a model to be loaded."""

import asyncio
import threading
from typing import Any

from aias.serving.bounds import Bounds
from aias.serving.fetching import Fetching
from aias.serving.refusals import Busy


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
