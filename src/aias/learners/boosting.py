"""What boosters share: round after round until patience, rounds or time are out, and from sums to scores.

A member keeps what is its own: how a round is made, and how what was fitted is read.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol

import numpy as np

from aias.core.arrays import Floats, Ints
from aias.learners.contract import Examples, Fit, Fitted, halves, joined

CODES_MAX: Final = 64
"""Codes of a category up to which its values are parted into sets, of which there are too many to choose from beyond:
where a category had 3,400 codes, the AUC was 0.757 with sets of them, and 0.785 with codes as numbers."""

PATIENCE: Final = (20, 0.3, 200)
"""Rounds without a better validation loss before stopping: so many, and a share of the best round, up to a maximum."""

GAIN_MIN: Final = (3e-4, 1.5e-3)
"""Of the loss, or of all that was gained so far: what as many rounds as patience holds must gain of one of them.
Boosting can go on for thousands of rounds for less."""

TELL_SECONDS: Final = 0.5
"""Between two events; each asks the trees so far for the validation score."""

NEAR: Final = 1.5

SHARES_MAX: Final = 1e9
"""Times as much as the median amount's that an error of a small one counts."""

HIDDEN: Final = ("sklearn", "pandas", "pyarrow", "matplotlib", "graphviz", "dask", "joblib", "psutil", "polars")
"""What boosters import when it is there, which takes a second or more, and do not need here."""


