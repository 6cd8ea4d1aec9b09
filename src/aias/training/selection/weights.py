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

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from aias.core.arrays import Floats, Ints
from aias.core.task import Task
from aias.training.scoring.cross_fitting import others
from aias.training.scoring.metrics import measure
from aias.training.scoring.upright import upright
from aias.training.selection.member_losses import AFTERWARDS, RANKS, SQUARED, Losses, losses_of

WEIGHT_MIN: Final = 0.05
"""A member of less weight costs its time for nothing that can be measured."""

PATIENCE: Final = 10
"""Steps without a lower loss before no more are taken."""

SAMPLES: Final = 8
SAMPLE_ROWS_MAX: Final = 2_500
"""Samples of the rows that choose, and how many of these each has at most: half of all, as far as there are more."""

SAMPLED_ROWS_MAX: Final = 20_000
"""With more rows chance has no part in what is chosen: all choose at once."""

EQUAL: Final = 1e-9
"""Relative difference of two losses that are taken for the same."""

LUCK: Final = 0.5
"""Standard errors by which a mean may seem worse than a member of it: of few rows the best alone is mostly lucky."""

ABLE_SHARE: Final = 0.8
"""Of what the best member knows beyond chance."""


def ranking(task: Task) -> Task:
    """The task by the metric that members are told apart by."""
    return replace(task, metric="log_loss") if task.metric in AFTERWARDS else task


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
    losses = losses_of(y, members, task=task, seed=seed, leaning=leaning)
    each = np.zeros(len(members)) if costs is None else np.asarray(costs, np.float64)
    limit = np.inf if cost_max is None else max(cost_max, float(each.min()))
    if samples and len(y) <= SAMPLED_ROWS_MAX and _is_quick(task) and each.sum() <= 2 * limit:
        found = _sampled(
            y, members, task=task, seed=seed, steps=steps, samples=samples, leaning=leaning, losses=losses
        )  # fmt: skip
        if found is not None and each[found > 0].sum() <= limit:
            return found
    return _chosen(losses, steps=steps, costs=each, cost_max=limit)


def _sampled(
    y: Any, members: Floats, *, task: Task, seed: int, steps: int, samples: int, leaning: Floats | None, losses: Losses
) -> Floats | None:  # fmt: skip
    """The mean of what each sample chooses, without small weights; None where a sample has nothing to say.

    The squared error may want another member than ranks do, one whose probabilities are not too timid, and ranks of a
    mean of both hang on the bolder one. Where that is worse than a member alone, ranks choose by themselves.
    """
    usable = np.flatnonzero(np.isfinite(members).all(axis=(1, 2)))
    if len(usable) < 2 or len(y) < 2 * len(usable):
        return None
    rng, free, found = np.random.default_rng(seed), np.zeros(len(usable)), np.zeros((samples, len(members)))
    for sample in range(samples):
        rows = _half(y, task, rng)
        by = replace(task, metric="brier") if sample % 2 and task.metric in RANKS else task
        own = losses_of(y[rows], members[np.ix_(usable, rows)], task=by, seed=seed, leaning=leaning)
        found[sample, usable] = _chosen(own, steps=steps, costs=free, cost_max=np.inf)
    weights = _without_few(found.mean(axis=0))
    rarest = int(np.unique(y, return_counts=True)[1].min()) if task.classes else len(y)
    if task.metric not in RANKS or _is_worth_it(losses, weights, rarest):
        return weights
    weights = _without_few(found[::2].mean(axis=0))
    return weights if _is_worth_it(losses, weights, rarest) else None


def _without_few(total: Floats) -> Floats:
    """Of sum 1, without what is too small."""
    while (small := total[total > 0].min()) < WEIGHT_MIN:
        total = np.where(np.arange(len(total)) == np.flatnonzero(total == small)[-1], 0.0, total)
        total = total / total.sum()
    return total


def _is_worth_it(losses: Losses, weights: Floats, rarest: int) -> bool:
    """Whether the mean is no worse than each member of it alone, by more than luck: the variance of an AUC A is at most
    A (1 - A), divided by the rows of the rarer class (Birnbaum and Klose 1957)."""
    alone = float(losses(np.zeros(len(weights), np.int64))[weights > 0].min())
    luck = LUCK * np.sqrt(max(alone * (1 - alone), 0.0) / rarest)
    return bool(_loss(losses, weights / weights.max()) <= alone + luck)


def _loss(losses: Losses, counts: Floats) -> float:
    """Of the counts themselves, one of which is 1: adding that member to the others gives it."""
    last = int(np.flatnonzero(counts == 1)[0])
    return float(losses(counts - (np.arange(len(counts)) == last))[last])


def _is_quick(task: Task) -> bool:
    """Whether a step needs no measurement of each member by itself."""
    name = task.metric.partition(":")[0]
    return not task.classes or name in SQUARED | AFTERWARDS | RANKS | {"log_loss"}


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
