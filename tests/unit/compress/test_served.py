"""`compress/served.py`: a speed is that of serving, with whichever engine answers there."""

from functools import partial
from typing import Any

import numpy as np
import pytest

import aias
from aias.client.model import Model
from aias.client.served import as_served as runtime_as_served
from aias.compress.served import as_served, engines
from aias.compress.techniques.contract import Candidate, Made
from aias.compress.trial import Trial
from aias.core.errors import UserError
from aias.core.events import Event
from aias.runtimes import engine_choice, latency
from aias.runtimes.engine_choice import CACHE, choose, chosen
from aias.runtimes.onnxruntime import OnnxRuntime, sealed_graph
from aias.serving.versions.loading import made_from
from rival_engine import Rival, install


def table() -> dict[str, list[float]]:
    """What takes trees."""
    a, b, noise = np.random.default_rng(0).uniform(-1, 1, (3, 600))
    return {"a": a.tolist(), "b": b.tolist(), "y": (2.0 * (a * b > 0) + noise).tolist()}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> aias.Model:
    home = tmp_path_factory.mktemp("home")
    return aias.train(
        table(), target="y", name="m", time=600, learners={"extra_trees": {"trees": 60}}, folds=4, search=False,
        inline=True, home=home,
    ).quality  # fmt: skip


@pytest.fixture
def rival(monkeypatch: pytest.MonkeyPatch) -> type[Rival]:
    return install(monkeypatch)


def tried(model: aias.Model, told: list[Event], precision: str = "") -> tuple[Trial, OnnxRuntime]:
    runtime, nothing = OnnxRuntime.load(model.folder, model.manifest), Candidate("c", lambda _: None)  # type: ignore[arg-type, return-value]
    files = {"model.onnx": sealed_graph(model.folder, model.manifest)}
    made: Any = Made(None, None, precision=precision)  # type: ignore[arg-type]
    trial = Trial(nothing, "int8")
    as_served(trial, runtime, files, made, watch=told.append)
    return trial, runtime


def test_a_candidate_is_answered_by_the_engine_that_is_faster_and_it_is_noted(model: aias.Model, rival: type[Rival]):
    told: list[Event] = []
    trial, runtime = tried(model, told)

    assert (trial.engine, runtime.session.engine) == ("rival", "rival")
    assert trial.engine_seconds > 0
    assert {(each.name, each.level) for each in told} == {("runtime.chosen", "debug")}


def test_an_engine_that_cannot_answer_for_a_candidate_is_no_warning(model: aias.Model, rival: type[Rival]):
    rival.fails_at_load, told = True, list[Event]()
    trial, runtime = tried(model, told)

    assert (trial.engine, runtime.session.engine) == ("", "onnxruntime")
    assert {each.level for each in told} == {"debug"}
    with pytest.raises(UserError, match="no engine computes it in bfloat16: rival cannot answer"):
        tried(model, told, "bfloat16")


def test_without_another_engine_nothing_is_chosen(model: aias.Model, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(engine_choice, "members", lambda _folder: ("onnxruntime",))
    told: list[Event] = []
    trial, runtime = tried(model, told)

    assert (trial.engine, runtime.session.engine, told) == ("", "onnxruntime", [])
    assert engines(runtime) == ("", {})


def test_what_was_timed_beside_another_engine_is_timed_anew(model: aias.Model, rival: type[Rival]):
    _, runtime = tried(model, [])

    assert engines(runtime) == ("rival", {"rival": "1"})


def test_parent_and_candidates_are_timed_as_they_are_served(model: aias.Model, rival: type[Rival]):
    home, own = model.registry.home, model.runtime.session
    told: list[Event] = []

    found = model.compress(
        max_loss="50%", time=600, techniques=["smaller_model"], data=table(), inline=True, watch=told.append
    )

    assert found.better
    points = {each.state: each for each in found.frontier.points}
    assert (points["parent"].engine, points["published"].engine) == ("rival", "rival")
    proof: Any = found.model.manifest.lineage.settings["proof"]
    assert proof["engines"] == {"parent": "rival", "own": "rival"}
    assert "was answered by the engine that would serve it here. With rival: m@1; " in found.frontier.markdown()
    assert [each.level for each in told if each.name == "runtime.chosen"].count("info") == 1
    # Only what is published is kept: of candidates nothing.
    assert len(list((home / CACHE).iterdir())) == 1
    assert chosen(model.manifest, home / CACHE) is not None
    assert model.runtime.session is own

    # What is loaded elsewhere is timed beside its parent as that is served there.
    above = made_from(model.registry, found.model.version, home=home)
    assert above is not None
    assert (above[0], above[1].session.engine) == (model.ref, "rival")


def test_what_was_measured_of_the_parent_when_it_was_served_holds(
    model: aias.Model, rival: type[Rival], monkeypatch: pytest.MonkeyPatch
):
    cache = model.registry.home / CACHE
    runtime = OnnxRuntime.load(model.folder, model.manifest)
    choose(runtime, partial(sealed_graph, model.folder, model.manifest), cache=cache, watch=lambda _: None)
    monkeypatch.setattr(engine_choice, "_speed", lambda *_: pytest.fail("it was measured again"))

    assert runtime_as_served(model, watch=[].append).session.engine == "rival"
    # Of one at hand that has an engine already nothing is said by comparing that with itself.
    assert runtime_as_served(Model(model.registry, model.version, runtime=runtime), watch=[].append) is not runtime


def test_versions_are_compared_as_they_are_served(
    model: aias.Model, rival: type[Rival], monkeypatch: pytest.MonkeyPatch
):
    timed: list[str] = []

    summaries = latency.latency_summaries

    def noting(runtimes: Any, *asked: Any, **how: Any) -> Any:
        timed.extend(each.session.engine for each in runtimes)
        return summaries(runtimes, *asked, **how)

    monkeypatch.setattr(latency, "latency_summaries", noting)
    aias.compare({"trained": model}, table(), seconds=0.1)

    assert timed == ["rival"]
