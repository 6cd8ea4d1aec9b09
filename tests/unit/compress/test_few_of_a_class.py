"""`compress/comparison.py`: where a class has few rows, that all of them stayed right says little."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from aias.compress.comparison import Answered, evidence
from aias.compress.gate.power import Power
from aias.compress.gate.verdict import SPENT
from aias.compress.trial import Judged
from aias.core.task import Task
from aias.training.scoring.metrics import measure


@pytest.mark.parametrize("metric", ["balanced_accuracy", "f1", "f1_macro", "recall", "mcc"])
@pytest.mark.parametrize("few", [3, 20])
def test_one_row_of_a_class_of_few_is_in_doubt(metric, few):
    rng = np.random.default_rng(0)
    y = (np.arange(600) < few).astype(int)
    labels = np.where(rng.random(600) < 0.97, y, 1 - y)
    labels[:few] = [1] * (few - 1) + [0]
    other = labels.copy()
    other[0] = 0
    kind = ("multiclass", ("a", "b", "c")) if metric == "f1_macro" else ("binary", ("a", "b"))
    task = Task("y", kind[0], metric, kind[1])
    eye = np.eye(len(kind[1]))

    same = evidence(task, y, Answered(eye[labels]), Answered(eye[labels]), seed=0)
    one = evidence(task, y, Answered(eye[labels]), Answered(eye[other]), seed=0)

    assert same.value == 0
    assert same.limit(0.95) > one.value > 0


def test_a_class_of_which_none_was_right_is_in_doubt_as_well():
    y = (np.arange(300) < 15).astype(int)
    task, none = Task("y", "binary", "balanced_accuracy", ("a", "b")), Answered(np.eye(2)[np.zeros(300, int)])

    assert evidence(task, y, none, none, seed=0).limit(0.95) > 1 / 30


@pytest.mark.parametrize(("few", "right"), [(5, 0.7), (20, 1.0)])
def test_who_loses_much_of_a_class_of_few_passes_no_more_often_than_the_risk(few, right):
    """Of the rows of that class such a share that of all of them none would be lost once in seven times."""
    rng, rows, runs = np.random.default_rng(1), 150, 150
    lost = (1 - 0.15 ** (1 / few)) / right
    y, task = (np.arange(rows) < few).astype(int), Task("y", "binary", "balanced_accuracy", ("a", "b"))
    passed = 0
    for run in range(runs):
        labels = np.where(rng.random(rows) < np.where(y == 1, right, 0.95), y, 1 - y)
        other = np.where((y == 1) & (rng.random(rows) < lost), 0, labels)
        found = evidence(task, y, Answered(np.eye(2)[labels]), Answered(np.eye(2)[other]), seed=run)
        passed += 1 - found.confidence(right * lost / 2) < SPENT

    assert passed / runs < 0.05 + 0.04


def of_four(rng, rows, rare):
    """Labels of four classes, of which the last is `rare`, and probabilities of two models: one never says that."""
    y = np.where(rng.random(rows) < rare, 3, rng.integers(0, 3, rows))
    z = rng.normal(size=(rows, 4)) + 4 * np.eye(4)[y]
    other = np.where((y == 3)[:, None], rng.normal(size=(rows, 4)) + 4 * np.eye(4)[0] - 4 * np.eye(4)[3], z)
    return y, *(Answered(np.exp(each) / np.exp(each).sum(axis=1, keepdims=True)) for each in (z, other))


@pytest.mark.parametrize("metric", ["roc_auc_ovr", "balanced_accuracy", "f1_macro"])
def test_who_loses_a_whole_class_of_which_hardly_a_row_came_up_does_not_pass(metric, monkeypatch):
    """One row is to be expected: none comes up once in three times, and one alone as often."""
    monkeypatch.setattr("aias.compress.gate.resampled.RESAMPLES", 300)
    rng, task, runs = np.random.default_rng(7), Task("y", "multiclass", metric, ("a", "b", "c", "d")), 60
    known = [measure(task, y, one.scores).value - measure(task, y, other.scores).value
             for y, one, other in (of_four(rng, 20_000, 1 / 300) for _ in range(2))]  # fmt: skip
    assert min(known) > 0.15

    found = [evidence(task, *of_four(rng, 300, 1 / 300), seed=run, classes=np.arange(4)) for run in range(runs)]

    assert np.mean([1 - each.confidence(0.15) < SPENT for each in found]) < 0.05


def test_one_row_of_a_class_counts_as_the_metric_counts_it_and_says_little():
    rng, task = np.random.default_rng(8), Task("y", "multiclass", "roc_auc_ovr", ("a", "b", "c", "d"))
    y, *_ = of_four(rng, 300, 0.0)
    y[7] = 3
    z = rng.normal(size=(300, 4)) + 2 * np.eye(4)[y]
    other = z.copy()
    other[7] = (9, 0, 0, -9)
    two = [Answered(np.exp(each) / np.exp(each).sum(axis=1, keepdims=True)) for each in (z, other)]

    found, same = evidence(task, y, *two, seed=0), evidence(task, y, two[0], two[0], seed=0)

    assert found.value == pytest.approx(measure(task, y, two[0].scores).value - measure(task, y, two[1].scores).value)
    assert found.value > 0.1 and same.value == 0
    assert same.limit(0.95) > 0.1 and same.limit(0.05) < -0.1


def ranked(rng, rows, few, lost, *, first=2.0):
    """Probabilities of two models, the second of which takes a share of the few for rows of the other class."""
    y = (np.arange(rows) < few).astype(int)
    z = rng.normal(size=rows) + first * y
    other = np.where((y == 1) & (rng.random(rows) < lost), rng.normal(size=rows) - 4, z)
    return y, *(Answered(np.column_stack([1 - p, p])) for p in (1 / (1 + np.exp(-each)) for each in (z, other)))


@pytest.mark.parametrize(("few", "lost"), [(5, 0.3), (40, 0.05)])
def test_who_ranks_some_of_a_class_of_few_last_passes_no_more_often_than_the_risk(few, lost):
    """Of all of them none would be lost once in six or seven times."""
    rng, rows, runs, task = np.random.default_rng(2), 300, 100, Task("y", "binary", "pr_auc", ("a", "b"))
    y, *known = ranked(rng, 400 * rows, 400 * few, lost)
    values = [measure(task, y, each.scores).value for each in known]
    margin = values[0] - values[1]

    found = [evidence(task, *ranked(rng, rows, few, lost), seed=run) for run in range(runs)]

    assert np.mean([1 - each.confidence(margin) < SPENT for each in found]) < 0.05 + 0.04


def test_many_of_a_class_leave_little_doubt_of_their_ranks():
    rng, task = np.random.default_rng(3), Task("y", "binary", "pr_auc", ("a", "b"))
    limits = [evidence(task, *ranked(rng, rows, rows // 4, 0.0), seed=0).limit(0.95) for rows in (200, 2_000, 8_000)]
    assert limits[0] > 3 * limits[1] > 6 * limits[2] > 0


def test_chance_hides_no_loss_of_calibration():
    """Of who is sure where the other one is right: few rows make both look alike."""
    rng, rows, runs, task = np.random.default_rng(4), 200, 100, Task("y", "binary", "ece", ("a", "b"))

    def said(p):
        return Answered(np.column_stack([1 - p, p]))

    passed = 0
    for run in range(runs):
        p = rng.beta(2, 2, rows)
        y = (rng.random(rows) < p).astype(int)
        surer = 1 / (1 + np.exp(-1.5 * np.log(p / (1 - p))))
        found = evidence(task, y, said(p), said(surer), seed=run)
        margin = 0.06  # the mean of |surer - p| over these p
        passed += 1 - found.confidence(margin) < SPENT
    assert passed / runs < 0.05 + 0.04


def judged_by(y, scores, metric, classes):
    """Half of the rows are to search by."""
    task = Task("y", "binary" if len(classes) == 2 else "multiclass", metric, classes)
    rows = np.arange(len(y))
    table = SimpleNamespace(whole=SimpleNamespace(y=y), judged=rows, folds=rows % 4, judged_clusters=None)
    context: Any = SimpleNamespace(
        prepared=SimpleNamespace(table=table), task=task, parent_scores=lambda: scores,
        parent=SimpleNamespace(manifest=SimpleNamespace(calibration=None, label_weights=())),
    )  # fmt: skip
    return Judged(context, rows % 4 < 2, 0)


def test_no_more_than_all_is_said_to_be_lost_where_a_class_has_few_rows():
    """The least loss that 300 rows can tell from none, before any candidate is known: at most what there is to lose."""
    rng, rows = np.random.default_rng(5), 600
    y = np.where(np.arange(rows) < 8, 2, np.arange(rows) % 2)
    judged = judged_by(y, np.eye(3)[np.where(rng.random(rows) < 0.9, y, 0)], "f1_macro", ("a", "b", "c"))

    spread, doubt = judged.guessed(judged.searched, right=None)

    same = judged.loss(judged.searched, judged.parent.take(judged.searched), by_fold=False)
    assert same.limit(0.95) <= Power("f1_macro", 0.01, spread, 300, doubt=doubt).resolved < 0.5


@pytest.mark.parametrize(
    ("metric", "few", "margin"), [("roc_auc", 0.02, 0.005), ("roc_auc", 0.5, 0.003), ("recall", 0.02, 0.05)]
)
def test_so_many_rows_as_are_said_to_be_enough_are_and_not_far_more(metric, few, margin, monkeypatch):
    """Of who answers a twentieth of the rows anew, and loses nothing by it, some four in five are certified."""
    monkeypatch.setattr("aias.compress.gate.resampled.RESAMPLES", 300)
    rng, task = np.random.default_rng(6), Task("y", "binary", metric, ("a", "b"))

    def answered(y):
        return np.where(y == 1, 1.6, -1.6) + 1.5 * rng.normal(size=len(y)) + np.log(few / (1 - few)) / 3

    def said(z):
        return np.column_stack([1 / (1 + np.exp(z)), 1 / (1 + np.exp(-z))])

    y = (rng.random(4_000) < few).astype(int)
    judged = judged_by(y, said(answered(y)), metric, ("a", "b"))
    spread, doubt = judged.guessed(judged.searched, right=None)
    rows = Power(metric, margin, spread, 2_000, doubt=doubt).rows_needed
    assert rows < 60_000  # it said 4.4 million of the first, as if all rows weighed as much as one of the few

    passed = 0
    for run in range(60):
        y = (rng.random(rows) < few).astype(int)
        first = answered(y)
        other = np.where(rng.random(rows) < 0.05, answered(y), first)
        found = evidence(task, y, Answered(said(first)), Answered(said(other)), seed=run)
        passed += 1 - found.confidence(margin) < SPENT
    assert 0.65 < passed / 60 < 0.95


@pytest.mark.parametrize("metric", ["f1", "balanced_accuracy", "mcc", "recall", "pr_auc"])
def test_of_a_parent_that_is_never_wrong_it_is_told_what_rows_can_tell_too(metric):
    """No resample differs from another, and nothing was to be resolved."""
    y = np.arange(400) % 2
    judged = judged_by(y, np.eye(2)[y], metric, ("a", "b"))

    spread, doubt = judged.guessed(judged.searched, right=None)

    assert "200 rows can tell a loss of" in str(Power(metric, 0.005, spread, 200, doubt=doubt))
