"""A version's report: its plots are pictures whatever the rows are, and importance is found where it is."""

from dataclasses import replace
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from aias.artifact.report import read_report
from aias.core.deadline import Deadline
from aias.core.events import Event
from aias.core.task import Measurement, Task
from aias.data.read import read
from aias.encoders.rows import RowEncoder
from aias.learners.contract import Examples, Fit
from aias.learners.linear import Linear
from aias.training.ensemble import Ensemble
from aias.training.history import History
from aias.training.scoring.curves import history_charts, score_charts
from aias.training.scoring.report import Judged, OutOfFold, _affordable, at_once, report
from aias.training.selection.configuration import Configuration, Unit

BINARY = Task("y", "binary", "roc_auc", ("</svg><script>", "&yes"))
MULTICLASS = Task("y", "multiclass", "log_loss", tuple(f"class {i}" for i in range(30)))
REGRESSION = Task("<price>", "regression", "rmse")


def judged(rows: int = 400) -> tuple[Judged, RowEncoder]:
    """The answer hangs on `a`, a little on `plan`, and not on `b`."""
    rng = np.random.default_rng(0)
    a, b, plan = rng.normal(size=rows), rng.normal(size=rows), rng.choice(["x<b>", "y"], rows)
    labels = rng.choice(["no", "yes"], rows).tolist()
    dataset = read({"a": a.tolist(), "b": b.tolist(), "plan": plan.tolist(), "y": labels}, target="y")
    fields = [field for field in dataset.schema.inputs if field.name != "y"]
    values = {field.name: dataset.values(field.name) for field in fields}
    encoder = RowEncoder.fit(fields, values)
    encoded = encoder.columns(values, rows)
    answer = at_once(lambda some: _scores(some.columns))
    y = (rng.random(rows) < _scores(encoded.columns)[:, 1]).astype(int)
    return Judged(dataset, encoded, y, _scores(encoded.columns), answer), encoder


def standing(seconds: float) -> Deadline:
    """So much is left, however long anything takes."""
    return Deadline.after(seconds, lambda: 0.0)


def _scores(columns):
    positive = 1 / (1 + np.exp(-3 * columns[:, 0] - 3 * (columns[:, 2] == columns[:, 2].max())))
    return np.stack([1 - positive, positive], axis=1)


def told(facts: dict[str, object], name: str = "train.round") -> Event:
    return Event(name, "", "debug", facts)


def history(seconds: float = 1.0) -> History:
    clock = iter(np.arange(0, 1000) * seconds)
    found = History(clock=lambda: float(next(clock)))
    for fold in range(3):
        for round_ in range(1, 60, 9):
            found(told({"configuration": "deep", "fold": fold, "round": round_, "score": 0.9 - 0.1 / round_}))
    for i in range(3):
        facts = {"configuration": f"m{i}", "validation": 0.9 + i / 100, "ensemble": 0.91 + i / 100}
        found(told(facts, "train.candidate"))
    return found


def made(rows: int = 400, left: float = 60.0) -> dict[str, bytes]:
    found, encoder = judged(rows)
    return report(
        BINARY, found, encoder, measured=[Measurement("roc_auc", 0.9, rows, 0.88, 0.92)], history=history(),
        best="deep", deadline=standing(left), seed=0,
    )  # fmt: skip


def test_parts_of_the_rows_are_several() -> None:
    rows, encoder = judged()
    plan = [f"p{i}" for i in range(400)]  # each of one row: all of them together are no part
    names = [name for name in rows.dataset.frame.columns if name != "plan"]
    alone = read(rows.dataset.frame.select(names).to_dict(as_series=False) | {"plan": plan}, target="y")
    alone = alone.with_schema(rows.dataset.schema)
    files = report(
        BINARY, replace(rows, dataset=alone), encoder, measured=(), history=history(), best="deep",
        deadline=standing(60.0), seed=0,
    )  # fmt: skip
    parts = {each.column for each in read_report(files["report.json"]).slices}
    assert parts and "plan" not in parts


def test_slices_of_a_report_reckon_by_the_groups_of_the_rows() -> None:
    found, encoder = judged()
    y, scores = np.repeat(found.y[:20], 20), np.eye(2)[np.repeat(found.y[20:40], 20)]

    def width(groups):
        files = report(
            Task("y", "binary", "accuracy", ("a", "b")), replace(found, y=y, scores=scores, groups=groups), encoder,
            measured=[], history=history(), best="deep", deadline=standing(60.0), seed=0,
        )  # fmt: skip
        first = read_report(files["report.json"]).slices[0].measurement
        return first.high - first.low

    assert width(np.repeat(np.arange(20), 20)) > 2 * width(None)


