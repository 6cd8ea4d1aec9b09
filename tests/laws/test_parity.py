"""The graph answers as the pipeline, whatever comes: the law on which everything else stands."""

import datetime as dt
import importlib.util
import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aias.artifact.manifest import FORMAT, EncoderEntry, Lineage, Manifest, Parity
from aias.core.catalog import member, members
from aias.core.deadline import Deadline
from aias.core.events import nobody
from aias.core.schema import Field
from aias.core.task import Task
from aias.encoders.rows import RowEncoder
from aias.graph.compile import compile_graph
from aias.graph.edge_cases import edge_case_rows
from aias.graph.parity import ParityBroken, prove
from aias.runtimes.onnxruntime import OnnxRuntime
from aias.training.ensemble import Ensemble, bagged
from aias.training.ledger import Ledger
from aias.training.scoring.answering import Calibrated
from aias.training.scoring.calibration import Temperature
from aias.training.selection.configuration import ALL, Configuration, Unit
from aias.training.table import Part, Table
from aias.training.unit import UnitFitter

FIELDS = (
    Field("age", "number"), Field("job", "category"), Field("when", "time"), Field("fare", "number"),
    Field("note", "text"), Field("title", "text"),
)  # fmt: skip
ONLY = {"mixed": FIELDS, "numbers": FIELDS[::3][:2], "category": FIELDS[1:2], "text": FIELDS[4:5]}
TASKS = {
    "binary": Task("y", "binary", "roc_auc", ("no", "yes")),
    "multiclass": Task("y", "multiclass", "log_loss", ("a", "b", "c")),
    "regression": Task("y", "regression", "rmse"),
}
WORDS = ("free", "win", "entry", "home", "see", "you", "快", "递", "🦊", "Straße", "later", "money")


def sample(rows: int = 240) -> tuple[list[dict[str, object]], np.ndarray[Any, Any]]:
    rng = np.random.default_rng(7)
    made: list[dict[str, object]] = []
    signal = np.zeros(rows)
    for i in range(rows):
        words = rng.choice(WORDS, rng.integers(0, 9))
        age, job = float(rng.normal(40, 12)), str(rng.choice(["clerk", "nurse", "smith", f"rare{i % 40}"]))
        signal[i] = (age - 40) / 12 + 2 * ("free" in words) + (job == "nurse") + rng.normal() / 2
        made.append({
            "age": None if i % 9 == 0 else age, "job": None if i % 11 == 0 else job,
            "when": None if i % 13 == 0 else (dt.datetime(2024, 1, 1) + dt.timedelta(hours=7 * i)).isoformat(),
            "fare": float(rng.integers(0, 5)), "note": " ".join(words), "title": str(words[0]) if len(words) else None,
        })  # fmt: skip
    return made, signal


@dataclass(frozen=True)
class Built:
    pipeline: Any
    encoder: RowEncoder
    runtime: OnnxRuntime


LEARNERS = [
    name
    for name in members("learners")
    if all(importlib.util.find_spec(each) for each in member("learners", name).needs)
]
SMALL: dict[str, dict[str, Any]] = {
    "boosted_trees": {"learning_rate": 0.2}, "xgboost": {"learning_rate": 0.2}, "catboost": {"iterations": 40},
    "extra_trees": {"trees": 20},
}  # fmt: skip
DERIVED = ("text_sums", "target_means")


@cache
def fitter(task_type: str, columns: str) -> UnitFitter:
    rows, signal = sample()
    task, fields = TASKS[task_type], ONLY[columns]
    y: Any = {
        "binary": (signal > 0.8).astype(np.int64), "multiclass": np.digitize(signal, [0.2, 1.4]).astype(np.int64),
        "regression": signal * 1000,
    }[task_type]  # fmt: skip
    encoder = RowEncoder.fit(fields, {field.name: [row[field.name] for row in rows] for field in fields})
    part = Part(encoder.rows([{field.name: row[field.name] for field in fields} for row in rows]), y)
    folds = (np.arange(len(y)) % 4).astype(np.int16)
    return UnitFitter(Table(task, encoder, part, folds), Ledger(Path(tempfile.mkdtemp(dir=ROOM.name))))


