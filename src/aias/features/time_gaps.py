"""Points in time, two at a time, → the milliseconds between them: a column each for what asks about one at a time.

How long an order took, or how old somebody was that day, takes trees many questions of both times; a linear model has
it in its weights.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import Any, Final

import numpy as np

from aias.core.arrays import Floats
from aias.core.graph import GraphWriter
from aias.encoders.rows import Encoded, Layout

__all__ = ["TimeGaps"]

MILLISECONDS: Final = 86_400_000.0
"""Of a day. Without rounding equal gaps are many numbers, for each of which trees would have a question."""

TIMES_MAX: Final = 6
"""The first of them: 15 gaps."""


@dataclass(frozen=True, slots=True)
class TimeGaps:
    """`pairs`: the columns that hold the days since 1970 of two times, the later in the order of fields first."""

    pairs: tuple[tuple[int, int], ...]

    @classmethod
    def fit(cls, layout: Layout) -> "TimeGaps | None":
        """None where rows hold less than two times."""
        pairs = tuple((second, first) for first, second in combinations(layout.times[:TIMES_MAX], 2))
        return _of(pairs) if pairs else None

    @property
    def width(self) -> int:
        return len(self.pairs)

    def between(self, columns: Floats) -> Floats:
        """Of encoded columns, (rows, width of all): (rows, width), NaN where a time is missing."""
        later, earlier = np.array(self.pairs).T
        return np.asarray(np.round((columns[:, later] - columns[:, earlier]) * MILLISECONDS))

    def columns(self, encoded: Encoded) -> Floats:
        """For new rows: (rows, width)."""
        return self.between(encoded.columns)

    def export(self, graph: GraphWriter) -> str:
        """`columns` in the graph."""
        later, earlier = (
            graph.op("Gather", graph.columns, graph.constant(places), axis=1) for places in np.array(self.pairs).T
        )
        days = graph.op("Sub", later, earlier)
        return graph.op("Round", graph.op("Mul", days, graph.constant(np.array(MILLISECONDS))))

    def state(self) -> dict[str, Any]:
        return {"pairs": np.array(self.pairs)}

    @staticmethod
    def load(state: Mapping[str, Any]) -> "TimeGaps":
        return _of(tuple((int(later), int(earlier)) for later, earlier in state["pairs"]))


@cache
def _of(pairs: tuple[tuple[int, int], ...]) -> TimeGaps:
    """The same for all fits, so that the graph of several has it once."""
    return TimeGaps(pairs)
