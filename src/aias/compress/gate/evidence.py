"""What paired rows say about a loss: a curve of confidence, from which every limit and every p value is read.

A confidence distribution (Xie and Singh 2013) gives for each x how sure the rows make us that the loss is at most x. It
rises from 0 to 1; its values are p values, its quantiles one-sided limits.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np

from aias.core.arrays import Floats

RISK: Final = 0.05
"""Of calling something no worse that is worse by the margin."""

SPENT: Final = 0.04
"""Of that risk; limits cover nearly, not exactly, as often as they say; a fifth pays for it."""

HALVINGS: Final = 40
"""Of an interval of length 2: to 2e-12."""


class Evidence(Protocol):
    """A loss is how much worse the second model is by a metric: above 0 is worse, whatever the metric's direction."""

    @property
    def value(self) -> float:
        """The loss on these rows; NaN where they cannot give the metric."""

    @property
    def rows(self) -> int: ...

    @property
    def spread(self) -> float:
        """The standard error of the loss, times the square root of the rows."""

    def confidence(self, loss: float) -> float:
        """That the loss is at most so much: the p value of "it is less", and 1 less that of "it is more"."""

    def limit(self, confidence: float) -> float:
        """The loss is at most this with so much confidence."""

    def __hash__(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Unknown:
    """These rows cannot give the metric: nothing is certain of it."""

    rows: int
    value: float = float("nan")
    spread: float = float("inf")

    def confidence(self, loss: float) -> float:  # noqa: ARG002  the promise of all evidence
        return float("nan")

    def limit(self, confidence: float) -> float:
        return float("-inf") if confidence < 0.5 else float("inf")


ROUNDING: Final = 1e-12
"""Sums of the same numbers in another order lie so far apart, of what they come to."""


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss as people read it: with 95 % confidence at most `high` and, with the same, at least `low`."""

    metric: str
    value: float
    low: float
    high: float
    rows: int

    def __str__(self) -> str:
        return f"{self.metric} {signed(self.value)} ({self.limits}, {self.rows:,} rows)"

    @property
    def limits(self) -> str:
        return f"{signed(self.low)} to {signed(self.high)}"


def signed(value: float) -> str:
    """Two digits of a loss."""
    return f"{'+' if value >= 0 else ''}{digits(value)}"


def digits(value: float, count: int = 2) -> str:
    """So many of them, as people write them: 1,900 and 0.0019."""
    return f"{float(f'{value:.{count}g}'):,.15g}"


def lost(before: float, after: float) -> float:
    """By how much a metric is larger; what is left of rounding is none, however small its unit."""
    return 0.0 if abs(after - before) <= ROUNDING * max(abs(before), abs(after)) else after - before


def of_rows(*sides: Any) -> list[Floats]:
    """Raises `ValueError` where they are not of the same rows."""
    found = [np.asarray(each, np.float64) for each in sides]
    if len({each.shape for each in found}) > 1:
        given = " and ".join(str(each.shape) for each in found)
        raise ValueError(f"both models answer the same rows: {given} were given")
    return found


def chance_of_one(runs: int) -> str:
    """That in one of so many runs something passes that should not, at most."""
    return f"with a chance of up to {100 * (1 - (1 - RISK) ** runs):.0f} %"


def loss_of(metric: str, evidence: Evidence, *, risk: float = RISK) -> Loss:
    return Loss(metric, evidence.value, evidence.limit(risk), evidence.limit(1 - risk), evidence.rows)


def halved(confidence: Callable[[Any], Any], wanted: Any, low: Any, high: Any) -> Any:
    """Where a rising curve, or each of many, has the wanted value."""
    low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        above = confidence(middle) >= wanted
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return (low + high) / 2