def test_a_report_draws_the_scores_the_training_and_what_the_answers_hang_on() -> None:
    files = made()

    names = ["roc", "precision_recall", "calibration", "confusion", "importance", "learning_curve", "ensemble"]
    assert set(files) == {f"plots/{name}.svg" for name in names} | {"report.json"}
    found = read_report(files["report.json"])
    assert [each.field for each in found.importance] == ["a", "plan", "b"]
    assert found.importance[0].low > found.importance[1].high > 0
    assert found.importance_rows == 400
    assert {(each.column, each.value) for each in found.slices} == {("plan", "x<b>"), ("plan", "y")}
    for path, drawn in files.items():
        if path.endswith(".svg"):
            ET.fromstring(drawn)
            assert b"<script" not in drawn and len(drawn) <= 30_000


def test_the_same_rows_give_the_same_bytes() -> None:
    assert made() == made()


def test_without_time_the_importance_is_left_out_and_said_so() -> None:
    found, encoder = judged()
    events: list[Event] = []
    files = report(
        BINARY, found, encoder, measured=[], history=History(), best="", deadline=standing(0.0), seed=0,
        watch=events.append,
    )  # fmt: skip

    assert "plots/importance.svg" not in files
    assert read_report(files["report.json"]).importance == ()
    assert [event.name for event in events] == ["train.unreported"]


def test_texts_are_mixed_up_too() -> None:
    rng = np.random.default_rng(0)
    notes = [" ".join(rng.choice(["free", "win", "home", "later", "cash", "you"], 8)) for _ in range(300)]
    y = np.array(["free" in note for note in notes]).astype(int)
    dataset = read({"note": notes, "n": rng.normal(size=300).tolist(), "y": [str(v) for v in y]}, target="y")
    fields = [field for field in dataset.schema.inputs if field.name != "y"]
    values = {field.name: dataset.values(field.name) for field in fields}
    encoder = RowEncoder.fit(fields, values)
    encoded = encoder.columns(values, 300)
    free = [encoder.encoders["note"].words.index("free")]

    def answer(some, _places):
        rows = np.unique(some.term_segments[np.isin(some.term_ids, free), 0])
        positive = np.isin(np.arange(some.rows), rows).astype(float)
        return np.stack([1 - positive, positive], axis=1)

    found = Judged(dataset, encoded, y, answer(encoded, None), answer)
    files = report(BINARY, found, encoder, measured=[], history=History(), best="", deadline=standing(60.0), seed=0)

    importance = read_report(files["report.json"]).importance
    assert importance[0].field == "note"
    assert importance[0].drop > 0.3
    assert importance[1].drop == 0


@pytest.mark.parametrize(("seconds", "of_fold"), [(60, 0.2), (1, 0.1)], ids=["all", "the heaviest in a hurry"])
def test_a_row_out_of_fold_is_answered_by_what_did_not_see_it(seconds: float, of_fold: float) -> None:
    found, _ = judged(60)
    folds = np.arange(60) % 3

    class Constant:
        def __init__(self, value: float) -> None:
            self.value = value

        def scores(self, encoded):
            return np.tile([1 - self.value, self.value], (encoded.rows, 1))

    def units(name: str) -> list[Unit]:
        return [Unit(Configuration(name, name), fold, 0) for fold in range(3)]

    members = [(0.75, units("heavy")), (0.25, units("light")), (0.0, units("unused"))]
    answer = OutOfFold(
        members, folds, lambda unit: Constant({"heavy": 0.1, "light": 0.5}[unit.configuration.name] * unit.fold),
        lambda parts: Ensemble(BINARY, 3, parts), standing(seconds),
    )  # fmt: skip
    places = np.array([5, 0, 1, 7])

    scores = answer(found.encoded.take(places), places)

    assert scores[:, 1] == pytest.approx(of_fold * np.array([2, 0, 1, 1]))


