from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import aias
from aias.client.explain import VALUES_MAX, explained, read_profile, usual_row
from aias.core.errors import BadValue
from aias.core.schema import Field
from aias.core.task import Task
from aias.runtimes.onnxruntime import OnnxRuntime


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> aias.Model:
    chance = np.random.default_rng(0)
    age, noise, plan = chance.normal(40, 10, 400), chance.normal(size=400), chance.choice(["basic", "pro"], 400)
    note = chance.choice(["lovely and warm", "cold and rude"], 400, p=[0.6, 0.4])
    left = np.where((age < 40) * 1.0 + (note == "cold and rude") + chance.normal(size=400) / 4 > 1, "yes", "no")
    columns = {"age": age, "noise": noise, "plan": plan, "note": note, "left": left}
    home: Path = tmp_path_factory.mktemp("home")
    return aias.train(columns, target="left", learners=["linear"], time=600, home=home, inline=True)


ROW = {"age": 20.0, "noise": 0.0, "plan": "basic", "note": "cold and rude"}


def test_the_parts_sum_to_the_answer_less_the_usual_one(model: aias.Model) -> None:
    found = model.explain(ROW)
    assert found.of == "yes"
    assert found.answer == pytest.approx(float(model.predict_proba([ROW])[0, 1]), abs=1e-6)
    assert sum(part for _, part in found.parts) == pytest.approx(found.answer - found.usual, abs=1e-9)
    assert all(part == float(f"{part:.12g}") for _, part in found.parts)


def test_it_is_shown_with_a_line_for_each_part(model: aias.Model) -> None:
    found = model.explain(ROW)
    lines = repr(found).splitlines()

    assert lines[0] == f"yes: {found.answer:.4f}; of a typical row {found.usual:.4f}"
    assert [line.split()[1] for line in lines[1:]] == [name for name, _ in found.parts]


def test_a_time_counts_from_the_median_of_times() -> None:
    at, gone = Field("at", "time"), Field("gone", "time")
    manifest: Any = SimpleNamespace(inputs=(at, gone))
    columns = {"at": {"kind": "time", "median": "2024-05-03 00:00:00"}, "gone": {"kind": "time"}}

    assert usual_row(manifest, {"columns": columns}) == {"at": "2024-05-03 00:00:00", "gone": None}


def test_what_decides_has_the_largest_parts(model: aias.Model) -> None:
    found = model.explain(ROW)
    assert {name for name, _ in found.parts[:2]} == {"age", "note"}


def test_the_class_that_is_answered_is_explained_where_labels_are_weighed(model: aias.Model) -> None:
    unsure = next(
        row for age in range(20, 60) if 0.1 < model.predict_proba([row := ROW | {"age": float(age)}])[0, 1] < 0.45
    )
    weighed = replace(model.manifest, label_weights=(0.05, 0.95))
    runtime = OnnxRuntime.load(model.folder, weighed)

    assert runtime.predict([unsure]).predictions == ["yes"]
    assert explained(runtime, read_profile((model.folder / "profile.json").read_bytes()), unsure).of == "yes"


def test_the_parts_of_the_other_class_are_the_opposite(model: aias.Model) -> None:
    yes, no = model.explain(ROW), model.explain(ROW, of="no")
    assert dict(yes.parts)["age"] == pytest.approx(-dict(no.parts)["age"], abs=1e-6)


def test_a_row_that_is_wrong_is_refused_as_everywhere(model: aias.Model) -> None:
    with pytest.raises(BadValue, match="no such field"):
        model.explain({"agee": 1})
    with pytest.raises(BadValue, match="no class `maybe`"):
        model.explain(ROW, of="maybe")


def test_a_row_of_many_fields_is_explained_in_fewer_orders() -> None:
    names = [f"x{place}" for place in range(1_500)]
    asked: list[int] = []

    def columns(values: dict[str, list[float]], rows: int) -> int:
        asked.append(rows * len(values))
        assert sum(asked) <= VALUES_MAX
        return rows

    task = Task("y", "regression", "rmse")
    runtime: Any = SimpleNamespace(
        manifest=SimpleNamespace(inputs=[Field(name, "number") for name in names], task=task),
        predict=lambda _: SimpleNamespace(predictions=[1.0]), encoder=SimpleNamespace(columns=columns), run=np.ones,
    )  # fmt: skip
    profile = {"columns": {name: {"kind": "number", "quantiles": [0.0]} for name in names}}

    found = explained(runtime, profile, dict.fromkeys(names, 1.0))

    assert sum(part for _, part in found.parts) == found.answer - found.usual
