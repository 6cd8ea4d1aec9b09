import numpy as np

from aias.core.task import Task
from aias.training.selection.configuration import Configuration
from aias.training.selection.screening import begins, by_promise, judging_folds

CHANCE = np.random.default_rng(0)
Y = CHANCE.normal(size=(400, 1))


def answers(error: float) -> np.ndarray:
    return Y + error * CHANCE.normal(size=Y.shape)


def test_what_helps_the_others_comes_before_what_is_only_good_alone() -> None:
    best = answers(0.5)
    scores = [best + 0.01 * CHANCE.normal(size=Y.shape), answers(2.0), best, answers(0.6)]
    order = by_promise(Task("y", "regression", "rmse"), Y[:, 0], scores)
    assert {place for place, wanted in order if wanted} == {2, 3}  # what errs otherwise, not a worse copy
    assert [place for place, _ in order[2:]] == [0, 1]


def test_where_the_metric_says_nothing_of_a_fold_all_have_a_place() -> None:
    y = np.zeros(30, np.int64)
    scores = [np.tile([1 - p, p], (30, 1)) for p in (0.3, 0.1, 0.2)]
    order = by_promise(Task("y", "binary", "roc_auc", ("a", "b")), y, scores)
    assert sorted(place for place, _ in order) == [0, 1, 2] and order[0] == (1, True)


def test_of_many_rows_nothing_is_begun_that_may_not_be_ended() -> None:
    both = [Configuration("a", "linear"), Configuration("b", "mlp")]
    assert begins(both, rows=10_000, seconds=60) and begins(both, rows=40_000, seconds=180)
    assert not begins(both, rows=40_000, seconds=60) and not begins(both[:1], rows=10, seconds=60)


def test_as_many_folds_judge_as_there_is_time_for() -> None:
    assert judging_folds(8, 5_000, wanted=[1.0, 2.0], seconds=180) == 8
    assert judging_folds(8, 5_000, wanted=[1.0, 2.0], seconds=60) == 5  # others add more than further folds
    assert judging_folds(8, 5_000, wanted=[5.0, 5.0], seconds=60) == 4  # 3 more folds of both take half of it
    assert judging_folds(8, 5_000, wanted=[50.0], seconds=10) == 3
    assert judging_folds(8, 1_600, wanted=[50.0], seconds=10) == 5  # so that a thousand rows judge
    assert judging_folds(8, 500, wanted=[50.0], seconds=10) == 8
    assert judging_folds(3, 5_000, wanted=[1.0], seconds=100) == 3
    assert judging_folds(8, 5_000, wanted=[], seconds=10) == 8
