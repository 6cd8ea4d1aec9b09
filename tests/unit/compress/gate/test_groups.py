"""`compress/gate` on rows in groups: what a group shares counts once, and who is worse passes no more often.

Each group has its own loss beside that of each of its rows. Seeds are fixed.
"""

import numpy as np
import pytest

from aias.compress.comparison import Answered, evidence
from aias.compress.gate import mean_loss
from aias.compress.gate.power import design_factor
from aias.compress.gate.verdict import SPENT
from aias.core.task import Task
from aias.training.scoring.metrics import judge

RUNS, GROUPS, EACH = 200, 60, 10
LUCK = 0.03
NUMBERS = np.repeat(np.arange(GROUPS), EACH)


def shared(rng, low, high):
    """What each row's group and itself are, and in which share of the rows the second model differs."""
    return rng.normal(size=GROUPS)[NUMBERS], np.where(rng.random(GROUPS) < low, high, 0.0)[NUMBERS]


def answers(rng, metric):
    """Of two models of which the second loses whole groups: the rows, the two, and what is truly lost."""
    group, lost = shared(rng, 0.3, 1.0)
    if metric in {"mae", "rmse"}:
        y = np.zeros(len(group))
        return y, group + 3, group + 3 + lost + rng.normal(size=len(y)) / 10
    y = (rng.random(len(group)) < 0.5).astype(int)
    right = np.where(y == 1, 1, -1) * 1.5 + group
    other = right + lost * rng.choice([-1, 1], GROUPS)[NUMBERS] * 1.5 + rng.normal(size=len(y)) / 10
    two = [np.stack([1 / (1 + np.exp(z)), 1 / (1 + np.exp(-z))], axis=1) for z in (right, other)]
    return y, *two


def passes(metric, *, known):
    rng = np.random.default_rng(0)
    task = Task("y", "regression", metric, ()) if metric in {"mae", "rmse"} else Task("y", "binary", metric, ("a", "b"))
    drawn = [answers(rng, metric) for _ in range(RUNS)]
    pairs = [(y, *(Answered(np.reshape(each, (len(y), -1))) for each in two)) for y, *two in drawn]
    found = [evidence(task, *each, seed=0, groups=NUMBERS if known else None) for each in pairs]
    truth = np.mean([each.value for each in found])
    return np.mean([1 - each.confidence(truth) < SPENT for each in found])


@pytest.mark.parametrize("metric", ["mae", "rmse", "log_loss", "accuracy", "roc_auc"])
def test_rows_that_lose_together_pass_no_more_often_than_the_risk_where_their_groups_are_known(metric):
    assert passes(metric, known=True) < 0.05 + LUCK < passes(metric, known=False)


def test_a_group_of_most_rows_does_not_hide_how_far_it_is_off():
    numbers, rng, passed = np.repeat(np.arange(21), [240, *[6] * 20]), np.random.default_rng(0), 0
    for _ in range(2 * RUNS):
        before = 5 + rng.normal(size=len(numbers))
        after = before + 1 + rng.normal(size=21)[numbers] + 0.3 * rng.normal(size=len(numbers))
        passed += 1 - mean_loss(before, after, numbers).confidence(1.0) < SPENT

    assert passed / (2 * RUNS) < 0.05 + LUCK


def test_nor_does_it_in_the_bootstrap():
    numbers, rng, found = np.repeat(np.arange(21), [240, *[6] * 20]), np.random.default_rng(0), []
    task = Task("y", "binary", "f1", ("a", "b"))
    for _ in range(RUNS):
        y = (rng.random(len(numbers)) < 0.5).astype(int)
        right = (2 * y - 1) * 1.5 + rng.normal(size=len(y))
        other = np.where((rng.random(21) < 0.3)[numbers], (2 * y - 1) * 0.3 + rng.normal(size=len(y)), right)
        pair = [Answered(np.stack([1 / (1 + np.exp(z)), 1 / (1 + np.exp(-z))], axis=1)) for z in (right, other)]
        found.append(evidence(task, y, *pair, seed=0, groups=numbers))
    truth = np.mean([each.value for each in found])

    assert np.mean([1 - each.confidence(truth) < SPENT for each in found]) < 0.05 + LUCK


