"""A version in a process of its own: runs that hang, fail or grow there are nobody else's business."""

import errno
import http.client
import json
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import mortal_worker
import msgspec
import numpy as np
import pytest
from mortal_server import HEADERS, PATIENCE
from mortal_worker import BROKEN, ENDLESS, LONG

import artifacts
from aias.core.errors import AiasError
from aias.core.events import nobody
from aias.encoders.rows import Encoded
from aias.serving.batching.allowance import allowed
from aias.serving.refusals import Busy, TooLate, for_caller, status_of
from aias.serving.survival import isolated_runtime
from aias.serving.survival.isolated_versions import IsolatedVersions
from aias.serving.survival.keeper import can_keep
from live_server import BOUNDS, Joined, LiveServer, Rule, Shelf, eventually, live_server

pytestmark = pytest.mark.skipif(not can_keep(), reason="this machine cannot keep connections")


def test_a_process_of_its_own_that_grows_is_started_anew_between_two_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolated_runtime, "GROWTH_BYTES_MAX", 8 << 20)
    monkeypatch.setenv("PYTHONPATH", artifacts.importable()["PYTHONPATH"])
    died, renewed = list[int](), list[int]()
    runtime = isolated_runtime.IsolatedRuntime(
        (mortal_worker.__file__, "apart", "leaky"), artifacts.manifest(), answer_seconds=PATIENCE,
        died=lambda: died.append(1), renewed=lambda: renewed.append(1),
    )  # fmt: skip
    answers = [runtime.predict([{"age": 50}]).predictions for _ in range(2 * isolated_runtime.WARM_RUNS + 1)]
    runtime.kill()

    assert answers == [["yes"]] * len(answers)
    assert (len(renewed), died) == (1, [])


def test_no_call_packs_more_than_a_column_or_some_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """All other threads would wait for the interpreter meanwhile."""
    monkeypatch.setenv("PYTHONPATH", artifacts.importable()["PYTHONPATH"])
    packed, encode = list[int](), msgspec.msgpack.encode
    monkeypatch.setattr(msgspec.msgpack, "encode", lambda value: (packed.append(values_of(value)), encode(value))[1])
    runtime = isolated_runtime.IsolatedRuntime(
        (mortal_worker.__file__, "apart", "good"), artifacts.manifest(), answer_seconds=PATIENCE, died=lambda: None
    )
    ages = [20, 50] * 500
    columns = runtime.predict_columns({"age": np.array(ages), "plan": ["pro"] * len(ages)}, len(ages))
    most_of_columns, packed[:] = max(packed), []
    rows = runtime.predict([{"age": age} for age in ages])
    runtime.kill()

    assert columns.predictions == rows.predictions == ["no", "yes"] * 500
    assert most_of_columns == len(ages)
    assert max(packed) == isolated_runtime.PIECE_ROWS


def values_of(held: object) -> int:
    """How many plain values, however deep."""
    if isinstance(held, dict):
        held = list(held.values())
    return sum(map(values_of, held)) if isinstance(held, list | tuple) else 1


