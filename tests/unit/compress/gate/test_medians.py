"""`compress/gate/medians.py`: limits of a median hold as often as they say.

Seeds are fixed: each test gives the same counts every time.
"""

import numpy as np
import pytest

from aias.compress.comparison import Answered, evidence
from aias.compress.gate.evidence import Unknown
from aias.compress.gate.medians import median_loss
from aias.compress.gate.verdict import SPENT
from aias.core.task import Task

RUNS, LUCK = 400, 0.03


def errors(rng, rows, differing, tail):
    error = rng.normal(size=rows) if tail == "normal" else rng.standard_t(3, size=rows)
    return error, error + np.where(rng.random(rows) < differing, 3 * rng.normal(size=rows), 0.0)


@pytest.mark.parametrize("tail", ["normal", "student"])
@pytest.mark.parametrize(("rows", "differing"), [(60, 0.1), (300, 0.02), (300, 1.0)])
def test_who_is_worse_by_the_margin_passes_no_more_often_than_the_risk(rows, differing, tail):
    rng, task = np.random.default_rng(0), Task("y", "regression", "median_absolute_error")
    margin = np.subtract(*(np.median(np.abs(each)) for each in errors(rng, 1_000_000, differing, tail)[::-1]))

    found = [
        evidence(
            task, np.zeros(rows), *(Answered(each[:, None]) for each in errors(rng, rows, differing, tail)), seed=0
        )
        for _ in range(RUNS)
    ]

    assert np.mean([1 - each.confidence(margin) < SPENT for each in found]) < 0.05 + LUCK
    assert np.mean([each.confidence(margin) < 0.05 for each in found]) < 0.05 + LUCK


def test_its_curve_rises_and_equal_answers_leave_a_limit_that_falls_with_the_rows():
    rng = np.random.default_rng(1)
    for groups in (None, np.arange(400) // 4):
        found = median_loss(*np.abs(errors(rng, 400, 0.5, "normal")), groups)
        sure = [found.confidence(each) for each in np.linspace(-0.6, 3, 200)]
        assert sure[0] < 0.01 < 0.99 < sure[-1]
        assert (np.diff(sure) >= (-1e-12 if groups is None else -0.02)).all()  # a group's rows do not move as one
    few, many = (
        median_loss(each, each).limit(0.95) for each in (rng.exponential(size=100), rng.exponential(size=4_000))
    )
    assert 0 < many < few / 5


def test_what_groups_lose_counts_once():
    """Of rows of which ten are alike each."""
    before, after = np.repeat(np.abs(errors(np.random.default_rng(2), 60, 1.0, "normal")), 10, axis=1)
    alone, together = (median_loss(before, after, each) for each in (None, np.arange(600) // 10))

    assert together.limit(0.95) - together.value > 1.5 * (alone.limit(0.95) - alone.value)


def test_of_errors_that_are_no_numbers_nothing_is_known():
    assert isinstance(median_loss([1.0, np.nan], [1.0, 1.0]), Unknown)


def test_where_neither_was_ever_off_nothing_is_known():
    assert isinstance(median_loss(np.zeros(500), np.zeros(500)), Unknown)