ROOM = tempfile.TemporaryDirectory()


def fitted(made: UnitFitter, learner: str, fold: int) -> Any:
    derived = () if learner == "linear" else DERIVED
    unit = Unit(Configuration(learner, learner, SMALL.get(learner, {}), derived), fold, 0)
    made.fit(unit, deadline=Deadline.after(600), threads=1, watch=nobody)
    return made.pipeline(unit)


@cache
def build(learner: str, task_type: str, columns: str) -> Built:
    """A learner on three quarters of the rows, or `ensemble`: two folds of every learner, weighed and calibrated."""
    made, fields = fitter(task_type, columns), ONLY[columns]
    task, encoder = made.table.task, made.table.encoder
    if learner == "ensemble":
        shares = np.arange(1, len(LEARNERS) + 1) / sum(range(len(LEARNERS) + 1))
        parts = [
            part for name, share in zip(LEARNERS, shares, strict=True)
            for part in bagged([fitted(made, name, fold) for fold in (0, 1)], float(share))
        ]  # fmt: skip
        pipeline: Any = Ensemble(task, encoder.layout.width, parts)
        if task.classes:
            pipeline = Calibrated(pipeline, Temperature(1.3))
    else:
        pipeline = fitted(made, learner, 0)
    weights = (0.7, 0.3) if (learner, task_type) == ("ensemble", "binary") else ()
    graph = compile_graph(pipeline, encoder.layout, classes=task.classes, label_weights=weights)
    tables = encoder.tables()
    entries = tuple(
        EncoderEntry(field.name, field.kind, encoder.encoders[field.name].version, f"encoders/{field.name}.json")
        for field in fields
    )
    files = {entry.path: msgspec.json.encode(tables[entry.field]) for entry in entries} | {"model.onnx": graph}
    manifest = Manifest(
        FORMAT, "m", task, fields, (), entries, Lineage("train", "", {}, 0), (), Parity(0, 0, 0.0, 0.0), (), {},
        label_weights=weights,
    )  # fmt: skip
    return Built(pipeline, encoder, OnnxRuntime.from_files(files, manifest))


CASES = [
    (learner, task, columns)
    for learner in (*LEARNERS, "ensemble")
    for task in TASKS
    for columns in (ONLY if learner in {"linear", "boosted_trees", "ensemble"} else ["mixed"])
]


@pytest.mark.parametrize(("learner", "task", "columns"), CASES)
def test_a_graph_answers_edge_cases_as_its_pipeline(learner: str, task: str, columns: str) -> None:
    built = build(learner, task, columns)
    usual = [{name: row[name] for name in (field.name for field in ONLY[columns])} for row in sample(60)[0]]
    proof = prove(built.pipeline.scores, built.encoder, built.runtime, [*usual, *edge_case_rows(ONLY[columns], usual)])
    assert proof.label_differences == 0
    assert proof.score_difference_max <= 1e-6
    assert proof.batch_difference_max <= 1e-6


TEXT = st.text(max_size=40) | st.sampled_from(WORDS) | st.text(alphabet=st.sampled_from(" freeFREEσΣςẞßİıé\u0301"))
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "age": st.none() | st.floats() | st.integers(-(2**63), 2**63) | st.sampled_from(["", " 7 ", "1,200.5"]),
    "fare": st.none() | st.floats() | st.booleans(),
    "job": st.none() | st.text(max_size=20) | st.integers(-5, 5) | st.sampled_from(["clerk", "nurse", "rare1"]),
    "when": st.none() | st.dates() | st.datetimes() | st.sampled_from(["", "2024-02-29T12:34:56"]),
    "note": st.none() | TEXT,
    "title": st.none() | TEXT,
}


USUAL = sample(12)[0]


