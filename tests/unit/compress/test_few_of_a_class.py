"""`compress/paired.py`: where a class has few rows, that all of them stayed right says little."""

import numpy as np
import pytest

from aias.compress.gate.verdict import SPENT
from aias.compress.paired import Answered, evidence
from aias.core.task import Task


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


@pytest.mark.parametrize(("few", "right"), [(5, 0.7), (8, 1.0), (20, 1.0)])
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
