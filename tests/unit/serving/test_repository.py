"""Loading and unloading over the wire is deploying, for whoever may."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest

from aias.core.names import Ref
from aias.registry.lookup import UnknownEndpoint, UnknownVersion
from aias.registry.values import Version
from live_server import AT, BOUNDS, PATIENCE, LiveServer, Rule, Shelf, live_server

LOAD, UNLOAD = "/v2/repository/models/{}/load", "/v2/repository/models/{}/unload"


@dataclass
class Registry:
    """`new` can be deployed, at version 3."""

    shelf: Shelf
    gone: list[str] = field(default_factory=list)

    def version(self, ref: Ref) -> Version:
        if ref != Ref("new"):
            raise UnknownVersion(f"there is no model `{ref.name}`")
        self.shelf.runtimes.setdefault("new-3", Rule())
        return Version("new", 3, "new-3", AT, 1)

    def deploy(self, endpoint: str, ref: Ref) -> None:
        assert ref == Ref("new", 3)
        self.shelf.deploy(endpoint, 3, None, model="new")

    def undeploy(self, endpoint: str) -> None:
        if endpoint not in self.shelf.pointers:
            raise UnknownEndpoint("not here")
        self.shelf.undeploy(endpoint)
        self.gone.append(endpoint)

    def history(self, endpoint: str) -> list[str]:
        return [each for each in self.gone if each == endpoint]


@pytest.fixture
def server() -> Iterator[LiveServer]:
    shelf = Shelf()
    shelf.deploy("churn", 7, Rule())
    shelf.deploy("broken", 1, None, model="broken")
    with live_server(shelf, control=Registry(shelf)) as running:
        yield running


def index(server: LiveServer, body: object = None) -> list[tuple[str, str, str]]:
    found = server.call("POST", "/v2/repository/index", body or {}).json
    assert isinstance(found, list)
    return [(each["name"], each["version"], each["state"]) for each in found]


def test_the_index_has_what_cannot_answer_too_and_names_no_insides(server: LiveServer) -> None:
    assert index(server) == [("broken", "", "UNAVAILABLE"), ("churn", "7", "READY")]
    assert index(server, {"ready": True}) == [("churn", "7", "READY")]
    assert b"secret" not in server.call("POST", "/v2/repository/index", "{}").body


def test_a_model_is_loaded_by_deploying_its_newest_version_and_answers_at_once(server: LiveServer) -> None:
    assert server.call("POST", LOAD.format("new"), "").status == 200
    assert server.call("GET", "/v2/models/new/versions/3/ready").status == 200

    assert server.call("POST", UNLOAD.format("new"), '{"parameters": {"unload_dependents": true}}').status == 200
    assert server.call("GET", "/v2/models/new/ready").status == 404


def test_who_undeploys_again_is_told_the_same(server: LiveServer) -> None:
    assert [server.call("POST", UNLOAD.format("churn"), "{}").status for _ in range(2)] == [200, 200]
    assert server.call("GET", "/v2/models/churn/ready").status == 404


def test_what_answers_stays_where_it_points(server: LiveServer) -> None:
    assert server.call("POST", LOAD.format("churn"), "{}").status == 200
    assert index(server, {"ready": True}) == [("churn", "7", "READY")]


def test_a_version_that_could_not_be_loaded_is_tried_again(server: LiveServer) -> None:
    assert server.call("POST", LOAD.format("broken")).status == 503
    server.shelf.runtimes["broken-1"] = Rule()

    assert server.call("POST", LOAD.format("broken")).status == 200
    assert server.call("GET", "/v2/models/broken/ready").status == 200


def test_what_another_process_has_undeployed_a_moment_ago_is_loaded_again() -> None:
    shelf = Shelf()
    shelf.deploy("new", 3, Rule(), model="new")
    with live_server(shelf, bounds=replace(BOUNDS, poll_seconds=PATIENCE), control=Registry(shelf)) as server:
        shelf.undeploy("new")

        assert server.call("POST", LOAD.format("new"), "").status == 200
        assert server.call("GET", "/v2/models/new/versions/3/ready").status == 200


def test_what_there_is_not_cannot_be_loaded_or_unloaded(server: LiveServer) -> None:
    assert server.call("POST", LOAD.format("chum")).json == {"error": "there is no model `chum`"}
    assert server.call("POST", UNLOAD.format("chum")).status == 404
    assert server.call("POST", UNLOAD.format("churn"), '{"parameters": {"force": true}}').status == 501


@pytest.mark.parametrize("path", [LOAD.format("new"), UNLOAD.format("churn")])
@pytest.mark.parametrize("key", ["predict-key", "read-key"])
def test_only_who_may_change_things_loads_and_unloads(server: LiveServer, path: str, key: str) -> None:
    assert server.call("POST", path, "{}", key=key).status == 403
    assert server.call("POST", path, "{}", key=None).status == 401


def test_others_are_read_while_somebody_waits_for_what_has_been_changed() -> None:
    shelf, begun, followed = Shelf(), threading.Event(), threading.Event()
    shelf.deploy("churn", 1, Rule())

    class Slow(Registry):
        """Has to wait, for a model that is large or for other processes."""

        def undeploy(self, endpoint: str) -> None:
            begun.set()
            assert followed.wait(PATIENCE)
            super().undeploy(endpoint)

    with live_server(shelf, bounds=replace(BOUNDS, light_body_bytes=10), control=Slow(shelf), places=1) as server:
        asking = threading.Thread(target=lambda: server.call("POST", UNLOAD.format("churn")))
        asking.start()
        assert begun.wait(PATIENCE)
        try:
            assert server.call("POST", "/predict/churn", [{"age": 50}] * 100).status == 200
            assert server.call("GET", "/metrics").status == 200
            assert asking.is_alive()
        finally:
            followed.set()
            asking.join(PATIENCE)


def test_two_who_refresh_at_once_load_each_version_once(server: LiveServer) -> None:
    server.shelf.deploy("late", 1, Rule(), model="late")
    threads = [threading.Thread(target=server.gateway.router.retry, args=("late",)) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert len([event for event in server.events if event.facts.get("endpoint") == "late"]) == 1