@pytest.mark.parametrize("metric", ["balanced_accuracy", "f1", "mcc", "pr_auc"])
def test_who_loses_groups_of_which_none_came_up_does_not_pass_the_bootstrap_either(metric, monkeypatch):
    """One of thirty-three: of sixty groups none came up once in six times."""
    monkeypatch.setattr("aias.compress.gate.resampled.RESAMPLES", 300)
    rng, task, found = np.random.default_rng(6), Task("y", "binary", metric, ("a", "b")), []
    for run in range(RUNS):
        y = (rng.random(len(NUMBERS)) < 0.5).astype(int)
        right = (2 * y - 1) * 2 + rng.normal(size=len(y))
        other = np.where((rng.random(GROUPS) < 0.03)[NUMBERS], (1 - 2 * y) * 3, right)
        pair = [Answered(np.stack([1 / (1 + np.exp(z)), 1 / (1 + np.exp(-z))], axis=1)) for z in (right, other)]
        found.append(evidence(task, y, *pair, seed=run, groups=NUMBERS))
    truth = np.mean([each.value for each in found])

    assert np.mean([1 - each.confidence(truth) < SPENT for each in found]) < 0.05 + LUCK


def test_what_a_class_has_alone_in_each_group_is_in_doubt_by_the_row():
    """One row of ten in each group is of the second class, which alone is judged."""
    y = (np.arange(len(NUMBERS)) % EACH == 0).astype(int)
    task, same = Task("y", "binary", "recall", ("a", "b")), Answered(np.eye(2)[y])

    alone, together = (evidence(task, y, same, same, seed=0, groups=each).limit(0.95) for each in (None, NUMBERS))

    assert 2 / GROUPS < together == pytest.approx(alone, rel=0.1)


