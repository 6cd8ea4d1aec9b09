"""Real versions of a registry that come into memory when they are asked, as checked as at the start."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from aias.core.events import nobody
from aias.core.names import Ref
from aias.registry.registry import Registry
from aias.serving.versions.loading import loader, width_in
from live_server import BOUNDS, LiveServer, live_server
from tiny_versions import MANIFEST, files


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LiveServer]:
    """`broken` answers otherwise than it was published with; there is room for one of the three."""
    with Registry.open(tmp_path) as registry:
        for name, times, golden_of in (("broken", 5.0, 7.0), ("double", 2.0, 2.0), ("triple", 3.0, 3.0)):
            version = registry.publish(name, files(times, golden_of=golden_of), replace(MANIFEST, name=name))
            registry.deploy(name, Ref(name, version.number))
        load = loader(registry, tmp_path, nobody)
        with live_server(registry, load=load, bounds=replace(BOUNDS, memory_bytes=1)) as running:  # type: ignore[arg-type]
            yield running


def here(server: LiveServer) -> list[str]:
    return [name for name, _ in server.gateway.router.loaded()]


def test_each_is_loaded_when_it_is_asked_and_gives_its_own_answer(server: LiveServer) -> None:
    assert here(server) == ["triple"]
    for name, answer in (("double", 14.0), ("triple", 21.0), ("double", 14.0)):
        [found] = server.call("POST", f"/predict/{name}", [{"n": 7}]).json  # type: ignore[misc]
        assert found["prediction"] == answer
        assert here(server) == [name]


def test_a_version_that_does_not_answer_its_golden_rows_is_refused_when_it_is_asked(server: LiveServer) -> None:
    refused = server.call("POST", "/predict/broken", [{"n": 7}])

    assert (refused.status, refused.json["error"]["code"]) == (503, "serving.not-ready")  # type: ignore[index]
    assert "serve.load-failed" in [event.name for event in server.events]
    assert server.call("POST", "/predict/double", [{"n": 7}]).status == 200


def test_who_gives_vectors_is_known_without_loading_anything(tmp_path: Path) -> None:
    with Registry.open(tmp_path) as registry:
        registry.publish("m", files(2.0, golden_of=2.0), MANIFEST)

        assert width_in(registry, registry.deploy("m", Ref("m"))) == 0
