"""`runtimes/arrival.py`: a version that was proved elsewhere is timed again here before it is served."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

import aias
from aias.core.events import Event, nobody
from aias.core.host import host
from aias.runtimes import arrival
from aias.runtimes.arrival import arrive, known, moved
from aias.runtimes.golden import GOLDEN
from aias.runtimes.latency import Estimate
from aias.runtimes.onnxruntime import OnnxRuntime

ELSEWHERE = replace(host(), processor="Another processor")
TABLE = {"a": [float(i % 7) for i in range(80)], "colour": ["red", "blue", "green", "red"] * 20, "y": ["n", "y"] * 40}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> aias.Model:
    home, settings = tmp_path_factory.mktemp("home"), {"time": 120, "search": False, "inline": True}
    return aias.train(TABLE, target="y", name="m", learners=("linear",), home=home, **settings)


def proved(model: aias.Model, where: Any) -> OnnxRuntime:
    """The version as if it had been compressed on a host."""
    lineage = replace(model.manifest.lineage, settings={"proof": {"host": msgspec.to_builtins(where)}})
    manifest = replace(model.manifest, lineage=lineage)
    return OnnxRuntime(manifest, model.runtime.encoder, (model.folder / "model.onnx").read_bytes())


def golden(model: aias.Model) -> bytes:
    return (model.folder / GOLDEN).read_bytes()


def test_where_it_was_proved_nothing_is_asked(model: aias.Model, tmp_path: Path) -> None:
    told: list[Event] = []

    for runtime in (proved(model, host()), model.runtime):
        assert not moved(runtime.manifest)
        assert arrive(runtime, golden(model), above=lambda: None, cache=tmp_path, watch=told.append) is None
    assert told == []


@pytest.mark.parametrize("name", ["openvino", "aias", "numpy", "python", "cores"])
def test_what_does_not_compute_the_answers_allows_them_no_other_ones(
    model: aias.Model, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With another OpenVINO golden rows of a graph that reads tokens had a thousand times the bound."""
    monkeypatch.setattr(arrival, "SECONDS", 0.05)
    here = host()
    other = replace(here, libraries=here.libraries | {name: "0.1"}) if name != "cores" else replace(here, cores=999)
    runtime = proved(model, other)

    assert not moved(runtime.manifest)
    assert arrive(runtime, golden(model), above=lambda: ("m@1", model.runtime), cache=None, watch=nobody)


@pytest.mark.parametrize(
    "changed", [{"processor": "other"}, {"flags": ()}, {"libraries": host().libraries | {"onnxruntime": "0.1"}}]
)
def test_what_computes_the_answers_may_round_them_otherwise(model: aias.Model, changed: dict[str, Any]) -> None:
    assert moved(proved(model, replace(host(), **changed)).manifest)


def test_elsewhere_it_is_timed_beside_its_parent_once(
    model: aias.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrival, "SECONDS", 0.05)
    runtime, told, asked = proved(model, ELSEWHERE), list[Event](), list[bool]()
    assert moved(runtime.manifest)

    def above() -> tuple[str, OnnxRuntime]:
        asked.append(True)
        return "m@1", model.runtime

    first = arrive(runtime, golden(model), above=above, cache=tmp_path / "cache", watch=told.append)
    again = arrive(runtime, golden(model), above=above, cache=tmp_path / "cache", watch=told.append)

    assert first is not None
    assert first.rows == 8
    assert first.speed is not None
    assert first.speed.low <= first.speed.value <= first.speed.high
    assert first == again == known(runtime.manifest, tmp_path / "cache")
    assert (len(asked), [each.name for each in told]) == (1, ["runtime.arrived"])
    assert "Another processor" in str(first)
    assert "m@1" in str(first)


def test_without_its_parent_the_speed_is_told_to_be_another_hosts(model: aias.Model) -> None:
    for recorded in (golden(model), None):
        found = arrive(proved(model, ELSEWHERE), recorded, above=lambda: None, cache=None, watch=[].append)

        assert found is not None
        assert found.speed is None
        assert "its speed is what was measured there" in str(found)


def test_a_speed_that_is_gone_is_a_warning(model: aias.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow:
        speed = Estimate(0.8, 0.7, 0.9)

    monkeypatch.setattr(arrival, "paired_latency", lambda *_, **__: Slow)
    told: list[Event] = []

    arrive(proved(model, ELSEWHERE), golden(model), above=lambda: ("m@1", model.runtime), cache=None, watch=told.append)

    assert [each.level for each in told] == ["warning"]


def test_what_a_row_takes_on_average_is_not_measured_on_golden_rows(model: aias.Model) -> None:
    """Of a cascade that sends two rows of a hundred on, six of eight golden ones may go, and it seems to be slow."""
    runtime = proved(model, ELSEWHERE)
    runtime.session.two_ways = True

    found = arrive(runtime, golden(model), above=lambda: pytest.fail("it is timed"), cache=None, watch=[].append)

    assert found is not None
    assert (found.speed, found.rows) == (None, 8)
