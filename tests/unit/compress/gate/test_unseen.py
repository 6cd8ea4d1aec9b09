"""`compress/gate/unseen.py`: a candidate that is far off on few rows passes no more often than one that is off on many.

Losses of rows are known shapes; `apart` is what one row differs by, in spreads of the first model's own losses. Seeds
are fixed.
"""

from functools import cache

import numpy as np
import pytest
from scipy.special import ndtri

from aias.compress.gate.studentised import auc_loss, explained_loss, mean_loss, root_loss
from aias.compress.gate.verdict import SPENT

RUNS = 400
LUCK = 0.03

SHAPES = {
    "equal": np.ones_like,
    "exponential": lambda u: -np.log(u),
    "lognormal": lambda u: np.exp(ndtri(u)),
    "normal": lambda u: 0.5 + ndtri(u),
    "long gain": lambda u: 1.5 + np.log(u),
    "lognormal 1.5": lambda u: np.exp(1.5 * ndtri(u)),
    "many small gains": lambda u: np.where(u < 0.1, -10 * np.log(10 * np.minimum(u, 0.1)), -0.5),
}


def drawn(rng, shape, rows, differing):
    return np.where(rng.random(rows) < differing / rows, SHAPES[shape](rng.uniform(1e-9, 1, rows)), 0.0)


@cache
def scale_of(shape):
    """The mean of a row that differs, and the root of the mean of its square."""
    u = (np.arange(1_000_000) + 0.5) / 1_000_000
    found = SHAPES[shape](u)
    return found.mean(), np.sqrt((found**2).mean())


def passed(shape, rows, differing, apart, *, runs=RUNS, margin=None, signs=False):
    mean, root = scale_of(shape)
    rng, count = np.random.default_rng(0), 0
    for _ in range(runs):
        before = rng.exponential(size=rows) * root / apart
        more = drawn(rng, shape, rows, differing)
        more = more * rng.choice([-1, 1], rows) if signs else more
        found = mean_loss(before, before + more)
        count += 1 - found.confidence(mean * differing / rows if margin is None else margin) < SPENT
    return count / runs


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("rows", "differing", "apart"), [(300, 2, 2), (300, 3, 4), (300, 6, 5), (200, 20, 5)])
def test_who_is_far_off_on_few_rows_passes_no_more_often_than_the_risk(shape, rows, differing, apart):
    assert passed(shape, rows, differing, apart) < 0.05 + LUCK


@pytest.mark.parametrize(("rows", "shape"), [(1_000, "normal"), (300, "normal"), (300, "exponential")])
def test_what_differs_on_many_rows_is_certified_as_by_what_was_seen_alone(rows, shape):
    rng, runs = np.random.default_rng(1), 200
    limits = []
    for _ in range(runs):
        before = rng.exponential(size=rows)
        more = drawn(rng, shape, rows, rows) * rng.choice([-1, 1], rows)
        found = mean_loss(before, before + more / 3)
        limits.append((found.seen.limit(1 - SPENT), found.limit(1 - SPENT)))
    seen, guarded = np.array(limits).T

    assert (guarded >= seen).all()
    assert np.quantile(guarded, 0.8) < 1.05 * np.quantile(seen, 0.8)


def test_what_is_left_of_sums_counts_for_no_row():
    """Seven rows gain and none loses: of rows that lose nothing is known, whatever the others' differences round to."""
    before = np.random.default_rng(6).exponential(size=1_000)
    gains = np.where(np.arange(1_000) < 7, 0.5, 0.0)
    one, other = (mean_loss(before, before - gains + noise) for noise in (0.0, 1e-9 * np.sin(np.arange(1_000))))

    assert one.more.counts[one.more.losses == 0] == 993
    assert one.more.limit(0.95) == pytest.approx(other.more.limit(0.95), rel=0.01)


