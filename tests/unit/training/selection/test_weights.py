import numpy as np
import pytest

from aias.core.task import Task
from aias.training.scoring.metrics import measure
from aias.training.selection.weights import WEIGHT_MIN, cross_fitted, greedy, mix, worth

AMOUNT = Task("y", "regression", "rmse")


def task_of(metric: str, classes: int = 2) -> Task:
    return Task("y", "binary" if classes == 2 else "multiclass", metric, tuple("abcdefgh"[:classes]))


def classified(*, members: int = 6, rows: int = 1_500, classes: int = 2, seed: int = 0) -> tuple:
    """Members of equal strength and independent errors, the last of which knows nothing."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, rows)
    raw = rng.normal(size=(members, rows, classes))
    raw[:-1, np.arange(rows), y] += 1
    scores = np.exp(raw)
    return y, scores / scores.sum(axis=2, keepdims=True)


def guessed(*, noises: tuple[float, ...], rows: int = 1_000, seed: int = 0) -> tuple:
    rng = np.random.default_rng(seed)
    y = rng.normal(size=rows)
    return y, np.stack([y + noise * rng.normal(size=rows) for noise in noises])[:, :, None]


@pytest.mark.parametrize(
    ("metric", "classes"),
    [("roc_auc", 2), ("log_loss", 2), ("accuracy", 2), ("f1_macro", 3), ("log_loss", 3)],
)
def test_the_mean_of_chosen_members_beats_each_of_them(metric, classes) -> None:
    y, members = classified(classes=classes)
    task = task_of(metric, classes)

    weights = greedy(y, members, task=task, seed=0)

    assert weights.sum() == pytest.approx(1)
    assert ((weights == 0) | (weights >= WEIGHT_MIN)).all()
    sign = 1 if task.direction == "higher" else -1
    alone = [sign * measure(task, y, each).value for each in members]
    assert sign * measure(task, y, mix(members, weights)).value > max(alone)


@pytest.mark.parametrize("metric", ["rmse", "mae", "r2"])
def test_amounts_are_averaged_by_how_good_each_member_is(metric) -> None:
    y, members = guessed(noises=(1.0, 1.0, 20.0))
    weights = greedy(y, members, task=Task("y", "regression", metric), seed=0)
    assert weights[:2] == pytest.approx([0.5, 0.5], abs=0.1)
    assert weights[2] == 0


def test_of_equal_members_one_is_enough() -> None:
    y, members = guessed(noises=(1.0,))
    weights = greedy(y, np.repeat(members, 4, axis=0), task=AMOUNT, seed=0)
    assert (weights > 0).sum() == 1


def test_many_members_of_equal_worth_are_thinned_and_not_all_dropped() -> None:
    y, members = guessed(noises=(1.0,) * 40)
    weights = greedy(y, members, task=AMOUNT, seed=0)
    assert weights[weights > 0].min() >= WEIGHT_MIN
    assert (weights > 0).sum() >= 10


def test_ranks_are_exact_with_ties() -> None:
    y, members = classified(members=8)
    coarse = np.round(members, 1)
    task = task_of("roc_auc")
    weights = greedy(y, coarse, task=task, seed=0, steps=1, samples=0)
    best = max(measure(task, y, each).value for each in coarse)
    assert measure(task, y, mix(coarse, weights)).value == pytest.approx(best)


@pytest.mark.parametrize("metric", ["roc_auc", "roc_auc_ovr"])
def test_a_timid_member_that_ranks_best_is_not_drowned_by_a_bolder_one(metric) -> None:
    """As trees that time cut after some rounds: all of their probabilities are nearly those of the labels."""
    classes, rng = 2 if metric == "roc_auc" else 3, np.random.default_rng(0)
    y, task = rng.integers(0, classes, 1_500), task_of(metric, classes)
    raw = rng.normal(size=(2, 1_500, classes))
    raw[0, np.arange(1_500), y] += 1.3
    raw[1, np.arange(1_500), y] += 1.0
    scores = np.exp(raw * np.array([0.02, 1.0])[:, None, None])
    members = scores / scores.sum(axis=2, keepdims=True)

    weights = greedy(y, members, task=task, seed=0)

    alone = [measure(task, y, each).value for each in members]
    assert alone[0] > alone[1] + 0.02
    assert measure(task, y, mix(members, weights)).value >= alone[0]


def test_a_member_with_a_hole_is_never_chosen() -> None:
    y, members = classified()
    members[0, 5] = np.nan
    for metric in ("roc_auc", "log_loss", "accuracy"):
        weights = greedy(y, members, task=task_of(metric), seed=0)
        assert weights[0] == 0
        assert np.isfinite(mix(members, weights)).all()


@pytest.mark.parametrize("metric", ["log_loss", "f1_macro", "brier", "roc_auc_ovr"])
def test_after_class_weights_members_are_weighed_as_they_are_without_them(metric) -> None:
    """Of three classes the rarest counted for 18 times as much: who had learned nothing leaned least."""
    rng, costs = np.random.default_rng(0), np.array([0.5, 1.0, 9.0])
    true = rng.dirichlet([9.0, 2.0, 0.5], 3_000)
    y = (true.cumsum(axis=1) < rng.random((3_000, 1))).sum(axis=1)
    leaning = true * costs / (true * costs).sum(axis=1, keepdims=True)
    members, task = np.stack([leaning, np.tile(true.mean(axis=0), (3_000, 1))]), task_of(metric, 3)
    folds = np.arange(3_000) % 3

    assert greedy(y, members, task=task, seed=0)[0] < 0.5
    assert greedy(y, members, task=task, seed=0, leaning=costs)[0] > 0.9
    honest = cross_fitted(y, members, folds, task=task, seed=0, leaning=costs)
    assert np.abs(honest - leaning).max() < 0.1


@pytest.mark.parametrize("metric", ["brier", "roc_auc_ovr", "log_loss"])
def test_after_class_weights_the_first_chosen_is_the_best_by_what_is_left_of_it(metric) -> None:
    rng, costs, task = np.random.default_rng(1), np.array([0.5, 1.0, 9.0]), task_of(metric, 3)
    for _ in range(10):
        members, y = rng.dirichlet([9.0, 2.0, 3.0], (6, 500)), rng.integers(0, 3, 500)

        weights = greedy(y, members, task=task, seed=0, steps=1, samples=0, leaning=costs)

        assert weights.argmax() == np.argmax([worth(task, y, each, costs) for each in members])


def test_the_costs_of_those_chosen_stay_below_the_limit() -> None:
    y, members = guessed(noises=(0.9, 1.0, 1.0, 1.0))
    costs = np.array([10.0, 3.0, 3.0, 3.0])

    free = greedy(y, members, task=AMOUNT, seed=0)
    bound = greedy(y, members, task=AMOUNT, seed=0, costs=costs, cost_max=10.0)

    assert (free > 0).all()
    assert (bound > 0).tolist() == [False, True, True, True]


def test_the_cheapest_member_may_always_be_chosen() -> None:
    y, members = guessed(noises=(0.1, 5.0))
    weights = greedy(y, members, task=AMOUNT, seed=0, costs=np.array([10.0, 3.0]), cost_max=1.0)
    assert weights.tolist() == [0, 1]


def test_luck_on_few_rows_counts_for_less_when_halves_of_them_choose() -> None:
    """Twelve members that err much alike, weighed by 150 rows and judged by others."""
    rng = np.random.default_rng(0)
    gains = []
    for _ in range(20):
        y = rng.normal(size=4_150)
        alike, alone = rng.normal(size=4_150), rng.normal(size=(12, 4_150))
        members = (y + alike + 0.4 * alone)[:, :, None]
        few, task = slice(0, 150), Task("y", "regression", "rmse")
        halves, once = (
            measure(task, y[150:], mix(members[:, 150:], weights)).value
            for weights in (greedy(y[few], members[:, few], task=task, seed=0, samples=n) for n in (8, 0))
        )
        gains.append(once - halves)
    assert np.mean(gains) > 0


def test_where_samples_want_more_than_can_be_paid_all_rows_choose_once() -> None:
    y, members = guessed(noises=(1.0, 1.0, 1.0, 1.0))
    costs = np.full(4, 3.0)
    bound = greedy(y, members, task=AMOUNT, seed=0, costs=costs, cost_max=7.0)
    assert costs[bound > 0].sum() <= 7.0
    assert np.array_equal(bound, greedy(y, members, task=AMOUNT, seed=0, costs=costs, cost_max=7.0, samples=0))


def test_rows_of_one_class_still_give_weights() -> None:
    _, members = classified()
    for metric in ("roc_auc", "balanced_accuracy", "accuracy"):
        weights = greedy(np.ones(1_500, np.int64), members, task=task_of(metric), seed=0)
        assert weights.sum() == pytest.approx(1)


def test_cross_fitted_scores_of_a_fold_do_not_depend_on_its_answers() -> None:
    y, members = classified(rows=600)
    folds = np.arange(600) % 3
    lied = np.where(folds == 0, 1 - y, y)
    task = task_of("log_loss")

    honest, told = (
        cross_fitted(y, members, folds, task=task, seed=0),
        cross_fitted(lied, members, folds, task=task, seed=0),
    )

    assert np.array_equal(honest[folds == 0], told[folds == 0])
    assert not np.array_equal(honest[folds != 0], told[folds != 0])

    later = np.where(folds == 2, 1 - y, y)
    honest, told = (cross_fitted(each, members, folds, task=task, seed=0, forward=True) for each in (y, later))
    assert np.array_equal(honest[folds == 1], told[folds == 1])


def test_the_same_seed_gives_the_same_weights_on_a_sample() -> None:
    y, members = classified(members=3, rows=30_000)
    task = task_of("roc_auc")
    assert np.array_equal(greedy(y, members, task=task, seed=7), greedy(y, members, task=task, seed=7))


def test_half_of_what_chooses_for_an_auc_goes_by_the_squared_error() -> None:
    rng = np.random.default_rng(0)
    y = (np.arange(600) % 10 == 0).astype(int)
    sure = np.clip(0.1 + 0.2 * (y - 0.1) + 0.1 * rng.normal(size=600), 0.01, 0.99)
    ranks = np.clip(sure + 0.5 + 0.02 * y, 0, 1)  # a little better in order, and far too large
    members = np.stack([np.column_stack([1 - each, each]) for each in (ranks, sure)])

    by = {name: greedy(y, members, task=task_of(name), seed=0).tolist() for name in ("roc_auc", "brier")}

    assert by == {"roc_auc": [0.5, 0.5], "brier": [0.0, 1.0]}, "by the AUC alone it would be [1, 0]"
