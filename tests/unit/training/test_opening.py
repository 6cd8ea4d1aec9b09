import numpy as np

from aias.core.task import Task
from aias.training.opening import by_promise

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