def test_nor_do_large_groups_there_that_were_not_off():
    numbers, rng, found = np.repeat(np.arange(43), [90, 60, 30, *[3] * 40]), np.random.default_rng(1), []
    task = Task("y", "binary", "f1", ("a", "b"))
    for _ in range(RUNS // 2):
        y = (rng.random(len(numbers)) < 0.5).astype(int)
        right = (2 * y - 1) * 1.5 + rng.normal(size=len(y))
        other = np.where((rng.random(43) < 0.3)[numbers], (1 - 2 * y) / 2 + rng.normal(size=len(y)), right)
        pair = [Answered(np.stack([1 / (1 + np.exp(z)), 1 / (1 + np.exp(-z))], axis=1)) for z in (right, other)]
        found.append(evidence(task, y, *pair, seed=0, groups=numbers))
    truth = 0.1877  # of four million rows, each a group of its own

    assert np.mean([1 - each.confidence(truth) < SPENT for each in found]) < 0.05 + LUCK


@pytest.mark.parametrize("metric", ["balanced_accuracy", "f1", "pr_auc"])
def test_what_groups_of_one_row_say_of_large_ones_does_not_widen_the_doubt_about_rows_not_seen(metric, monkeypatch):
    """A fold of sixteen patients and twelve rows of another: who is nearly equal was off by more than all there is."""
    monkeypatch.setattr("aias.compress.gate.resampled.RESAMPLES", 300)
    numbers, rng = np.repeat(np.arange(28), [*[12] * 16, *[1] * 12]), np.random.default_rng(0)
    task, widths = Task("y", "binary", metric, ("a", "b")), []
    for run in range(60):
        right = 3 * rng.normal(size=len(numbers)) - 3 + rng.normal(size=28)[numbers]
        y = (rng.random(len(numbers)) < 1 / (1 + np.exp(-right))).astype(int)
        two = (right, right + 0.1 * rng.normal(size=len(numbers)))
        pair = [Answered(np.stack([1 / (1 + np.exp(z)), 1 / (1 + np.exp(-z))], axis=1)) for z in two]
        found = evidence(task, y, *pair, seed=run, groups=numbers)
        widths.append(found.limit(0.95) - found.value)

    assert max(widths) < 2 * np.median(widths)


def test_the_bootstrap_draws_whole_groups():
    rng = np.random.default_rng(1)
    task = Task("y", "binary", "balanced_accuracy", ("a", "b"))
    y, before, after = answers(rng, "log_loss")
    told = [evidence(task, y, Answered(before), Answered(after), seed=0, groups=each) for each in (None, NUMBERS)]

    assert told[0].value == told[1].value
    assert told[1].limit(0.95) - told[1].limit(0.05) > 1.3 * (told[0].limit(0.95) - told[0].limit(0.05))


def test_groups_of_one_row_change_nothing():
    rng = np.random.default_rng(2)
    for metric in ("accuracy", "log_loss", "roc_auc", "f1"):
        y, before, after = answers(rng, "log_loss")
        task = Task("y", "binary", metric, ("a", "b"))
        told = [
            evidence(task, y, Answered(before), Answered(after), seed=0, groups=each).limit(0.95)
            for each in (None, rng.permutation(len(y)))
        ]
        assert told[0] == told[1]


def test_the_interval_of_a_score_is_of_groups_too():
    rng = np.random.default_rng(3)
    task = Task("y", "regression", "mae", ())
    y, before, _ = answers(rng, "mae")

    alone, together = (judge(task, y, before[:, None], seed=0, groups=each) for each in (None, NUMBERS))

    assert alone.value == together.value
    assert together.high - together.low > 2 * (alone.high - alone.low)


def test_where_unsure_rows_are_of_few_groups_more_rows_are_needed():
    groups, rng = np.repeat(np.arange(100), 10), np.random.default_rng(0)
    far = rng.random(1_000)

    alone = design_factor(far, groups)
    hanging = design_factor(np.repeat(rng.random(100), 10) + far / 1_000, groups)

    assert design_factor(far, None) == 1.0
    assert alone == pytest.approx(1, abs=0.25)
    assert hanging == pytest.approx(np.sqrt(10), rel=0.15)


@pytest.mark.parametrize(
    ("sizes", "chance", "off"),
    [([90, 60, 30, *[3] * 40], 0.3, None), ([200, 100, *[5] * 30], None, "exponential"), (None, 0.1, None)],
)
def test_large_groups_that_were_not_off_do_not_hide_how_far_they_can_be(sizes, chance, off):
    """The means of small ones tell it, since nobody says that large ones are less so; by Pareto's law without sizes."""
    rng, passed = np.random.default_rng(0), 0
    for _ in range(2 * RUNS):
        numbers = np.repeat(*each(sizes, rng))
        lost = rng.exponential(size=numbers[-1] + 1) if off else (rng.random(numbers[-1] + 1) < chance) * 1.0
        before = (rng.random(len(numbers)) < 0.1) * 1.0
        after = before + lost[numbers] if off else np.maximum(before, lost[numbers])
        passed += 1 - mean_loss(before, after, numbers).confidence(1.0 if off else 0.9 * chance) < SPENT

    assert passed / (2 * RUNS) < 0.05


def each(sizes, rng):
    found = np.clip(1 + rng.pareto(1.2, 120), 1, 200).astype(int) if sizes is None else np.array(sizes)
    return np.arange(len(found)), found


def test_of_equal_groups_limits_are_as_before():
    """As they were by their own sums alone."""
    rng = np.random.default_rng(5)
    before = rng.normal(size=len(NUMBERS)) + 3
    after = before + rng.normal(size=GROUPS)[NUMBERS] + rng.normal(size=len(NUMBERS))
    found = mean_loss(before, after, NUMBERS).seen

    own = (after - before).reshape(GROUPS, EACH).mean(axis=1)
    doubt = (before.reshape(GROUPS, EACH).mean(axis=1)).var() / GROUPS**2
    assert found.error == pytest.approx(np.sqrt(own.var(ddof=1) / GROUPS + doubt), rel=1e-9)
