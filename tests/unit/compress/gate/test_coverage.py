"""`compress/gate`: limits hold as often as they say, on simulated rows of which the truth is known.

Seeds are fixed: each test gives the same counts every time.
"""

import numpy as np
import pytest
from scipy.special import ndtr

from aias.compress.gate import proportions, studentised
from aias.compress.gate.resampled import resampled_loss
from aias.compress.gate.studentised import auc_loss
from aias.compress.gate.verdict import SPENT, Claim, judge

RUNS = 2_000
LUCK = 0.017
"""Three and a half standard errors of a rate of 5 % over so many runs."""


def missed(value, parts, own, truth):
    """How often the truth lies beyond the upper and the lower limit, each of 95 %."""
    about = (value, *studentised.moments(parts, studentised.one_row(own)))
    return (studentised.limit(*about, 0.95) < truth).mean(), (studentised.limit(*about, 0.05) > truth).mean()


def centred(x):
    return x - x.mean(axis=-1, keepdims=True)


@pytest.mark.parametrize(
    ("rows", "differing", "loss"), [(100, 0.1, 0.05), (200, 0.05, 0.0), (500, 0.03, 0.01), (2_000, 0.02, 0.005)]
)
def test_the_score_interval_of_accuracy_covers(rows, differing, loss):
    chances = [(differing + loss) / 2, (differing - loss) / 2, 1 - differing]
    lost, won, _ = np.random.default_rng(0).multinomial(rows, chances, RUNS).T

    above = (proportions.limit(lost, won, rows, 0.95) < loss).mean()
    below = (proportions.limit(lost, won, rows, 0.05) > loss).mean()

    assert max(above, below) < 0.05 + LUCK


def log_losses(rng, shape, differing):
    """Of two models, the second of which answers a share of the rows anew."""
    y = rng.random(shape) < 0.3
    first = rng.normal(size=shape) * 1.5 + np.where(y, 1, -1)
    second = first + np.where(rng.random(shape) < differing, rng.normal(size=shape) * 1.5, 0)
    return [np.logaddexp(0, np.where(y, -z, z)) for z in (first, second)]


@pytest.mark.parametrize(("rows", "differing", "more"), [(300, 1.0, 0.0), (300, 0.1, 0.02), (1_000, 0.1, 0.01)])
def test_limits_of_a_mean_cover_even_where_few_rows_differ_and_much(rows, differing, more):
    rng = np.random.default_rng(1)
    before, after = log_losses(rng, 500_000, differing)
    truth = (after - before).mean()

    before, after = log_losses(rng, (RUNS, rows), differing)
    found = missed((after - before).mean(axis=1), centred(after - before) / rows, centred(before) / rows, truth)

    assert max(found) < 0.05 + LUCK + more


def squared_errors(rng, shape):
    error = rng.standard_t(6, size=shape)
    other = 0.98 * error + np.where(rng.random(shape) < 0.2, rng.normal(size=shape) * 0.8, 0) + 0.05
    return error**2, other**2


@pytest.mark.parametrize(("rows", "more"), [(300, 0.01), (1_000, 0.0)])
def test_limits_of_a_root_mean_square_cover_under_heavy_tails(rows, more):
    rng = np.random.default_rng(2)
    truth = np.subtract(*(np.sqrt(each.mean()) for each in squared_errors(rng, 1_000_000)[::-1]))

    before, after = squared_errors(rng, (RUNS, rows))
    roots = [np.sqrt(each.mean(axis=1, keepdims=True)) for each in (before, after)]
    before, after = before / (2 * roots[0]), after / (2 * roots[1])
    value = (roots[1] - roots[0])[:, 0]

    assert max(missed(value, centred(after - before) / rows, centred(before) / rows, truth)) < 0.05 + LUCK + more


@pytest.mark.parametrize("apart", [1.5, 3.0])
def test_limits_of_an_auc_cover(apart):
    rng, rows, runs = np.random.default_rng(3), 300, 1_000
    truth = ndtr(apart / np.sqrt(2)) - ndtr(apart / np.sqrt(2.5))
    above = below = 0
    for _ in range(runs):
        positive = rng.random(rows) < 0.3
        first = rng.normal(size=rows) + apart * positive
        found = auc_loss(positive, first, first + 0.5 * rng.normal(size=rows))
        above += found.limit(0.95) < truth
        below += found.limit(0.05) > truth

    assert max(above, below) / runs < 0.05 + 0.025


@pytest.mark.parametrize(("positives", "others", "apart", "shared"), [(15, 1_000, 1.8, 0.95), (30, 2_000, 3.6, 0.5)])
def test_few_rows_of_one_class_certify_no_more_often_than_the_risk(positives, others, apart, shared):
    rng, runs = np.random.default_rng(5), 500
    positive = np.arange(positives + others) < positives
    second_apart = apart - 0.15
    margin = ndtr(apart / np.sqrt(2)) - ndtr(second_apart / np.sqrt(2))
    passed = 0
    for _ in range(runs):
        common, one, other = rng.normal(size=(3, len(positive))) * np.sqrt([[shared], [1 - shared], [1 - shared]])
        found = auc_loss(positive, common + one + apart * positive, common + other + second_apart * positive)
        passed += 1 - found.confidence(margin) < SPENT

    assert passed / runs < 0.05 + 0.015