def test_its_curve_rises_and_its_limits_are_its_own():
    rng = np.random.default_rng(2)
    before = rng.exponential(size=200)
    for more in (drawn(rng, "exponential", 200, 5), -drawn(rng, "exponential", 200, 5), rng.normal(size=200)):
        found = mean_loss(before, before + more)
        sure = [found.confidence(each) for each in np.linspace(found.limit(0.001), found.limit(0.999), 200)]
        assert (np.diff(sure) >= -1e-12).all()
        for wanted in (0.02, 0.3, 0.7, 0.96):
            assert found.confidence(found.limit(wanted)) == pytest.approx(wanted, abs=1e-6)


def test_a_gain_is_a_loss_seen_from_the_other_side():
    rng = np.random.default_rng(3)
    before = rng.exponential(size=200)
    more = drawn(rng, "exponential", 200, 5)
    forth, back = mean_loss(before, before + more), mean_loss(before, before - more)

    for wanted in (0.05, 0.4, 0.95):
        assert forth.limit(wanted) == pytest.approx(-back.limit(1 - wanted))


@pytest.mark.parametrize("unit", [1e-100, 1e-30, 1e30, 1e150])
@pytest.mark.parametrize("loss", [mean_loss, root_loss])
def test_limits_have_the_unit_of_the_losses(loss, unit):
    rng = np.random.default_rng(4)
    before = rng.exponential(size=300)
    after = before + drawn(rng, "exponential", 300, 9)
    scale = unit if loss is mean_loss else np.sqrt(unit)

    one, other = loss(before, after), loss(before * unit, after * unit)

    for wanted in (0.05, 0.5, 0.95):
        assert other.limit(wanted) == pytest.approx(one.limit(wanted) * scale, rel=1e-6)


def test_equal_answers_leave_a_loss_that_falls_with_the_rows():
    rng = np.random.default_rng(5)
    few, many = (mean_loss(each, each).limit(0.95) for each in (rng.exponential(size=400), rng.exponential(size=4_000)))

    assert 0 < many < few / 5


HARDLY_ANY = [(100, 100, 3.0, 0.005), (30, 30, 3.0, 0.02), (100, 900, 5.0, 0.001)]
"""Positives, others, how far they lie apart, and the share that is turned: about one row is, or none."""


@cache
def turned_round(positives, others, apart, turned):
    """The margin by which such a candidate is worse, and what is said of it by samples of so many rows."""
    positive = np.arange(positives + others) < positives

    def scores(rng, flags):
        z = apart * rng.normal(size=len(flags)) + apart**2 * (flags - 0.5)
        some = rng.random(len(flags)) < turned
        return z, np.where(some & (flags | (apart > 2)), -z - 6 * np.sign(z), z)

    rng = np.random.default_rng(7)
    many = np.arange(200_000) < 200_000 * positives // len(positive)
    margin = auc_loss(many, *scores(rng, many)).value
    return margin, [auc_loss(positive, *scores(rng, positive)) for _ in range(RUNS)]


@pytest.mark.parametrize(("positives", "others", "apart", "turned"), [*HARDLY_ANY, (6, 54, 1.5, 0.15)])
def test_who_turns_the_order_of_few_rows_passes_no_more_often_than_the_risk(positives, others, apart, turned):
    """Of the last only positives are turned, about one of the six."""
    margin, found = turned_round(positives, others, apart, turned)

    assert np.mean([1 - each.confidence(margin) < SPENT for each in found]) < 0.05 + LUCK


@pytest.mark.parametrize(("positives", "others", "apart", "turned"), HARDLY_ANY)
def test_by_what_was_seen_alone_it_would_pass_too_often(positives, others, apart, turned):
    margin, found = turned_round(positives, others, apart, turned)

    assert np.mean([1 - each.seen.confidence(margin) < SPENT for each in found]) > 0.1


