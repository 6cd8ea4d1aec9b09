"""Another engine answers only where it is faster and answers the same; whatever it does, the model is served."""

from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import aias
from aias.core.events import Event
from aias.runtimes import engine_choice
from aias.runtimes.engine_choice import Choice, choose, chosen, example_rows
from aias.runtimes.onnxruntime import OnnxRuntime, Session, sealed_graph
from rival_engine import Rival, install

NOTES = [f"{word} film, seen {i} times, and again" for i in range(30) for word in ("a lovely", "an awful")]
TEXTS = {"note": NOTES, "n": [1.0, 2.0] * 30, "mood": ["good", "bad"] * 30}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> aias.Model:
    home = tmp_path_factory.mktemp("home")
    return aias.train(TEXTS, target="mood", name="m", time=600, learners=("linear",), home=home, inline=True)


@pytest.fixture
def rival(monkeypatch: pytest.MonkeyPatch) -> type[Rival]:
    return install(monkeypatch)


def run(model: aias.Model, cache: Path | None = None) -> tuple[OnnxRuntime, Choice, list[Event]]:
    runtime, told = OnnxRuntime.load(model.folder, model.manifest), list[Event]()
    graph = partial(sealed_graph, model.folder, model.manifest)
    return runtime, choose(runtime, graph, cache=cache, watch=told.append), told


def test_the_faster_engine_answers_and_it_is_told(model: aias.Model, rival: type[Rival]) -> None:
    runtime, found, told = run(model)
    assert (found.engine, found.speed, runtime.session.engine) == ("rival", 3.0, "rival")
    assert told[-1].name == "runtime.chosen"
    assert runtime.predict([{"note": "awful", "n": 2.0}]).predictions == ["bad"]
    assert len(runtime.predict([{"note": "lovely"}] * 3).predictions) == 3


def test_the_slower_one_does_not(model: aias.Model, rival: type[Rival], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_choice, "_speed", lambda *_: 1.05)
    runtime, found, _ = run(model)
    assert (found.engine, runtime.session.engine) == ("onnxruntime", "onnxruntime")
    assert "1.05" in found.reason


def test_a_small_graph_is_not_compared(model: aias.Model, rival: type[Rival], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_choice, "SMALL_SECONDS", 10.0)
    _, found, told = run(model)
    assert (found.engine, rival.made, told) == ("onnxruntime", [], [])


@pytest.mark.parametrize("fault", ["shift", "fails_at_load", "fails_when_asked"])
def test_an_engine_that_answers_otherwise_or_not_at_all_loses_with_an_event(
    model: aias.Model, rival: type[Rival], tmp_path: Path, fault: str
) -> None:
    setattr(rival, fault, 1e-3 if fault == "shift" else True)
    runtime, found, told = run(model, tmp_path)
    assert (found.engine, runtime.session.engine) == ("onnxruntime", "onnxruntime")
    assert [each.name for each in told] == ["runtime.lost", "runtime.chosen"]
    assert told[0].level == "warning"
    assert not list(tmp_path.iterdir()), "what was a fault may be gone next time"


def test_two_that_have_no_answer_for_a_row_have_the_same(model: aias.Model) -> None:
    """As imported networks have none where a value is missing, which it is in one of the rows compared."""
    runtime = OnnxRuntime.load(model.folder, model.manifest)
    rows = runtime.encoder.rows(example_rows(model.manifest))

    def without(count: int) -> Session:
        def run(*asked: Any) -> Any:
            found = np.array(runtime.session.engine_run(*asked)[0])
            found[8 - count if len(found) == 8 else len(found) :] = np.nan
            return [found]

        return runtime.session.behind(run, name="has no answer")

    differ = partial(engine_choice._difference, model.manifest)
    assert differ(without(1), without(1), rows) == 0.0
    assert differ(without(1), without(2), rows) == differ(without(0), without(1), rows) == np.inf
    assert differ(without(8), without(8), rows) == np.inf


def test_an_engine_that_fails_later_is_not_asked_again(model: aias.Model, rival: type[Rival]) -> None:
    runtime, _, told = run(model)
    before = runtime.predict([{"note": "awful"}]).predictions
    rival.fails_when_asked = True
    assert runtime.predict([{"note": "awful"}]).predictions == before
    assert runtime.predict([{"note": "awful"}]).predictions == before
    assert [each.name for each in told] == ["runtime.chosen", "runtime.lost"]


