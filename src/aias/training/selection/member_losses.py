"""What adding each member to a mean would cost: a loss for each, as greedy selection asks for it step after step."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from aias.core.arrays import Flags, Floats, Ints
from aias.core.task import Task
from aias.training.scoring.metrics import measure
from aias.training.scoring.upright import taken_back

RANKED_ROWS_MAX: Final = 20_000
RANKED_NUMBERS_MAX: Final = 400_000
"""Rows, and rows × classes, for metrics that sort or decide: the standard error of an AUC is then below 0.004, of a
difference between two members far below."""

TIE_BREAK: Final = 1e-3
UNMEASURED: Final = 1e6
"""The loss where these rows cannot give the metric: the squared error then decides."""

SQUARED: Final = frozenset({"rmse", "r2", "brier"})
RANKS: Final = frozenset({"roc_auc", "roc_auc_ovr"})
AFTERWARDS: Final = frozenset({"f1", "f1_macro", "f1_micro", "f1_weighted", "balanced_accuracy", "mcc", "ece"})

Counts = Ints | Floats
Losses = Callable[[Counts], Floats]
"""From how often each member was chosen, or as parts of that, (members,), to the loss after adding each of them once
more: (members,)."""


def losses_of(y: Any, members: Floats, *, task: Task, seed: int, leaning: Floats | None) -> Losses:
    """By the task's metric, or what stands for it (`weights`). `leaning`: how much each class counted while fitting,
    (classes,), where they did not all alike."""
    name, _, parameter = task.metric.partition(":")
    squared = _squared(y, members, task)
    if leaning is not None and name == "brier":
        rows = _some_rows(len(y), outputs=task.outputs, seed=seed)
        return _squared_upright(y[rows], members[:, rows], taken_back(leaning))
    if name in SQUARED:
        return squared
    if name == "log_loss" or name in AFTERWARDS:
        return _log(y, members) if leaning is None else _log_upright(y, members, taken_back(leaning))
    if name in ("mae", "mape", "median_absolute_error", "quantile_loss"):
        return _absolute(y, members, name=name, quantile=float(parameter or 0.5))
    if name == "roc_auc":
        rows = _even_rows(y, seed=seed)
        own = _ranks(y[rows] == 1, members[:, rows, 1])
    else:
        rows = _some_rows(len(y), outputs=task.outputs, seed=seed)
        several = name == "roc_auc_ovr"
        times = None if leaning is None else taken_back(leaning)
        own = _all_ranks(y[rows], members[:, rows], times) if several else _any(y[rows], members[:, rows], task)
    return lambda counts: own(counts) + TIE_BREAK * squared(counts)


def _squared(y: Any, members: Floats, task: Task) -> Losses:
    """Mean squared error by the products of the members' errors: a step costs nothing, however many the rows."""
    target = np.eye(task.outputs)[y] if task.classes else np.asarray(y, np.float64)[:, None]
    errors = (members - target).reshape(len(members), -1)
    scale = 1.0 if task.classes else float(np.std(y)) or 1.0
    errors = errors / (scale * np.sqrt(len(y)))
    products = errors @ errors.T

    def losses(counts: Counts) -> Floats:
        whole = counts.sum() + 1
        cross = counts @ np.where(counts[:, None] > 0, products, 0)
        return _known((np.where(counts > 0, cross, 0) @ counts + 2 * cross + products.diagonal()) / whole**2)

    return losses


def _squared_upright(y: Any, members: Floats, times: Floats) -> Losses:
    """The squared error of what is left when all probabilities are multiplied by `times`, (classes,), and made to sum
    to 1: of p instead of the answer it is Σ p² - 2 p[answer] + 1."""
    true = members[:, np.arange(members.shape[1]), y] * times[y]  # (members, rows)
    every = members @ times  # (members, rows)
    squares = np.einsum("mrk,mrk,k->mr", members, members, times**2)

    def losses(counts: Counts) -> Floats:
        before = _sum(members, counts)  # (rows, classes)
        across = np.einsum("mrk,rk->mr", members, before * times**2)
        whole = _sum(every, counts) + every
        square = ((before * times) ** 2).sum(axis=1) + 2 * across + squares
        return _known((square / whole**2 - 2 * (_sum(true, counts) + true) / whole + 1).mean(axis=1))

    return losses


def _log(y: Any, members: Floats) -> Losses:
    """Only the probability of what came true counts, so that the number of classes does not."""
    true = np.ascontiguousarray(members[:, np.arange(members.shape[1]), y])  # (members, rows)

    def losses(counts: Counts) -> Floats:
        mixed = (_sum(true, counts) + true) / (counts.sum() + 1)
        return _known(-np.log(np.maximum(mixed, 1e-15)).mean(axis=1))

    return losses


