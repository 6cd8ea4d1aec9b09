"""`runtimes/arrival.py`, `golden.py`: a version proved elsewhere is compared and timed before it is served."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import aias
from aias.artifact.manifest import FileEntry, Manifest
from aias.core.errors import Damaged
from aias.core.events import Event
from aias.core.host import host
from aias.core.names import digest_of
from aias.runtimes import arrival
from aias.runtimes.arrival import OtherAnswers, arrive, known
from aias.runtimes.golden import GOLDEN, ROWS, apart, difference, read_golden, recorded
from aias.runtimes.onnxruntime import OnnxRuntime

ELSEWHERE = replace(host(), processor="Another processor")
TABLE = {
    "a": [float(i % 7) for i in range(80)], "colour": ["red", "blue", "green", "red"] * 20,
    "note": [f"seen {i} times and liked" for i in range(80)], "y": ["n", "y"] * 40,
}  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> aias.Model:
    home = tmp_path_factory.mktemp("home")
    return aias.train(TABLE, target="y", name="m", time=120, search=False, learners=("linear",), inline=True, home=home)


def rows() -> list[dict[str, Any]]:
    return [{name: values[i] for name, values in TABLE.items() if name != "y"} for i in range(60)]


def proved(model: aias.Model, folder: Path, where: Any, *, change: float = 0.0) -> OnnxRuntime:
    """The version as if it had been compressed on a host, its golden answers beside it."""
    golden = recorded(model.runtime, rows(), seed=0)
    if change:
        golden = replace(golden, scores=(np.array(golden.scores) + np.array([change, -change])).tolist())
    (folder / GOLDEN).write_bytes(golden.as_bytes())
    lineage = replace(model.manifest.lineage, settings={"proof": {"host": msgspec.to_builtins(where)}})
    sha = digest_of([golden.as_bytes()]).removeprefix("sha256:")
    manifest: Manifest = replace(model.manifest, lineage=lineage, files=(FileEntry(GOLDEN, sha, 1),))
    return OnnxRuntime(manifest, model.runtime.encoder, (model.folder / "model.onnx").read_bytes())


def test_no_golden_row_is_one_that_was_given_and_each_can_be_sent(model: aias.Model) -> None:
    golden = read_golden(recorded(model.runtime, rows(), seed=0).as_bytes())

    assert len(golden.rows) == ROWS
    assert golden.rows[-1] == {}
    assert not [row for row in golden.rows if row in rows()]
    assert {row["colour"] for row in golden.rows[:-1]} <= {"red", "blue", "green"}
    assert difference(model.runtime, golden) < 1e-6
    with pytest.raises(Damaged, match=r"golden\.json"):
        read_golden(b"{}")


def test_where_it_was_proved_nothing_is_asked(model: aias.Model, tmp_path: Path) -> None:
    told: list[Event] = []
    here = proved(model, tmp_path, host())

    assert arrive(here, tmp_path, parent=lambda: None, cache=tmp_path, watch=told.append) is None
    assert arrive(model.runtime, tmp_path, parent=lambda: None, cache=tmp_path, watch=told.append) is None
    assert told == []


def test_elsewhere_it_is_compared_and_timed_beside_its_parent_once(
    model: aias.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrival, "SECONDS", 0.05)
    runtime, told, asked = proved(model, tmp_path, ELSEWHERE), list[Event](), list[bool]()

    def parent() -> tuple[str, OnnxRuntime]:
        asked.append(True)
        return "m@1", model.runtime

    first = arrive(runtime, tmp_path, parent=parent, cache=tmp_path / "cache", watch=told.append)
    again = arrive(runtime, tmp_path, parent=parent, cache=tmp_path / "cache", watch=told.append)

    assert first is not None
    assert first.difference is not None and first.difference < 1e-6
    assert first.speed is not None and first.speed.low <= first.speed.value <= first.speed.high
    assert first == again == known(runtime.manifest, tmp_path / "cache")
    assert (len(asked), [each.name for each in told]) == (1, ["runtime.arrived"])
    assert "Another processor" in str(first) and "m@1" in str(first)


def test_without_its_parent_the_speed_is_told_to_be_another_hosts(model: aias.Model, tmp_path: Path) -> None:
    runtime = proved(model, tmp_path, ELSEWHERE)

    found = arrive(runtime, tmp_path, parent=lambda: None, cache=None, watch=[].append)

    assert found is not None and found.speed is None
    assert "its speed is what was measured there" in str(found)


def test_other_answers_are_not_served_and_not_remembered(model: aias.Model, tmp_path: Path) -> None:
    runtime = proved(model, tmp_path, ELSEWHERE, change=0.01)

    for _ in range(2):
        with pytest.raises(OtherAnswers, match=r"scores that differ by 0\.01.*Another processor") as fault:
            arrive(runtime, tmp_path, parent=lambda: None, cache=tmp_path / "cache", watch=[].append)
    assert "deploy the version that it was made from" in fault.value.hint
    assert not (tmp_path / "cache").exists()


def test_golden_answers_that_were_tampered_with_are_damage(model: aias.Model, tmp_path: Path) -> None:
    runtime = proved(model, tmp_path, ELSEWHERE)
    (tmp_path / GOLDEN).write_bytes((tmp_path / GOLDEN).read_bytes().replace(b"0.", b"1.", 1))

    with pytest.raises(Damaged, match="not what was sealed"):
        arrive(runtime, tmp_path, parent=lambda: None, cache=None, watch=[].append)


def test_a_label_may_only_be_another_where_it_was_a_toss_up(model: aias.Model) -> None:
    one = [[0.5004, 0.4996]]

    assert apart(model.manifest, one, [[0.4998, 0.5002]]) == pytest.approx(6e-4)
    assert apart(model.manifest, [[0.9, 0.1]], [[0.1, 0.9]]) == pytest.approx(0.8)
    assert apart(model.manifest, one, [[0.5]]) == float("inf")
    assert apart(model.manifest, one, [[float("nan"), 0.5]]) == float("inf")