@pytest.mark.parametrize(
    ("task", "y", "scores"),
    [
        (BINARY, np.zeros(5, int), np.tile([0.5, 0.5], (5, 1))),
        (BINARY, np.array([1]), np.array([[0.0, 1.0]])),
        (BINARY, np.array([0, 1] * 50), np.tile([0.5, 0.5], (100, 1))),
        (MULTICLASS, np.arange(30), np.eye(30)),
        (MULTICLASS, np.zeros(3, int), np.full((3, 30), 1 / 30)),
        (REGRESSION, np.array([1.0]), np.array([[1.0]])),
        (REGRESSION, np.zeros(50), np.zeros((50, 1))),
        (REGRESSION, np.array([1e308, -1e308, 5e-324] * 20), np.array([[-1e308, 1e308, 0]] * 20).reshape(-1, 1)),
        (REGRESSION, np.random.default_rng(0).normal(size=5000), np.random.default_rng(1).standard_cauchy((5000, 1))),
    ],
)
def test_whatever_the_scores_are_the_plots_are_pictures(task, y, scores) -> None:
    charts = score_charts(task, y, scores, measured=[])

    assert charts
    for drawn in charts.values():
        ET.fromstring(drawn)
        assert b"nan" not in drawn and b"inf" not in drawn and len(drawn) <= 30_000


def test_of_several_classes_each_has_a_curve_against_the_rest() -> None:
    y = np.arange(90) % 3
    three = Task("y", "multiclass", "log_loss", ("a", "b", "c"))
    sure = score_charts(three, y, np.eye(3)[y], measured=[])
    assert {"roc", "precision_recall", "calibration", "confusion"} == set(sure)
    unsure = score_charts(three, y, np.full((90, 3), 1 / 3), measured=[])
    assert sure["roc"] != unsure["roc"] and b"each class against the rest" in sure["roc"]
    two = score_charts(MULTICLASS, np.array([4, 4, 4]), np.full((3, 30), 1 / 30), measured=[])
    assert "roc" not in two, "of one class there is no rest"


def test_a_learning_curve_goes_by_what_its_learner_counts() -> None:
    seen = History()
    for c in (1.0, 0.1, 0.01, 0.001):
        rows = Examples(csr_matrix(np.array([[0.0], [1.0], [2.0], [3.0]] * 8)), np.array([0, 0, 1, 1] * 8))
        Linear().fit(
            rows, rows,
            Fit(BINARY, 0, Deadline.after(600), 1, seen, {"first": c}, score=lambda y, scores: 0.5),
        )  # fmt: skip

    drawn = history_charts(BINARY, seen, best="linear")["learning_curve"]

    assert b"Strengths of regularisation tried" in drawn
    assert b"Rounds" not in drawn


def test_a_fit_too_short_to_be_told_of_has_a_curve_of_its_losses() -> None:
    seen = History()
    seen(told({"configuration": "short", "fold": 0, "round": 1, "score": 0.7}))
    facts = {"configuration": "short", "fold": 0, "rounds": [1, 2, 3, 4], "validation_losses": [0.7, 0.6, 0.5, 0.55]}
    seen(told({**facts, "counted": "Epochs"}, "train.curve"))

    drawn = history_charts(BINARY, seen, best="short")["learning_curve"]

    assert b"validation loss" in drawn and b"roc_auc" not in drawn


def test_training_that_told_nothing_has_no_curves() -> None:
    odd = History()
    odd(told({"configuration": "deep", "round": 3}))
    odd(told({"configuration": "deep", "validation": float("nan")}, "train.candidate"))

    assert history_charts(BINARY, odd, best="deep") == {}


def test_a_history_passes_every_event_on() -> None:
    heard: list[Event] = []
    watch = History(heard.append)

    watch(Event("data.read", "read"))
    watch(told({"configuration": "deep", "round": 3, "validation_loss": 0.5}))

    assert [event.name for event in heard] == ["data.read", "train.round"]
    assert [(each.value, each.metric) for each in watch.rounds] == [(0.5, "validation loss")]


def test_what_is_too_slow_to_be_asked_about_is_noticed_after_a_few_rows() -> None:
    now, asked = [0.0], []

    def answer(x):
        asked.append(len(x))
        now[0] += 0.05 * len(x)
        return x

    deadline = Deadline.after(4, lambda: now[0])
    assert _affordable(answer, np.zeros((500, 2)), fields=3, deadline=deadline) == (0, 0)
    assert asked == [30, 30]


def test_what_a_first_call_makes_ready_is_not_taken_for_what_rows_cost() -> None:
    now, ready = [0.0], set[int]()

    def answer(x):
        folds = set(x[:, 0].astype(int)) - ready  # of each the fits are loaded when it is first asked
        ready.update(folds)
        now[0] += 0.2 * len(folds) + 0.002 * len(x)
        return x

    rows = np.column_stack([np.arange(500) % 8, np.zeros(500)])
    most, repeats = _affordable(answer, rows, fields=3, deadline=Deadline.after(10, lambda: now[0]))
    assert most and repeats
    before = now[0]
    for _ in range(1 + 3 * repeats):
        answer(rows[:most])
    assert now[0] - before < 5