def test_equal_answers_in_a_nearly_perfect_order_are_certified_by_some_hundred_rows():
    rng, positive = np.random.default_rng(3), np.arange(639) < 305
    order = 5 * rng.normal(size=639) + 25 * positive
    nearly = order + 0.1 * rng.normal(size=639)

    assert auc_loss(positive, order, order).limit(1 - SPENT) < 0.005
    assert auc_loss(positive, order, nearly).limit(1 - SPENT) < 0.005


def of_ten(rng, rows, turned):
    """Of ten classes the flags, and scores of two models: the second takes about so many rows for surely another's."""
    y, at = rng.integers(0, 10, rows), np.arange(rows)
    before = rng.normal(size=(rows, 10)) + 5 * np.eye(10)[y]
    some = rng.random(rows) < turned / 720
    after = np.where(some[:, None], before + 11 * np.eye(10)[(y + 1 + at % 9) % 10] - 14 * np.eye(10)[y], before)
    return y[:, None] == np.arange(10), before, after


def test_a_row_of_ten_classes_counts_in_one_column_as_its_own_and_in_nine_as_another():
    """Three of 720 rows are turned round, of which none comes up once in twenty times."""
    rng = np.random.default_rng(4)
    margin = np.mean([auc_loss(*of_ten(rng, 40_000, 3)).value for _ in range(3)])
    flags, before, _ = of_ten(rng, 720, 3)

    found = [auc_loss(*of_ten(rng, 720, 3)) for _ in range(RUNS)]

    assert np.mean([1 - each.confidence(margin) < SPENT for each in found]) < 0.05 + LUCK
    assert auc_loss(flags, before, before).limit(1 - SPENT) < 0.005


def explained(rng, rows, differing, apart):
    y, error = 3 * rng.normal(size=rows), rng.normal(size=rows)
    other = error + np.where(rng.random(rows) < differing, apart * rng.normal(size=rows), 0)
    return explained_loss(y, error**2, other**2)


@pytest.mark.parametrize(
    ("rows", "differing", "apart", "more"), [(60, 0.02, 3, 0.0), (60, 0.1, 1.5, 0.0), (300, 1.0, 0.5, 0.01)]
)
def test_who_explains_few_rows_worse_passes_no_more_often_than_the_risk(rows, differing, apart, more):
    rng = np.random.default_rng(10)
    margin = explained(rng, 1_000_000, differing, apart).value

    found = [explained(rng, rows, differing, apart) for _ in range(RUNS)]

    assert np.mean([1 - each.confidence(margin) < SPENT for each in found]) < 0.05 + LUCK + more
    assert np.mean([each.limit(0.05) > margin for each in found]) < 0.05 + LUCK + more


def test_an_order_that_differs_everywhere_is_certified_as_by_what_was_seen_alone():
    rng, positive, limits = np.random.default_rng(8), np.arange(1_000) < 300, []
    for _ in range(50):
        before = rng.normal(size=1_000) + 1.5 * positive
        found = auc_loss(positive, before, before + 0.3 * rng.normal(size=1_000))
        limits.append((found.seen.limit(1 - SPENT), found.limit(1 - SPENT)))
    seen, guarded = np.array(limits).T

    assert (guarded >= seen).all()
    assert guarded.mean() - seen.mean() < 0.05 * seen.mean()


@pytest.mark.parametrize("groups", [None, np.arange(200) // 4])
def test_a_gain_in_order_is_a_loss_seen_from_the_other_side(groups):
    rng, positive = np.random.default_rng(9), np.arange(200) % 7 == 0
    before, after = rng.normal(size=(2, 200)) * [[1], [0.2]] + positive
    after = np.where(np.arange(200) < 5, after, before)
    forth, back = auc_loss(positive, before, after, groups), auc_loss(positive, after, before, groups)

    for wanted in (0.05, 0.4, 0.95):
        assert forth.more.limit(0.9) == pytest.approx(back.other.limit(0.9))
        assert forth.confidence(forth.limit(wanted)) == pytest.approx(wanted, abs=1e-6)
