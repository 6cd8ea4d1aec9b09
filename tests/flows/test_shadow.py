"""A shadow over real versions: it is asked what the live version is asked, and can hold nobody up."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aias.core.names import Ref
from aias.registry.registry import Registry
from aias.registry.rollout.trial import Trial
from aias.serving.http.messages import Request
from aias.serving.rollout.shadow import BODY_BYTES_MAX, DEATHS_MAX, Shadow, shadows_of
from aias.serving.versions.loading import loader
from live_server import LiveServer, eventually, live_server, samples
from tiny_versions import MANIFEST, files

TIMES = {1: 2.0, 2: 2.0001, 3: 5.0}
"""What each version multiplies by."""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """`m@1` answers, `m@2` is nearly the same, and `m@3` does not answer what it did when it was published."""
    with Registry.open(tmp_path / "home") as registry:
        for number, times in TIMES.items():
            registry.publish("m", files(times, golden_of=times if number < 3 else 2.0), MANIFEST)
        registry.deploy("m", Ref("m", 1))
    return tmp_path / "home"


@contextmanager
def serving(home: Path) -> Iterator[tuple[LiveServer, Registry]]:
    with Registry.open(home) as registry:
        rollouts = registry.rollouts
        with live_server(
            registry, load=loader(registry, home, lambda _event: None), rollouts=rollouts,
            shadow=lambda trial, endpoint: Shadow(home, trial, endpoint, rollouts=rollouts),
        ) as server:  # fmt: skip
            trial = rollouts.start("m", Ref("m", 2), role="shadow", share=1.0)
            eventually(
                lambda: trial.id in server.gateway.router.stage._shadows and server.gateway.router.peek("m") is None
            )
            yield server, registry


def shadow_of(server: LiveServer) -> Shadow:
    (found,) = server.gateway.router.stage._shadows.values()
    assert isinstance(found, Shadow)
    return found


def trial_of(registry: Registry) -> Trial:
    (found,) = registry.endpoint("m").trials
    return found


def ask(server: LiveServer, body: object) -> str:
    answer = server.call("POST", "/predict/m", body)
    assert answer.status == 200, answer.body
    return answer.headers["x-aias-version"]


def test_a_shadow_sees_what_the_live_version_is_asked_and_answers_nobody(home: Path) -> None:
    with serving(home) as (server, registry):
        assert {ask(server, [{"n": float(at)}, {"n": 3.0}]) for at in range(20)} == {"m@1"}

        eventually(lambda: trial_of(registry).evidence.mirrored.requests == 20)
        seen = trial_of(registry).evidence.mirrored
        assert (seen.rows, seen.failed, seen.live_failed) == (40, 0, 0)
        assert seen.alike == 40
        assert seen.seconds > 0
        rows = "aias_shadow_rows_total", (("alike", "yes"), ("endpoint", "m"), ("version", "m@2"))
        eventually(lambda: samples(server).get(rows) == seen.alike)


def test_a_shadow_that_stands_still_holds_nobody_up_and_what_it_misses_is_counted(home: Path) -> None:
    with serving(home) as (server, registry):
        shadow = shadow_of(server)
        os.kill(shadow.pid, signal.SIGSTOP)
        try:
            large = [{"n": 1.0}] * 2_000
            for _ in range(30):
                assert ask(server, large) == "m@1"
            assert ask(server, " " * BODY_BYTES_MAX + '[{"n": 1.0}]') == "m@1"
            eventually(lambda: trial_of(registry).evidence.mirrored.dropped > 0)
            eventually(lambda: trial_of(registry).evidence.mirrored.too_large == 1)
        finally:
            os.kill(shadow.pid, signal.SIGCONT)


def test_a_shadow_goes_on_where_who_was_to_take_its_place_did_not_stay(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    with Registry.open(home) as registry:
        rollouts = registry.rollouts
        trial = rollouts.start("m", Ref("m", 2), role="shadow", share=1.0)
        first = Shadow(home, trial, registry.endpoint("m"), rollouts=rollouts, folder=folder)
        second = Shadow(home, trial, registry.endpoint("m"), rollouts=rollouts, folder=folder)
        try:
            line = shadows_of(home, rollouts, folder=folder, first=False)(trial, registry.endpoint("m"))
            first.take()
            assert folder.joinpath(f"shadow-{trial.id}").readlink() == second._here, "it lives, and keeps its place"
            # As when its worker is killed.
            second._listener.close()
            os.kill(second.pid, signal.SIGKILL)
            second._process.wait()

            first.take()
            line.offer(Request("POST", "/predict/m", "1", {b"host": b"x"}, {"endpoint": "m"}, b'[{"n": 1.0}]'))
            eventually(lambda: trial_of(registry).evidence.mirrored.requests == 1)
            assert line.take() is None
            third = Shadow(home, trial, registry.endpoint("m"), rollouts=rollouts, folder=folder)
            assert not second._here.exists()
            third.close()
        finally:
            first.close()


def test_a_shadow_that_keeps_dying_is_taken_away_and_nobody_else_notices(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aias.serving.rollout.shadow.PAUSE_SECONDS", 0.01)
    with serving(home) as (server, registry):
        killed = set()
        for _ in range(DEATHS_MAX + 1):
            eventually(lambda: shadow_of(server).pid not in killed)
            killed.add(shadow_of(server).pid)
            os.kill(shadow_of(server).pid, signal.SIGKILL)
            assert ask(server, [{"n": 1.0}]) == "m@1"

        eventually(lambda: registry.endpoint("m").trials == ())
        assert "its process ended 4 times" in registry.rollouts.history("m")[-1].why


def test_over_http_none_is_deployed_that_answers_otherwise_than_when_it_was_published(home: Path) -> None:
    with Registry.open(home) as registry:
        load = loader(registry, home, lambda _event: None)
        with live_server(registry, load=load, control=registry) as server:  # type: ignore[arg-type]
            refused = server.call("POST", "/endpoints/m", {"version": "m@3"}, key="admin-key")

        assert (refused.status, refused.json["error"]["code"]) == (503, "serving.not-ready")  # type: ignore[index,call-overload]
        assert registry.endpoint("m").ref == Ref("m", 1)


def test_over_http_a_version_is_loaded_once_to_be_tried_and_to_answer(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aias.runtimes import mapped

    loads, load_mapped = list[Path](), mapped.load

    def counted(folder: Path, *given: object, **named: object) -> object:
        loads.append(folder)
        return load_mapped(folder, *given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(mapped, "load", counted)
    with Registry.open(home) as registry:
        load = loader(registry, home, lambda _event: None)
        with live_server(registry, load=load, control=registry) as server:  # type: ignore[arg-type]
            loads.clear()

            assert server.call("POST", "/endpoints/m", {"version": "m@2"}, key="admin-key").status == 200
            assert ask(server, [{"n": 1.0}]) == "m@2"

        assert len(loads) == 1


def test_a_version_that_answers_otherwise_than_when_it_was_published_gets_no_caller(home: Path) -> None:
    with serving(home) as (server, registry):
        registry.rollouts.start("m", Ref("m", 3), share=1.0)
        eventually(lambda: registry.rollouts.history("m")[-1].outcome == "rolled back")
        assert "golden rows otherwise" in registry.rollouts.history("m")[-1].why

        registry.deploy("m", Ref("m", 3))
        eventually(lambda: "serve.load-failed" in [event.name for event in server.events])
        assert ask(server, [{"n": 1.0}]) == "m@1"
