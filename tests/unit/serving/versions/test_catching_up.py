"""What another process has just made: endpoints and keys."""

import asyncio
import threading
from dataclasses import replace

import pytest

from aias.core.errors import StorageFailed
from aias.registry.values import Endpoint
from aias.serving.versions.catching_up import CatchingUp
from live_server import BOUNDS, PATIENCE, Rule, Shelf, live_server

NEVER = replace(BOUNDS, poll_seconds=PATIENCE)
ROW = [{"age": 50}]


class Counted(Shelf):
    """How often it was looked at; when `broken`, it cannot be."""

    looks, broken = 0, False

    def generation(self) -> int:
        self.looks += 1
        if self.broken:
            raise StorageFailed("the disk is gone", hint="find it")
        return super().generation()


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("POST", "/predict/late", {}), ("GET", "/predict/late", {}), ("GET", "/v2/models/late/ready", {}),
        ("POST", "/invocations", {"X-Amzn-SageMaker-Target-Model": "late"}),
    ],
)  # fmt: skip
def test_a_name_that_another_process_has_deployed_is_known_at_once(
    method: str, path: str, headers: dict[str, str]
) -> None:
    shelf = Counted()
    shelf.deploy("churn", 1, Rule())
    with live_server(shelf, bounds=NEVER) as server:
        assert server.call("POST", "/predict/churn", ROW).status == 200
        shelf.deploy("late", 2, Rule())

        body = None if method == "GET" else ROW
        assert server.call(method, path, body, headers=headers).status == 200
        looks = shelf.looks
        assert server.call(method, path, body, headers=headers).status == 200
        assert shelf.looks == looks


def test_it_is_known_also_while_another_model_is_being_loaded() -> None:
    loads, gate, shelf = threading.Event(), threading.Event(), Shelf()

    def load(endpoint: Endpoint) -> Rule:
        if endpoint.name == "slow":
            loads.set()
            gate.wait(PATIENCE)
        return Rule()

    with live_server(shelf, load=load) as server:
        shelf.deploy("slow", 1, Rule(), model="slow")
        assert loads.wait(PATIENCE)
        shelf.deploy("late", 1, Rule(), model="late")

        assert server.call("POST", "/predict/late", ROW).status == 200
        gate.set()
        assert server.call("POST", "/predict/slow", ROW).status == 200


def test_a_name_that_nobody_has_deployed_is_unknown_also_where_nobody_can_look() -> None:
    shelf = Counted()
    with live_server(shelf, bounds=NEVER) as server:
        for broken in (False, True):
            shelf.broken = broken

            assert server.call("POST", "/predict/nobody", ROW).status == 404


def test_who_has_no_key_has_nobody_look() -> None:
    shelf = Counted()
    with live_server(shelf, bounds=NEVER) as server:
        looks = shelf.looks

        assert server.call("POST", "/predict/nobody", ROW, key=None).status == 401
        assert shelf.looks == looks


def test_all_who_ask_while_one_looks_share_the_next_look() -> None:
    looks, gate = list[int](), threading.Event()

    def look() -> None:
        looks.append(1)
        gate.wait(PATIENCE)

    async def story() -> None:
        catching_up = CatchingUp(look)
        first = asyncio.create_task(catching_up.look())
        while not looks:
            await asyncio.sleep(0)
        others = [asyncio.create_task(catching_up.look()) for _ in range(50)]
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(first, *others)
        catching_up.close()

    asyncio.run(story())

    assert len(looks) == 2


def test_what_is_undeployed_does_not_come_back() -> None:
    shelf = Counted()
    with live_server(shelf, bounds=NEVER) as server:
        shelf.deploy("late", 2, Rule())
        assert server.call("POST", "/predict/late", ROW).status == 200
        shelf.undeploy("late")
        server.gateway.router.refresh()

        assert server.call("POST", "/predict/late", ROW).status == 404