@contextmanager
def bare() -> Iterator[None]:
    """For the import of a booster, which finds none of `HIDDEN` that is not there already."""
    hidden = [name for name in HIDDEN if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


def least_of(y: Floats | Ints) -> float:
    """The amount, without its sign, up to which a share of it counts: below, MAPE would be of these few rows alone."""
    sizes = np.abs(y)
    return max(float(sizes.min()), float(np.median(sizes)) / SHARES_MAX)


def by_shares(part: Examples, least: float) -> Examples:
    """The same, whose absolute errors add up to their shares of the amounts, which is what MAPE judges."""
    weight = (1.0 if part.weight is None else part.weight) * (least / np.maximum(np.abs(part.y), least))
    return Examples(part.x, part.y, weight / weight.mean())


class Booster(Protocol):
    """What a member does in its own way."""

    def grow(self) -> bool:
        """One round more; False when nothing was left to learn."""

    def losses(self) -> list[float]:
        """Of each half of the validation rows, after the last round."""

    def scores(self) -> Floats:
        """Of the validation rows, by all rounds so far; to be told."""

    def trees(self, rounds: int) -> Fitted:
        """What the first rounds came to."""


@dataclass(eq=False)
class Rounds:
    """How many there were, how good each was, and whether there is to be another."""

    learner: str
    how: Fit
    rows: int
    valid: Examples | None
    most: int
    """However good they are."""
    finish_seconds: tuple[float, float] = (0.0, 0.0)
    """What has to be done after the last round takes: at least, and for each tree."""
    patience: tuple[int, float, int] = PATIENCE
    done: int = 0
    best_round: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.halves = halves(self.valid) if self.valid is not None else []
        self.losses = [[np.inf] * len(self.halves) for _ in range(self.done)]  # those of a start are not chosen from
        self._lowest = [np.inf] * self.done  # the best loss so far, after each round
        self._longest, self._told_at = 0.0, -TELL_SECONDS
        self._started_at = self._before = self.how.deadline.clock()

    def begun(self) -> None:
        """What came before belongs to no round."""
        self._before = self.how.deadline.clock()

    def more(self) -> bool:
        """Whether another is worth it; one that would end after the deadline is not begun, but the first always is."""
        if self.done >= self.most or self._stale():
            return False
        least, each = self.finish_seconds
        trees = self.done * (len(self.how.task.classes) if self.how.task.type == "multiclass" else 1)
        if not self.done or self.how.deadline.left > self._longest + least + each * trees:
            return True
        self.how.cuts.append(self.learner)
        return False

    def over(self, losses: Sequence[float], scores: Callable[[], Floats] | None = None) -> None:
        """A round has ended, with these `losses` of the halves; `scores` as in `Booster`."""
        self.done += 1
        if self.halves:
            self._judge(list(losses), scores)
        now = self.how.deadline.clock()
        self._longest, self._before = max(0.9 * self._longest, now - self._before), now

    @property
    def best(self) -> int:
        """How many to keep."""
        return max(self.best_round if self.halves else self.done, 1)

    @property
    def for_halves(self) -> list[int]:
        """How many are to score each half."""
        return rounds_for_halves(self.losses, self.best, parts=len(self.halves))

    def _stale(self) -> bool:
        if not self.halves:
            return False
        least, share, most = self.patience
        if self.done - self.best_round >= min(least + share * self.best_round, most):
            return True
        before = self.done - 1 - int(min(least + share * self.done, most))
        if before < 0:
            return False
        now, of_loss, of_gain = self._lowest[-1], *GAIN_MIN
        return self._lowest[before] - now < min(of_loss * abs(now), of_gain * (self._lowest[0] - now))

    def tell_curve(self) -> None:
        """Of all rounds, though each was not told when it ended."""
        whole = {number: self._loss(losses) for number, losses in enumerate(self.losses, 1)} if self.halves else {}
        self.how.tell_curve(whole, learner=self.learner)

    def _loss(self, losses: Sequence[float]) -> float:
        return float(np.average(losses, weights=[len(half.y) for half in self.halves]))

    def _judge(self, losses: list[float], scores: Callable[[], Floats] | None) -> None:
        self.losses.append(losses)
        loss = self._loss(losses)
        before = self._lowest[-1] if self._lowest else np.inf
        if loss < before:
            self.best_round = self.done
        self._lowest.append(min(before, loss))
        now = self.how.deadline.clock()
        if now - self._told_at >= TELL_SECONDS:
            self._told_at = now
            self._tell(loss, scores)

    def _tell(self, loss: float, scores: Callable[[], Floats] | None) -> None:
        seconds = max(self.how.deadline.clock() - self._started_at, 1e-9)
        self.how.tell(
            f"{self.learner.replace('_', ' ')}: {self.done} rounds, validation loss {loss:.4f}", self.valid,
            None if scores is None else lambda _x: scores(),
            learner=self.learner, round=self.done, validation_loss=loss, best_round=self.best_round,
            rows_per_second=self.rows * self.done / seconds,
        )  # fmt: skip


def boost(booster: Booster, rounds: Rounds) -> Fitted:
    """The best of as many rounds as there are to be."""
    best = partial(_best, booster, rounds)
    while rounds.more() and booster.grow():
        rounds.over(booster.losses() if rounds.halves else [], booster.scores)
        if rounds.how.keep is not None:
            rounds.how.keep(best)
    rounds.tell_curve()
    return best()


def _best(booster: Booster, rounds: Rounds) -> Fitted:
    """Each half of the rows that judge is scored by as many rounds as the other chose."""
    found = booster.trees(rounds.best)
    if rounds.halves:
        parts = zip(rounds.for_halves, rounds.halves, strict=True)
        found.judged = joined([booster.trees(at).scores(half.x) for at, half in parts])
    return found


def sets_of(how: Fit, *, most: int = CODES_MAX) -> list[int]:
    """The categories that are parted into sets; others are numbers, which say how frequent each value is."""
    sizes = how.category_sizes or [0] * len(how.categories)
    return [place for place, size in zip(how.categories, sizes, strict=True) if size <= most]


def rounds_for_halves(losses: Sequence[Sequence[float]], best: int, *, parts: int) -> list[int]:
    """For each of the `parts`, two halves as a rule, the round that the other likes best; `losses` are each round's.

    No further than by half from the best round of both: what few rows say of rounds further off is luck. Where nothing
    could be learned there are no losses, and every round is as good.
    """
    first, last = max(1, int(best / NEAR)), max(1, int(best * NEAR))
    near = np.array(losses[first - 1 : last])  # (rounds, halves)
    if not len(near):
        return [best] * parts
    return [first + int(at) for at in near.argmin(axis=0)[::-1]]
