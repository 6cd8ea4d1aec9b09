"""`compress/searched.py`: what a technique that goes on from the search is told of its models."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from aias.compress.gate.proportions import Proportions
from aias.compress.nomination import Assurance
from aias.compress.searched import _best, _student
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


def test_who_answers_behind_another_is_whoever_is_likely_to_be_certified() -> None:
    """On the search rows it may seem to lose a third of the margin: the pair shows what that costs."""
    assurance = Assurance(margin=0.0047, rows=5_000)

    def trial(name: str, lost: int, won: int, gain: float, reason: str = "") -> Any:
        embedding = SimpleNamespace(sentences=SimpleNamespace(subwords="same"))
        made = SimpleNamespace(embedding=embedding, precision="", encoder=SimpleNamespace(encoders=()))
        found = Proportions(lost, won, 5_000)
        return SimpleNamespace(
            name=name, evidence=found, pooled=None, alone=1, gain=gain, reason=reason, at=lambda _: made
        )  # fmt: skip

    context = SimpleNamespace(
        encoder=SimpleNamespace(encoders=()),
        prepared=SimpleNamespace(embedding=SimpleNamespace(sentences=SimpleNamespace(subwords="same"))),
    )
    judged: Any = SimpleNamespace(context=context, parts=lambda _: [(0, None)], searched=None)
    able = [
        trial("half", 13, 5, 3.0), trial("lost", 90, 15, 9.0), trial("other", 1, 1, 2.0), trial("slow", 0, 0, 1.1),
        trial("fell", 0, 0, 8.0, "it cannot be served"),
    ]  # fmt: skip

    assert [each.name for each in _best(able, judged, assurance)] == ["half", "other"]