class Hung:
    """A runtime in a process of its own; runs at the age of `ENDLESS` do not end. `told`: what was said of them."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.runtime = isolated_runtime.IsolatedRuntime(
            (mortal_worker.__file__, "apart", "hung"), artifacts.manifest(), answer_seconds=PATIENCE,
            died=lambda: self.told.append("died"), late=lambda: self.told.append("late"),
        )  # fmt: skip

    def run(self, age: int, *, seconds: float, usual_seconds: float = 0.0) -> object:
        """Its answer to a caller who waits for so long."""
        with allowed(time.monotonic() + seconds, usual_seconds):
            return self.runtime.predict([{"age": age}]).predictions


@pytest.fixture
def hung(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hung]:
    monkeypatch.setenv("PYTHONPATH", artifacts.importable()["PYTHONPATH"])
    found = Hung()
    yield found
    found.runtime.kill()


def test_a_run_that_outlives_its_callers_deadline_is_ended_and_the_next_process_is_there(hung: Hung) -> None:
    assert hung.run(50, seconds=PATIENCE) == ["yes"]
    before = hung.runtime._process
    with pytest.raises(TooLate):
        hung.run(ENDLESS, seconds=2.0, usual_seconds=1.0)
    after = hung.runtime._process

    assert before is not None
    assert before.poll() == -signal.SIGKILL
    assert after is not None
    assert after.poll() is None
    assert hung.run(20, seconds=PATIENCE) == ["no"]


def test_an_answer_that_could_not_be_taken_is_not_that_to_the_next_question(
    hung: Hung, monkeypatch: pytest.MonkeyPatch
) -> None:
    def out_of_memory(*_: object, **__: object) -> bytes:
        raise MemoryError

    assert hung.run(50, seconds=PATIENCE) == ["yes"]
    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(isolated_runtime, "take_frame", out_of_memory)
        hung.run(50, seconds=PATIENCE)

    assert hung.run(20, seconds=PATIENCE) == ["no"]
    assert hung.told == []


def test_a_process_for_which_the_machine_has_no_room_is_no_fault_of_its_version(
    hung: Hung, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: object, **__: object) -> None:
        raise OSError(errno.EAGAIN, "no room")

    with monkeypatch.context() as patch:
        patch.setattr(isolated_runtime.subprocess, "Popen", no_room)
        with pytest.raises(Busy, match="cannot be started: no room"):
            hung.run(50, seconds=PATIENCE)
    assert hung.run(50, seconds=PATIENCE) == ["yes"]
    with monkeypatch.context() as patch:
        patch.setattr(isolated_runtime.subprocess, "Popen", no_room)
        with pytest.raises(TooLate):
            hung.run(ENDLESS, seconds=0.5, usual_seconds=PATIENCE / isolated_runtime.FAR)

    assert hung.run(50, seconds=PATIENCE) == ["yes"]
    assert hung.told == ["late"]


@pytest.mark.parametrize(("usual_seconds", "told"), [(0.001, ["died"]), (PATIENCE / isolated_runtime.FAR, ["late"])])
def test_only_a_run_that_takes_far_longer_than_its_like_counts_as_a_death(
    hung: Hung, usual_seconds: float, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolated_runtime, "FAR_SECONDS", 0.1)  # a run may begin long after its caller has come
    hung.run(50, seconds=PATIENCE)
    with pytest.raises(TooLate):
        hung.run(ENDLESS, seconds=1.5, usual_seconds=usual_seconds)

    assert hung.told == told


def test_who_sets_short_deadlines_has_no_version_quarantined(hung: Hung, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolated_runtime, "FAR_SECONDS", PATIENCE)  # a busy machine may make a second of any deadline
    hung.run(50, seconds=PATIENCE)
    with pytest.raises(TooLate):
        hung.run(ENDLESS, seconds=0.1)

    assert hung.told == ["late"]


def test_a_run_that_fails_apart_is_one_callers_fault_and_its_process_goes_on(hung: Hung) -> None:
    hung.run(50, seconds=PATIENCE)
    before = hung.runtime._process
    for _ in range(3):
        with pytest.raises(AiasError, match="the graph broke") as failed:
            hung.run(BROKEN, seconds=PATIENCE)
        assert status_of(failed.value) == 500
        assert for_caller(failed.value) is None

    assert hung.run(20, seconds=PATIENCE) == ["no"]
    assert hung.runtime._process is before
    assert hung.told == []


def test_what_is_killed_for_good_is_not_started_again(hung: Hung) -> None:
    hung.run(50, seconds=PATIENCE)
    hung.runtime.kill()
    with pytest.raises(Busy):
        hung.run(50, seconds=PATIENCE)

    assert hung.told == []


def test_runs_that_hang_apart_end_at_their_deadlines_and_hold_no_place_of_their_neighbours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONPATH", artifacts.importable()["PYTHONPATH"])
    shelf = Shelf()
    for name in ("hung", "beside"):
        shelf.deploy(name, 1, Rule(), model=name)
    # All in threads, of which there is one.
    bounds = replace(BOUNDS, inline_row_seconds=1e-9, objective_seconds=PATIENCE)
    with live_server(shelf, bounds=bounds, places=1) as running, ThreadPoolExecutor(8) as pool:
        isolated = IsolatedVersions(
            lambda _version: (mortal_worker.__file__, "apart", "hung"), bounds=bounds, watch=nobody
        )
        isolated.set(quarantined=frozenset(), apart=frozenset(("hung@1",)))
        running.gateway.application.isolated = isolated

        def call(name: str, age: int, seconds: float = PATIENCE) -> int:
            connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=PATIENCE)
            headers = HEADERS | {"X-Deadline-Ms": str(int(1000 * seconds))}
            connection.request("POST", f"/predict/{name}", json.dumps([{"age": age}]), headers)
            status = connection.getresponse().status
            connection.close()
            return status

        alone = [call("hung", 50), call("hung", ENDLESS, 5.0), call("hung", 50)]
        endless = [pool.submit(call, "hung", ENDLESS) for _ in range(4)]
        line = running.gateway.executor._apart["hung@1"].batcher
        eventually(lambda: line.running == 1 and line.waiting == 3, PATIENCE)
        beside = [call("beside", 50) for _ in range(3)]
        still = [line.running, line.waiting]
        isolated.close()
        ended = [each.result(PATIENCE) for each in endless]

    assert alone == [200, 504, 200]
    assert (beside, still) == ([200] * 3, [1, 3])
    assert ended == [503] * 4


class Reader(Joined):
    """Reads the row of a body by itself, as the runtimes of tables do."""

    def read(self, body: bytes) -> Encoded:
        return self.encode(json.loads(body))


def test_a_process_of_its_own_is_asked_rows_also_where_the_worker_could_read_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONPATH", artifacts.importable()["PYTHONPATH"])
    shelf = Shelf()
    shelf.deploy("churn", 1, Reader())
    with live_server(shelf) as running:
        isolated = IsolatedVersions(
            lambda _version: (mortal_worker.__file__, "apart", "good"), bounds=BOUNDS, watch=nobody
        )
        isolated.set(quarantined=frozenset(), apart=frozenset(("churn@1",)))
        running.gateway.application.isolated = isolated
        answers = [running.call("POST", "/predict/churn", [{"age": 50}] * rows) for rows in (1, 2)]
        isolated.close()

    assert [(each.status, len(each.json)) for each in answers] == [(200, 1), (200, 2)]


def test_a_server_that_ends_takes_the_processes_of_its_versions_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", artifacts.importable()["PYTHONPATH"])
    with live_server() as running:
        isolated = IsolatedVersions(
            lambda _version: (mortal_worker.__file__, "apart", "good"), bounds=BOUNDS, watch=nobody
        )
        isolated.set(quarantined=frozenset(), apart=frozenset(("churn@1",)))
        running.gateway.application.isolated = isolated
        connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=PATIENCE)
        connection.request("POST", "/predict/churn", json.dumps([{"age": 50}]), HEADERS)
        status = connection.getresponse().status
        connection.close()
        process = isolated._models["churn@1"].runtime._process

    assert status == 200
    assert process.wait(PATIENCE) == -signal.SIGKILL


@contextmanager
def serving_apart(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[LiveServer, IsolatedVersions]]:
    """A server whose `churn@1` runs in a process of its own."""
    monkeypatch.setenv("PYTHONPATH", artifacts.importable()["PYTHONPATH"])
    monkeypatch.setattr(isolated_runtime, "RETIRE_SECONDS", 1.0)
    bounds = replace(BOUNDS, objective_seconds=PATIENCE)
    with live_server(shelf, bounds=bounds) as running:
        isolated = IsolatedVersions(
            lambda _version: (mortal_worker.__file__, "apart", "hung"), bounds=bounds, watch=nobody
        )
        isolated.set(quarantined=frozenset(), apart=frozenset(("churn@1",)))
        running.gateway.application.isolated = isolated
        yield running, isolated
        isolated.close()


def call_patiently(running: LiveServer, age: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=PATIENCE)
    connection.request("POST", "/predict/churn", json.dumps([{"age": age}]), HEADERS)
    status = connection.getresponse().status
    connection.close()
    return status


def test_a_version_that_is_released_answers_those_that_wait_for_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf()
    shelf.deploy("churn", 1, Rule())
    with serving_apart(shelf, monkeypatch) as (running, isolated), ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(call_patiently, running, LONG) for _ in range(3)]
        line = running.gateway.executor
        eventually(lambda: "churn@1" in line._apart and line._apart["churn@1"].batcher.waiting == 2, PATIENCE)
        runtime = isolated._models["churn@1"].runtime
        eventually(lambda: runtime._process is not None, PATIENCE)
        process = runtime._process
        isolated.set(quarantined=frozenset(), apart=frozenset())
        assert [each.result(PATIENCE) for each in asked] == [200] * 3
        assert call_patiently(running, 50) == 200
        assert process.wait(PATIENCE) == -signal.SIGKILL


def test_who_waits_for_a_process_that_is_ended_for_good_may_try_again(monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf()
    shelf.deploy("churn", 1, Rule())
    with serving_apart(shelf, monkeypatch) as (running, isolated), ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(call_patiently, running, age) for age in (ENDLESS, ENDLESS)]
        line = running.gateway.executor
        eventually(lambda: "churn@1" in line._apart and line._apart["churn@1"].batcher.waiting == 1, PATIENCE)
        runtime = isolated._models["churn@1"].runtime
        eventually(lambda: runtime._process is not None and runtime._starts_until is None, PATIENCE)
        isolated.set(quarantined=frozenset(("churn@1",)), apart=frozenset())

        assert [each.result(PATIENCE) for each in asked] == [503, 503]


def test_the_process_of_a_version_goes_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf()
    shelf.deploy("churn", 1, Rule())
    with serving_apart(shelf, monkeypatch) as (running, isolated):
        assert call_patiently(running, 50) == 200
        process = isolated._models["churn@1"].runtime._process
        shelf.deploy("churn", 2, Rule())
        eventually(lambda: not isolated._models, PATIENCE)
        assert process.wait(PATIENCE) == -signal.SIGKILL
        assert call_patiently(running, 50) == 200
        # Back again, it has another.
        shelf.deploy("churn", 1, Rule())
        eventually(lambda: running.gateway.router.find("churn").version == "churn@1", PATIENCE)
        assert call_patiently(running, 50) == 200
        assert isolated._models["churn@1"].runtime._process.poll() is None
