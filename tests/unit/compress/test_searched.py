"""`compress/searched.py`: what a technique that goes on from the search is told of its models."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from aias.compress.searched import _student
from aias.training.scoring.calibration import Offsets


def test_a_small_model_leans_to_no_class_where_the_large_one_does_not() -> None:
    rng, costs, rows = np.random.default_rng(0), np.array([0.2, 1.8, 7.2]), 4_000
    true = rng.dirichlet([9.0, 1.0, 0.5], rows)
    y = (true.cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1)
    leaning = true * costs / (true * costs).sum(axis=1, keepdims=True)
    alone = SimpleNamespace(speed=SimpleNamespace(value=4.0))
    trial: Any = SimpleNamespace(
        name="a", at=None, size_bytes=1, alone=alone, candidate=SimpleNamespace(scores=leaning),
        scores=lambda _, rows: leaning[rows],
    )  # fmt: skip
    prepared = SimpleNamespace(answers_of="", table=SimpleNamespace(class_costs=costs))
    judged: Any = SimpleNamespace(
        y=y, folds=np.arange(rows) % 5, seed=0, searched=np.arange(rows), context=SimpleNamespace(prepared=prepared)
    )

    known = _student(judged, trial, 8.0)

    assert isinstance(known.calibration, Offsets)
    assert np.abs(known.scores.mean(axis=0) - np.bincount(y) / rows).max() < 0.01
