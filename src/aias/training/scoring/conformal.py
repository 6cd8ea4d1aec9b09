"""Intervals that hold the truth as often as they say, whatever the distribution of the errors.

Split conformal prediction (Vovk, Gammerman and Shafer 2005) in bins of the prediction (Mondrian), so that they are
wide where errors are large, and with a quantile for each side, so that they lean where errors do. The errors are those
of rows that the model did not see: out of fold for a model of all rows, which makes the intervals a little too wide.

Rows of one group may err alike, and then say of new groups as much as fewer rows would: as many as there are, divided
by their design effect (Kish 1965), which is that of the rows beyond either side.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from aias.core.arrays import Floats, Ints

BIN_ROWS_MIN: Final = 100
"""The coverage of a bin then varies by three points or so from one sample to the next."""

BINS_MAX: Final = 10


@dataclass(frozen=True, slots=True)
class Conformal:
    """Bin i holds predictions from `edges[i - 1]` up to, not including, `edges[i]`; the first and the last are open.

    The truth lies between the prediction + `lower[i]` and + `upper[i]`, and not below `floor`.
    """

    level: float
    edges: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    floor: float | None = None

    def __post_init__(self) -> None:
        assert len(self.lower) == len(self.upper) == len(self.edges) + 1, "each bin has two sides"
        assert all(low <= high for low, high in zip(self.lower, self.upper, strict=True)), "an interval has a width"

    def interval(self, predictions: Floats) -> Floats:
        """From and to, (rows, 2), of predictions (rows,) or (rows, 1)."""
        found = predictions.ravel()
        bins = np.searchsorted(self.edges, found, side="right")
        ends = np.column_stack([found + np.array(self.lower)[bins], found + np.array(self.upper)[bins]])
        return ends if self.floor is None else np.maximum(ends, self.floor)

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        found = {
            "level": self.level, "edges": list(self.edges), "lower": list(self.lower), "upper": list(self.upper)
        }  # fmt: skip
        return found if self.floor is None else {**found, "floor": self.floor}

    @classmethod
    def from_dict(cls, held: Mapping[str, Any]) -> "Conformal":
        return cls(
            held["level"], tuple(held["edges"]), tuple(held["lower"]), tuple(held["upper"]), held.get("floor")
        )  # fmt: skip


def fit(y: Any, predictions: Floats, *, level: float = 0.9, groups: Ints | None = None) -> Conformal | None:
    """From rows that the model did not see. None of too few: a level of 0.9 takes 19, of 0.99 takes 199. `groups`: the
    number of each row's, where some belong together.

    Where none of n amounts is below 0, intervals end there: the next is below it with a chance of 1 in n + 1 at most.
    """
    found = predictions.ravel()
    tail = (1 - level) / 2
    rows_min = int(np.ceil(1 / tail - 1 - 1e-9))
    if len(found) < rows_min:
        return None
    alike = 1.0 if groups is None else _design_effect(y - found, groups, tail)
    edges = _edges(found, rows_min=int(alike * max(BIN_ROWS_MIN, rows_min)))
    bins = np.searchsorted(edges, found, side="right")
    sides = [_sides(y[bins == place] - found[bins == place], tail, alike) for place in range(len(edges) + 1)]
    lower, upper = zip(*sides, strict=True)
    floor = 0.0 if float(np.min(y)) >= 0 else None
    return Conformal(level, tuple(map(float, edges)), lower, upper, floor)


def _edges(predictions: Floats, *, rows_min: int) -> Floats:
    """Cuts between bins of about equally many rows; equal predictions stay together, and no bin gets small."""
    edges: list[float] = []
    ordered = np.sort(predictions)
    bins = max(1, min(BINS_MAX, len(ordered) // rows_min))
    begin = 0
    for edge in np.unique(ordered[len(ordered) * np.arange(1, bins) // bins]):
        place = int(np.searchsorted(ordered, edge, side="left"))
        if place - begin >= rows_min and len(ordered) - place >= rows_min:
            edges.append(float(edge))
            begin = place
    return np.array(edges)


def _design_effect(errors: Floats, groups: Ints, tail: float) -> float:
    """How many times as much the share of rows beyond a side varies as if each row were a group of its own."""
    effects = [1.0]
    for beyond in (errors < np.quantile(errors, tail), errors > np.quantile(errors, 1 - tail)):
        apart = beyond - beyond.mean()
        if beyond.any():
            effects.append(float((np.bincount(groups, apart) ** 2).sum() / (apart**2).sum()))
    return max(effects)


def _sides(errors: Floats, tail: float, alike: float) -> tuple[float, float]:
    """The errors of rank (n + 1) tail from below, rounded down, and as many from above: Lei et al. 2018. Where `alike`
    rows stand for one, the middle of those that have this rank of n / `alike`."""
    ordered = np.sort(errors)
    rank = max(int(len(ordered) * tail + (1 - alike) / 2 + alike * tail + 1e-9), 1)
    return float(ordered[rank - 1]), float(ordered[-rank])