@st.composite
def rows(draw: Callable[..., Any]) -> dict[str, object]:
    names = draw(st.sets(st.sampled_from(sorted(VALUES))))
    return {name: draw(VALUES[name]) for name in names}


@pytest.mark.parametrize(("learner", "task"), [(a, b) for a, b, columns in CASES if columns == "mixed"])
@settings(max_examples=20)
@given(batch=st.lists(rows(), min_size=1, max_size=12))
@example(batch=[{"title": "STRA", "job": "0", "fare": -13.0, "note": None, "age": None}])
def test_any_rows_are_answered_alike_alone_and_in_any_batch(
    learner: str, task: str, batch: list[dict[str, object]]
) -> None:
    built = build(learner, task, "mixed")
    # An amount is right beside the largest of its batch: a sum of large terms may end near nought.
    proof = prove(built.pipeline.scores, built.encoder, built.runtime, [*batch, *USUAL])
    assert proof.label_differences == 0
    columns = {name: [row.get(name) for row in batch] for name in VALUES}
    again = built.runtime.predict_columns(columns, len(batch))
    assert again.predictions == built.runtime.predict(batch).predictions
    assert all(not isinstance(value, float) or math.isfinite(value) for value in again.predictions)


def test_a_graph_that_answers_otherwise_is_not_proved() -> None:
    built = build("linear", "binary", "mixed")
    with pytest.raises(ParityBroken, match="unlike the pipeline"):
        prove(lambda encoded: 1 - built.pipeline.scores(encoded), built.encoder, built.runtime, sample(30)[0])


def test_a_score_that_is_not_a_number_is_not_proved() -> None:
    built = build("linear", "regression", "mixed")
    with pytest.raises(ParityBroken):
        prove(lambda encoded: built.pipeline.scores(encoded) * np.nan, built.encoder, built.runtime, sample(30)[0])


@pytest.mark.parametrize("learner", ["linear", "boosted_trees"])
def test_trees_and_sums_are_the_same_to_the_last_bit_alone_and_in_a_batch(learner: str) -> None:
    built = build(learner, "binary", "mixed")
    rows = sample(100)[0]
    together = built.runtime.predict(rows).probabilities
    alone = [built.runtime.predict([row]).probabilities for row in rows]
    assert together is not None
    np.testing.assert_array_equal(np.vstack([one for one in alone if one is not None]), together)


def test_many_rows_go_through_the_graph_in_pieces() -> None:
    built = build("linear", "binary", "mixed")
    rows = sample(60)[0] * 150
    found = built.runtime.predict(rows).predictions
    assert found == built.runtime.predict(rows[:60]).predictions * 150


@pytest.mark.parametrize("learner", LEARNERS)
def test_settings_given_back_fit_without_rows_that_judge(learner: str) -> None:
    made = fitter("binary", "mixed")
    first = fitted(made, learner, 0)
    derived = () if learner == "linear" else DERIVED
    unit = Unit(Configuration(learner, learner, dict(first.settings), derived), ALL, 0)

    made.fit(unit, deadline=Deadline.after(600), threads=1, watch=nobody)

    again = made.pipeline(unit)
    assert dict(again.settings) == dict(first.settings)
    encoded = made.table.whole.encoded
    assert np.corrcoef(again.scores(encoded)[:, 1], first.scores(encoded)[:, 1])[0, 1] > 0.8


@pytest.mark.parametrize("learner", LEARNERS)
def test_a_unit_comes_back_from_the_ledger_as_it_was_fitted(learner: str) -> None:
    made = fitter("multiclass", "mixed")
    pipeline = fitted(made, learner, 1)
    fresh = UnitFitter(made.table, made.ledger)
    derived = () if learner == "linear" else DERIVED
    again = fresh.pipeline(Unit(Configuration(learner, learner, SMALL.get(learner, {}), derived), 1, 0))
    encoded = made.table.whole.encoded
    np.testing.assert_array_equal(again.scores(encoded), pipeline.scores(encoded))