def _log_upright(y: Any, members: Floats, times: Floats) -> Losses:
    """The same of what is left when all probabilities are multiplied by `times`, (classes,), and made to sum to 1."""
    true = members[:, np.arange(members.shape[1]), y] * times[y]  # (members, rows)
    every = members @ times  # (members, rows)

    def losses(counts: Counts) -> Floats:
        # Both are as many times too large.
        mixed = (_sum(true, counts) + true) / (_sum(every, counts) + every)
        return _known(-np.log(np.maximum(mixed, 1e-15)).mean(axis=1))

    return losses


def _absolute(y: Any, members: Floats, *, name: str, quantile: float) -> Losses:
    """The error of a mean is the mean of the errors. Pinball loss: Koenker and Bassett 1978."""
    errors = np.asarray(y, np.float64) - members[:, :, 0]  # (members, rows)
    if name == "mape":
        errors = errors / np.maximum(np.abs(y), np.finfo(np.float64).eps)
    up, down = (quantile, 1 - quantile) if name == "quantile_loss" else (1.0, 1.0)
    average = np.median if name == "median_absolute_error" else np.mean

    def losses(counts: Counts) -> Floats:
        mixed = (_sum(errors, counts) + errors) / (counts.sum() + 1)
        return _known(average(np.maximum(up * mixed, -down * mixed), axis=1))

    return losses


def _ranks(positive: Flags, members: Floats, every: Floats | None = None) -> Losses:
    """1 - AUC of the scores (members, rows), exact with ties; 0 where all rows have one answer. `every`: what they are
    divided by once they are added up, (members, rows)."""
    scores = np.ascontiguousarray(np.maximum(members, 0))
    ones = int(positive.sum())
    pairs = ones * (len(positive) - ones)
    places = np.arange(1, len(positive) + 1)

    def losses(counts: Counts) -> Floats:
        if not pairs:
            return np.zeros(len(scores))
        # Non-negative floats are ordered as their bits are; the last bit holds the class, so that sorting bare
        # numbers, which is ten times as fast as sorting places, is enough. Ties count half: once they put the
        # positives last, once first. The sum is one of float64: float32 only ranks.
        mixed = _sum(scores, counts) + scores
        mixed = mixed if every is None else mixed / (_sum(every, counts) + every)
        bits = mixed.astype(np.float32).view(np.int32) & ~np.int32(1)
        last = np.sort(bits | positive, axis=1) & 1
        first = 1 - (np.sort(bits | ~positive, axis=1) & 1)
        above = ((last + first) @ places) / 2 - ones * (ones + 1) / 2
        return np.asarray(1 - above / pairs)

    return losses


def _all_ranks(y: Any, members: Floats, times: Floats | None) -> Losses:
    """1 - the mean over classes of the AUC of each against the rest; `times` as in `_log_upright`."""
    every = None if times is None else members @ times  # (members, rows)
    each = [_ranks(y == label, members[:, :, label], every) for label in np.unique(y)]
    return lambda counts: np.asarray(np.mean([losses(counts) for losses in each], axis=0))


def _any(y: Any, members: Floats, task: Task) -> Losses:
    sign = -1 if task.direction == "higher" else 1

    def losses(counts: Counts) -> Floats:
        total, whole = _sum(members, counts), counts.sum() + 1
        found = np.array([sign * measure(task, y, (total + one) / whole).value for one in members])
        return np.where(np.isfinite(found), found, UNMEASURED)

    return losses


def _sum(members: Floats, counts: Counts) -> Floats:
    used = np.flatnonzero(counts)
    return np.asarray(np.tensordot(counts[used].astype(np.float64), members[used], axes=1))


def _known(losses: Floats) -> Floats:
    return np.where(np.isfinite(losses), losses, np.inf)


def _some_rows(rows: int, *, outputs: int, seed: int) -> Ints:
    size = min(rows, RANKED_ROWS_MAX, max(RANKED_NUMBERS_MAX // outputs, RANKED_ROWS_MAX // 10))
    return np.sort(np.random.default_rng(seed).choice(rows, size, replace=False))


def _even_rows(y: Any, *, seed: int) -> Ints:
    """As many of the rarer class as there are, up to half: an AUC does not see how many there are of each."""
    if len(y) <= RANKED_ROWS_MAX:
        return np.arange(len(y))
    rng = np.random.default_rng(seed)
    ones, zeros = np.flatnonzero(y == 1), np.flatnonzero(y != 1)
    first = min(len(ones), max(RANKED_ROWS_MAX // 2, RANKED_ROWS_MAX - len(zeros)))
    taken = [rng.choice(ones, first, replace=False), rng.choice(zeros, RANKED_ROWS_MAX - first, replace=False)]
    return np.sort(np.concatenate(taken))
