"""How much each member counts: greedy selection with replacement, on several halves of the rows (Caruana et al. 2004).

Members are (members, rows, outputs): out-of-fold probabilities, or predictions. Each step adds the member that helps
the mean most; how often a member was added is its weight. The mean of what halves of the rows say errs less than what
all of them say once: the best of many is partly luck, and other rows know another luck.

    metric                                          ranks by
    log_loss, brier and all of regression           itself
    roc_auc, pr_auc, accuracy, precision, recall    itself on at most 20,000 rows and, to break ties, the squared error
    f1*, balanced_accuracy, mcc, ece                the log loss: labels are decided, and scores calibrated, afterwards

Every other sample for an AUC chooses by the squared error, which errs less where one class has few rows. After class
weights the log loss, brier and roc_auc_ovr are those of what they leave when they are taken back, as calibration does
afterwards.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from aias.core.arrays import Flags, Floats, Ints
from aias.core.task import Task
from aias.training.scoring.cross_fitting import others
from aias.training.scoring.metrics import measure
from aias.training.scoring.upright import taken_back, upright

WEIGHT_MIN: Final = 0.05
"""A member of less weight costs its time for nothing that can be measured."""

RANKED_ROWS_MAX: Final = 20_000
RANKED_NUMBERS_MAX: Final = 400_000
"""Rows, and rows × classes, for metrics that sort or decide: the standard error of an AUC is then below 0.004, of a
difference between two members far below."""

TIE_BREAK: Final = 1e-3
UNMEASURED: Final = 1e6
"""The loss where these rows cannot give the metric: the squared error then decides."""

PATIENCE: Final = 10
"""Steps without a lower loss before no more are taken."""

SAMPLES: Final = 8
SAMPLE_ROWS_MAX: Final = 2_500
"""Samples of the rows that choose, and how many of these each has at most: half of all, as far as there are more."""

SAMPLED_ROWS_MAX: Final = 20_000
"""With more rows chance has no part in what is chosen: all choose at once."""

EQUAL: Final = 1e-9
"""Relative difference of two losses that are taken for the same."""

ABLE_SHARE: Final = 0.8
"""Of what the best member knows beyond chance."""

_SQUARED: Final = frozenset({"rmse", "r2", "brier"})
_RANKS: Final = frozenset({"roc_auc", "roc_auc_ovr"})
_AFTERWARDS: Final = frozenset({"f1", "f1_macro", "f1_micro", "f1_weighted", "balanced_accuracy", "mcc", "ece"})


Losses = Callable[[Ints], Floats]
"""From how often each member was chosen, (members,), to the loss after adding each of them once more: (members,)."""


def ranking(task: Task) -> Task:
    """The task by the metric that members are told apart by."""
    return replace(task, metric="log_loss") if task.metric in _AFTERWARDS else task


def worth(task: Task, y: Any, scores: Floats, costs: Floats | None = None) -> float:
    """What scores, (rows, outputs), are worth by the task's metric, turned so that more is better. `costs`: how much
    each class counted while fitting, (classes,), where they did not all alike."""
    found = measure(task, y, upright(task, scores, costs)).value
    return found if task.direction == "higher" else -found


def able(worths: Floats, chance: float) -> Ints:
    """The places of members that know nearly as much as the best; what others add on few rows is luck. `worths`: of
    each by itself, -inf where it cannot be had; `chance`: what knows nothing is worth."""
    known = worths - chance
    return np.flatnonzero(known >= ABLE_SHARE * known.max()) if known.max() > 0 else np.array([worths.argmax()])


def greedy(
    y: Any, members: Floats, *, task: Task, seed: int, steps: int = 40, costs: Floats | None = None,
    cost_max: float | None = None, samples: int = SAMPLES, leaning: Floats | None = None,
) -> Floats:  # fmt: skip
    """Weights of the members, (members,), of sum 1; most are 0.

    `costs`: µs a row of each member; those chosen cost `cost_max` together at most, but the cheapest may always be.
    `samples`: of the rows, that choose; together they may want more than can be paid, and then all rows choose once.
    `leaning`: how much each class counted while fitting, (classes,), where they did not all alike.
    Rows where the answer is missing must have been left out; a member with a NaN is never chosen.
    """
    if len(members) == 1:
        return np.ones(1)
    losses = _losses(y, members, task=task, seed=seed, leaning=leaning)
    each = np.zeros(len(members)) if costs is None else np.asarray(costs, np.float64)
    limit = np.inf if cost_max is None else max(cost_max, float(each.min()))
    if samples and len(y) <= SAMPLED_ROWS_MAX and _is_quick(task) and each.sum() <= 2 * limit:
        found = _sampled(y, members, task=task, seed=seed, steps=steps, samples=samples, leaning=leaning)
        if found is not None and each[found > 0].sum() <= limit:
            return found
    return _chosen(losses, steps=steps, costs=each, cost_max=limit)


def _sampled(
    y: Any, members: Floats, *, task: Task, seed: int, steps: int, samples: int, leaning: Floats | None
) -> Floats | None:
    """The mean of what each sample chooses, without small weights; None where a sample has nothing to say."""
    usable = np.flatnonzero(np.isfinite(members).all(axis=(1, 2)))
    if len(usable) < 2 or len(y) < 2 * len(usable):
        return None
    rng, total = np.random.default_rng(seed), np.zeros(len(members))
    for sample in range(samples):
        rows = _half(y, task, rng)
        by = replace(task, metric="brier") if sample % 2 and task.metric in _RANKS else task
        losses = _losses(y[rows], members[np.ix_(usable, rows)], task=by, seed=seed, leaning=leaning)
        free = np.zeros(len(usable))
        total[usable] += _chosen(losses, steps=steps, costs=free, cost_max=np.inf) / samples
    while (small := total[total > 0].min()) < WEIGHT_MIN:
        total[np.flatnonzero(total == small)[-1]] = 0.0
        total = total / total.sum()
    return total


def _is_quick(task: Task) -> bool:
    """Whether a step needs no measurement of each member by itself."""
    name = task.metric.partition(":")[0]
    return not task.classes or name in _SQUARED | _AFTERWARDS | _RANKS | {"log_loss"}


def _half(y: Any, task: Task, rng: np.random.Generator) -> Ints:
    """Half of the rows by chance, of each class alike."""
    rows = rng.permutation(len(y))
    if task.classes:
        rows = rows[np.argsort(y[rows], kind="stable")]
        rows = rows[int(rng.integers(2)) :: 2]
    else:
        rows = rows[: -(-len(y) // 2)]
    return np.sort(rows if len(rows) <= SAMPLE_ROWS_MAX else rng.choice(rows, SAMPLE_ROWS_MAX, replace=False))


def _chosen(losses: Losses, *, steps: int, costs: Floats, cost_max: float) -> Floats:
    found = [_select(losses, steps=steps, costs=costs, cost_max=cost_max)]
    if np.isfinite(cost_max):
        # One dear member, chosen first, could shut out two cheap ones that are better together.
        half = np.where(costs <= cost_max / 2, costs, np.inf)
        found += [_select(losses, steps=steps, costs=half, cost_max=cost_max)]
    best = min((one for one in found if one is not None), key=lambda one: one.loss, default=None)
    return best.weights if best else np.eye(len(costs))[int(np.argmin(costs))]


def cross_fitted(
    y: Any, members: Floats, folds: Ints, *, task: Task, seed: int, costs: Floats | None = None,
    cost_max: float | None = None, leaning: Floats | None = None, forward: bool = False,
) -> Floats:  # fmt: skip
    """Honest scores of the whole ensemble, (rows, outputs): each fold is weighted by what `others` say."""
    scores = np.empty(members.shape[1:])
    for fold in np.unique(folds):
        inside = np.flatnonzero(others(task, y, folds, fold, forward=forward))
        outside = np.flatnonzero(folds == fold)
        weights = greedy(
            y[inside], members[:, inside], task=task, costs=costs, cost_max=cost_max, seed=seed, samples=SAMPLES // 2,
            leaning=leaning,
        )  # fmt: skip
        scores[outside] = mix(members[:, outside], weights)
    return scores


def mix(members: Floats, weights: Floats) -> Floats:
    """The weighted mean, (rows, outputs); members of weight 0 are not looked at."""
    used = np.flatnonzero(weights)
    return np.asarray(np.tensordot(weights[used], members[used], axes=1))


@dataclass(frozen=True, slots=True)
class _Choice:
    weights: Floats
    loss: float


def _select(losses: Losses, *, steps: int, costs: Floats, cost_max: float) -> _Choice | None:
    """The best prefix without its small weights; None where no member can be paid."""
    counts = np.zeros(len(costs), np.int64)
    path: list[tuple[float, Ints]] = []
    while len(path) < steps and not _is_stale(path):
        spent = float(costs[counts > 0].sum())
        allowed = (counts > 0) | (spent + costs <= cost_max)
        found = np.where(allowed, losses(counts), np.inf)
        chosen = int(np.argmin(found))
        if not np.isfinite(found[chosen]):
            break
        counts = counts + (np.arange(len(counts)) == chosen)
        path.append((float(found[chosen]), counts))
    if not path:
        return None
    alone = _Choice(path[0][1].astype(np.float64), path[0][0])
    return _without_small(losses, _best_prefix(path), alone)


def _is_stale(path: list[tuple[float, Ints]]) -> bool:
    losses = [loss for loss, _ in path]
    return len(losses) > PATIENCE and min(losses[-PATIENCE:]) >= min(losses[:-PATIENCE])


def _best_prefix(path: list[tuple[float, Ints]]) -> Ints:
    """The counts of lowest loss; of equals those with the fewest members, then the fewest steps."""
    lowest = min(loss for loss, _ in path)
    equal = [counts for loss, counts in path if loss <= lowest + EQUAL * abs(lowest)]
    return min(equal, key=lambda counts: (int((counts > 0).sum()), int(counts.sum())))


def _without_small(losses: Losses, counts: Ints, alone: _Choice) -> _Choice:
    """Drop the smallest weight until none is too small; the best member alone, where that has cost too much."""
    while (small := counts[counts > 0].min()) < WEIGHT_MIN * counts.sum():
        smallest = int(np.flatnonzero(counts == small)[-1])
        counts = np.where(np.arange(len(counts)) == smallest, 0, counts)
    # Adding a member to the counts without it gives the loss of the counts themselves.
    last = int(np.argmax(counts))
    loss = float(losses(counts - (np.arange(len(counts)) == last))[last])
    return _Choice(counts / counts.sum(), loss) if loss < alone.loss else alone


def _losses(y: Any, members: Floats, *, task: Task, seed: int, leaning: Floats | None) -> Losses:
    name, _, parameter = task.metric.partition(":")
    squared = _squared(y, members, task)
    if leaning is not None and name == "brier":
        rows = _some_rows(len(y), outputs=task.outputs, seed=seed)
        return _squared_upright(y[rows], members[:, rows], taken_back(leaning))
    if name in _SQUARED:
        return squared
    if name == "log_loss" or name in _AFTERWARDS:
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

    def losses(counts: Ints) -> Floats:
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

    def losses(counts: Ints) -> Floats:
        before = _sum(members, counts)  # (rows, classes)
        across = np.einsum("mrk,rk->mr", members, before * times**2)
        whole = _sum(every, counts) + every
        square = ((before * times) ** 2).sum(axis=1) + 2 * across + squares
        return _known((square / whole**2 - 2 * (_sum(true, counts) + true) / whole + 1).mean(axis=1))

    return losses


def _log(y: Any, members: Floats) -> Losses:
    """Only the probability of what came true counts, so that the number of classes does not."""
    true = np.ascontiguousarray(members[:, np.arange(members.shape[1]), y])  # (members, rows)

    def losses(counts: Ints) -> Floats:
        mixed = (_sum(true, counts) + true) / (counts.sum() + 1)
        return _known(-np.log(np.maximum(mixed, 1e-15)).mean(axis=1))

    return losses


def _log_upright(y: Any, members: Floats, times: Floats) -> Losses:
    """The same of what is left when all probabilities are multiplied by `times`, (classes,), and made to sum to 1."""
    true = members[:, np.arange(members.shape[1]), y] * times[y]  # (members, rows)
    every = members @ times  # (members, rows)

    def losses(counts: Ints) -> Floats:
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

    def losses(counts: Ints) -> Floats:
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

    def losses(counts: Ints) -> Floats:
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

    def losses(counts: Ints) -> Floats:
        total, whole = _sum(members, counts), counts.sum() + 1
        found = np.array([sign * measure(task, y, (total + one) / whole).value for one in members])
        return np.where(np.isfinite(found), found, UNMEASURED)

    return losses


def _sum(members: Floats, counts: Ints) -> Floats:
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
