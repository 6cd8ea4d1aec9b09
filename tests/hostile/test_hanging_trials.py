"""A canary whose run never ends, or ends its worker: the death is its own, and not the live version's."""

import pytest
from mortal_server import PATIENCE, Server, serving
from mortal_worker import DEADLY, ENDLESS, ON_TRIAL, SEEN

from aias.serving.survival.keeper import can_keep
from live_server import eventually

pytestmark = pytest.mark.skipif(not can_keep(), reason="this machine cannot keep connections")


def seen(server: Server) -> list[tuple[object, object]]:
    """What workers have reported of the canary."""
    return [(event.facts["asked"], event.facts["bad"]) for event in server.events if event.name == SEEN]


def test_a_canary_whose_run_does_not_end_is_counted_and_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ON_TRIAL, "1")
    with serving(workers=1, loop_seconds=1.0) as server:
        status, answer = server.call("good", ENDLESS)
        eventually(lambda: seen(server), PATIENCE)
        shown = server.send("GET", "/metrics")[1].decode().splitlines()

    assert (status, answer["error"]["code"]) == (504, "serving.too-late")
    assert seen(server) == [(1, 1)]
    asked = [each for each in shown if each.startswith("aias_requests_total") and 'endpoint="good"' in each]
    assert asked == ['aias_requests_total{endpoint="good",status="504",version="hung@1"} 1.0']


def test_a_canary_that_ends_its_worker_has_failed_though_it_is_not_in_memory_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(ON_TRIAL, "1")
    with serving(workers=1) as server:
        assert server.call("good", DEADLY)[0] == 200
        eventually(lambda: seen(server), PATIENCE)

    assert seen(server) == [(1, 1)]