def test_what_was_measured_is_kept_until_anything_changes(
    model: aias.Model, rival: type[Rival], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = []
    monkeypatch.setattr(engine_choice, "_speed", lambda *_: measured.append(True) or 3.0)
    assert chosen(model.manifest, tmp_path) is None
    first, again = run(model, tmp_path)[1], run(model, tmp_path)[1]
    assert first == again == chosen(model.manifest, tmp_path)
    assert len(measured) == 1
    rival.number = "2"
    run(model, tmp_path)
    assert len(measured) == 2


def test_a_kept_loser_is_not_even_loaded(
    model: aias.Model, rival: type[Rival], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_choice, "_speed", lambda *_: 0.5)
    run(model, tmp_path)
    rival.made.clear()
    assert run(model, tmp_path)[1].engine == "onnxruntime"
    assert rival.made == []


def test_a_kept_winner_is_compared_again(model: aias.Model, rival: type[Rival], tmp_path: Path) -> None:
    run(model, tmp_path)
    rival.shift = 1e-3
    runtime, found, _ = run(model, tmp_path)
    assert (found.engine, runtime.session.engine) == ("onnxruntime", "onnxruntime")


def test_a_cache_that_is_damaged_or_cannot_be_written_is_none(
    model: aias.Model, rival: type[Rival], tmp_path: Path
) -> None:
    run(model, tmp_path)
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(b"{")
    assert run(model, tmp_path)[1].engine == "rival"
    assert run(model, kept / "no folder")[1].engine == "rival"


def test_without_another_engine_nothing_is_compared(model: aias.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_choice, "members", lambda _folder: ("onnxruntime",))
    _, found, told = run(model)
    assert (found.engine, told) == ("onnxruntime", [])


def test_rows_to_compare_by_are_as_many_as_a_batch_and_their_texts_end_elsewhere(model: aias.Model) -> None:
    rows = example_rows(model.manifest)
    assert len(rows) == 8
    assert len({str(row.get("note")) for row in rows}) == 8
    assert rows[-1] == {}


def test_the_measurement_itself_finds_the_faster_one(model: aias.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(engine_choice, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    runtime = OnnxRuntime.load(model.folder, model.manifest)
    ours, rows = runtime.session, runtime.encoder.rows(example_rows(model.manifest))

    def taking(seconds: float) -> Session:
        def run(*asked: Any) -> Any:
            now[0] += seconds
            return ours.engine_run(*asked)

        return ours.behind(run, name=f"takes {seconds} s")

    slow, quick = taking(0.01), taking(0.002)
    assert engine_choice._speed(slow, quick, rows) == pytest.approx(5)
    assert engine_choice._speed(quick, slow, rows) == pytest.approx(0.2)


def test_engines_are_timed_by_the_same_rows_and_by_others_in_each_pair_of_calls(model: aias.Model) -> None:
    runtime = OnnxRuntime.load(model.folder, model.manifest)
    ours, asked = runtime.session, (list[bytes](), list[bytes]())

    def noting(place: int) -> Any:
        def run(outputs: Any, feeds: Any, options: Any = None) -> Any:
            asked[place].append(b"".join(np.asarray(each).tobytes() for each in feeds.values()))
            return ours.engine_run(outputs, feeds, options)

        return ours.behind(run, name="noting")

    rows = [{"n": float(at), "note": f"a text {at}"} for at in range(8)]
    engine_choice._speed(noting(0), noting(1), runtime.encoder.rows(rows))

    assert asked[0] == asked[1]
    assert len(set(asked[0])) > len(engine_choice.SIZES)


def test_openvino_answers_as_onnx_runtime_does(model: aias.Model) -> None:
    pytest.importorskip("openvino", reason="the extra `openvino` is not installed")
    from aias.runtimes.openvino import OpenVino

    runtime = OnnxRuntime.load(model.folder, model.manifest)
    engine = OpenVino(sealed_graph(model.folder, model.manifest), output="probabilities")
    theirs = runtime.session.behind(engine.run, name="openvino")
    rows = runtime.encoder.rows(example_rows(model.manifest))
    for encoded in (rows, rows.take(np.arange(1))):
        np.testing.assert_allclose(theirs.run(encoded), runtime.run(encoded), atol=1e-5)
    assert OpenVino.version()


def test_an_engine_that_is_there_and_broken_is_told_of(
    model: aias.Model, rival: type[Rival], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_cls: type[Rival]) -> str:
        raise OSError("a library is missing")

    monkeypatch.setattr(rival, "version", classmethod(broken))
    _, found, told = run(model)
    assert found.engine == "onnxruntime"
    (lost,) = [event for event in told if event.name == "runtime.lost"]
    assert lost.level == "warning" and "a library is missing" in lost.message


@pytest.mark.parametrize(("note", "why"), [("two_ways", "two ways"), ("rounded", "are rounded")])
def test_where_a_last_digit_decides_no_other_engine_is_asked(model, rival, note, why):
    """Which way a row at the border goes, or which whole number one half-way becomes."""
    runtime = OnnxRuntime.load(model.folder, model.manifest)
    setattr(runtime.session, note, True)

    found = choose(runtime, lambda: pytest.fail("its graph was read"), cache=None, watch=lambda _: None)

    assert found.engine == "onnxruntime"
    assert why in found.reason
    assert rival.made == []
