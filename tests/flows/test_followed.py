"""Whoever has changed what servers answer by, and has been told that it is done, finds no worker that goes by what was
before."""

import http.client
import json
from collections.abc import Iterator

import pytest

from aias.access.keys import Key, Keys
from aias.core.names import Ref
from aias.registry.registry import Registry
from aias.registry.rollout.trial import Guard
from aias.serving.processes.background import Background
from live_server import PATIENCE
from tiny_versions import MANIFEST, files

CONNECTIONS = 12
"""Of two workers, new ones fall to either: all of twelve to one of them is unlikely, and each change is made anew."""

TIMES = {1: 2.0, 2: 3.0}


class Home:
    """Two workers that answer with the first of two versions, and keys of two callers."""

    def __init__(self, registry: Registry, server: Background) -> None:
        self.registry, self.keys, self.server = registry, Keys(registry.database), server
        self.secret = self.made("test")[1]
        self.open = [self.connection() for _ in range(CONNECTIONS)]

    def made(self, name: str) -> tuple[Key, str]:
        return self.keys.create(name, ["predict", "admin"])

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.server.url.removeprefix("http://"), timeout=PATIENCE)

    def post(self, path: str, body: object) -> None:
        status, said, _ = posted(self.open[0], path, body, self.secret)
        assert status == 200, said

    def seen(self, secret: str = "") -> set[tuple[int, str]]:
        """What callers on all connections, open ones and new ones, are told: a status, and the version."""
        fresh = [self.connection() for _ in range(CONNECTIONS)]
        found = {
            (status, version)
            for each in [*self.open, *fresh]
            for status, _, version in [posted(each, "/predict/m", [{"n": 5}], secret or self.secret)]
        }
        for each in fresh:
            each.close()
        return found


def posted(connection: http.client.HTTPConnection, path: str, body: object, secret: str) -> tuple[int, bytes, str]:
    connection.request("POST", path, json.dumps(body), {"Authorization": f"Bearer {secret}"})
    response = connection.getresponse()
    return response.status, response.read(), response.headers.get("X-Aias-Version", "")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    path = tmp_path_factory.mktemp("home")
    with Registry.open(path) as registry:
        for times in TIMES.values():
            registry.publish("m", files(times, golden_of=times), MANIFEST)
        registry.deploy("m", Ref("m", 1))
        with Background(path, workers=2) as server:
            home = Home(registry, server)
            yield home
            for each in home.open:
                each.close()


@pytest.mark.parametrize("over_http", [False, True])
def test_no_worker_answers_with_the_version_before(home: Home, over_http: bool) -> None:
    for number in (2, 1, 2, 1):
        if over_http:
            home.post("/endpoints/m", {"version": f"m@{number}"})
        else:
            home.registry.deploy("m", Ref("m", number))

        assert home.seen() == {(200, f"m@{number}")}


@pytest.mark.parametrize("over_http", [False, True])
def test_no_worker_goes_by_the_rollout_before(home: Home, over_http: bool) -> None:
    for _ in range(2):
        if over_http:
            home.post("/endpoints/m", {"version": "m@2", "canary": 1, "max_slower": 100})
        else:
            home.registry.rollouts.start("m", Ref("m", 2), share=1.0, guard=Guard(slower=100.0))
        assert home.seen() == {(200, "m@2")}

        if over_http:
            home.post("/endpoints/m/rollback", {})
        else:
            home.registry.rollouts.rollback("m")
        assert home.seen() == {(200, "m@1")}


@pytest.mark.parametrize("over_http", [False, True])
def test_no_worker_opens_to_a_revoked_key(home: Home, over_http: bool) -> None:
    for at in range(3):
        key, secret = home.made(f"key-{at}")
        assert home.seen(secret) == {(200, "m@1")}
        if over_http:
            home.post(f"/keys/{key.id}/revoke", {})
        else:
            home.keys.revoke(key.id)

        assert home.seen(secret) == {(401, "")}


def test_no_worker_answers_for_an_endpoint_that_is_gone(home: Home) -> None:
    home.registry.undeploy("m")

    assert home.seen() == {(404, "")}
    home.registry.deploy("m", Ref("m", 1))