def test_the_bootstrap_covers():
    rng, rows, runs = np.random.default_rng(4), 200, 300
    above = below = 0
    for _ in range(runs):
        first, second = rng.normal(size=(2, rows))
        found = resampled_loss(
            lambda w, x=first: w @ x / w.sum(axis=1), lambda w, x=second: w @ x / w.sum(axis=1), rows, seed=0
        )
        above += found.limit(0.95) < 0
        below += found.limit(0.05) > 0

    assert max(above, below) / runs < 0.05 + 0.04


def passes(counts, margin, rows):
    """Whether each of the counts (..., 3) is certified when it is the only claim, by what `judge` asks of it."""
    return 1 - proportions.confidence(counts[..., 0], counts[..., 1], rows, margin) < SPENT


@pytest.mark.parametrize(
    ("rows", "differing", "margin"), [(3_000, 0.04, 0.01), (1_000, 0.1, 0.02), (10_000, 0.02, 0.005)]
)
def test_of_a_thousand_candidates_worse_by_the_margin_at_most_one_in_twenty_passes(rows, differing, margin):
    chances = [(differing + margin) / 2, (differing - margin) / 2, 1 - differing]
    counts = np.random.default_rng(5).multinomial(rows, chances, 1_000)

    assert 0 < passes(counts, margin, rows).sum() <= 50
    for lost, won, _ in counts[:10]:
        claim = Claim("", proportions.Proportions(int(lost), int(won), rows))
        (found,) = judge([claim], metric="accuracy", margin=margin, part_margin=1.0)
        assert found.certified == passes(np.array([lost, won]), margin, rows)


def test_a_thousand_worse_in_log_loss_by_the_margin_pass_as_seldom():
    rng, rows = np.random.default_rng(8), 1_000
    before, after = log_losses(rng, 500_000, 0.1)
    truth = (after - before).mean()

    before, after = log_losses(rng, (1_000, rows), 0.1)
    moments = studentised.moments(centred(after - before) / rows, studentised.one_row(centred(before) / rows))
    sure = studentised.confidence((after - before).mean(axis=1), *moments, truth)

    assert 0 < (1 - sure < SPENT).sum() <= 50


def worse_in_log_loss(rng, rows):
    truth = np.subtract(*(each.mean() for each in log_losses(rng, 500_000, 0.1)[::-1]))
    before, after = log_losses(rng, (1_000, rows), 0.1)
    return truth, map(studentised.mean_loss, before, after)


def worse_in_rmse(rng, rows):
    truth = np.subtract(*(np.sqrt(each.mean()) for each in squared_errors(rng, 1_000_000)[::-1]))
    before, after = squared_errors(rng, (1_000, rows))
    return truth, map(studentised.root_loss, before, after)


def worse_in_auc(rng, rows, apart=1.5):
    positive = rng.random((1_000, rows)) < 0.3
    first = rng.normal(size=positive.shape) + apart * positive
    second = first + 0.5 * rng.normal(size=positive.shape)
    return ndtr(apart / np.sqrt(2)) - ndtr(apart / np.sqrt(2.5)), map(auc_loss, positive, first, second)


@pytest.mark.parametrize(
    ("metric", "worse", "rows"),
    [("log_loss", worse_in_log_loss, 1_000), ("rmse", worse_in_rmse, 1_000), ("roc_auc", worse_in_auc, 300)],
)
def test_of_a_thousand_that_are_worse_by_the_margin_the_gate_itself_passes_one_in_twenty_at_most(metric, worse, rows):
    """By what a compression is judged by, guards and all."""
    margin, found = worse(np.random.default_rng(8), rows)

    claims = [Claim("", each) for each in found]
    assert all(isinstance(each.evidence, studentised.Guarded) for each in claims)
    passed = sum(judge([each], metric=metric, margin=margin, part_margin=1.0)[0].certified for each in claims)

    assert 0 < passed <= 50


def test_three_at_once_pass_no_more_often_than_one():
    rows, margin = 3_000, 0.01
    counts = np.random.default_rng(6).multinomial(rows, [0.025, 0.015, 0.96], (150, 3))

    passed = 0
    for three in counts:
        claims = [Claim("", proportions.Proportions(int(lost), int(won), rows)) for lost, won, _ in three]
        passed += any(each.certified for each in judge(claims, metric="accuracy", margin=margin, part_margin=1.0))

    assert passed / len(counts) < 0.05 + 0.03


def test_who_is_chosen_on_other_rows_passes_no_more_often_and_on_the_same_far_more():
    """The winner of fifty that are worse by the margin: why search and certification rows are kept apart."""
    rows, margin, runs = 3_000, 0.01, 500
    rng = np.random.default_rng(7)
    searched = rng.multinomial(rows, [0.025, 0.015, 0.96], (runs, 50))
    best = (searched[:, :, 0] - searched[:, :, 1]).argmin(axis=1)
    same = searched[np.arange(runs), best]
    fresh = rng.multinomial(rows, [0.025, 0.015, 0.96], runs)

    def passed(counts):
        return (proportions.confidence(counts[:, 0], counts[:, 1], rows, margin) > 0.95).mean()

    assert passed(fresh) < 0.05 + 0.03
    assert passed(same) > 0.5
