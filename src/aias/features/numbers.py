"""Numbers → standardised, winsorised at ten standard deviations, mean-imputed, with a flag for "missing"."""

from typing import Any, ClassVar, Final

import numpy as np

from aias.core.arrays import Floats
from aias.core.graph import GraphWriter
from aias.encoders.rows import Encoded, RowEncoder

__all__ = ["Numbers"]

DEVIATIONS_MAX: Final = 10.0
"""Beyond this a value is an error or an infinity; a linear model must not follow it."""

ODD_DEVIATIONS: Final = 1_000.0
"""A value that lies so many standard deviations of all others away says nothing of them (1e300 among ages)."""

ODD_MAX: Final = 5
"""Such values that are left out of a column."""


class Numbers:
    """Two columns a number: `(x - mean) / deviation` within ±10, 0 where missing; and 1 where missing, else 0."""

    name: ClassVar[str] = "numbers"

    def __init__(self, places: tuple[int, ...], mean: Floats, scale: Floats, *, all_columns: bool) -> None:
        self.places, self.mean, self.scale = np.array(places), mean, scale
        self.width = 2 * len(places)
        self._all_columns = all_columns

    @classmethod
    def fit(cls, encoded: Encoded, encoder: RowEncoder, /) -> "Numbers | None":
        places = encoder.layout.numbers
        if not places:
            return None
        columns = (encoded.columns[:, place] for place in places)  # one after another: together they are a copy of all
        mean, deviation = np.array([_moments(column[np.isfinite(column)]) for column in columns]).T
        usable = np.isfinite(mean) & np.isfinite(deviation) & (deviation > 0)
        scale = np.where(usable, 1 / np.where(usable, deviation, 1.0), 0.0)
        return cls(places, np.where(usable, mean, 0.0), scale, all_columns=len(places) == encoder.layout.width)

    def matrix(self, encoded: Encoded) -> Any:
        from scipy import sparse

        return sparse.csr_matrix(self._dense(encoded))

    def project(self, encoded: Encoded, weights: Floats) -> Floats:
        return self._dense(encoded) @ weights

    def export(self, graph: GraphWriter, weights: Floats) -> str:
        x = graph.columns
        if not self._all_columns:
            x = graph.op("Gather", x, graph.constant(self.places), axis=1)
        scaled = graph.op("Mul", graph.op("Sub", x, graph.constant(self.mean)), graph.constant(self.scale))
        missing = graph.op("IsNaN", scaled)
        filled = graph.op("Where", missing, graph.constant(np.float64(0)), scaled)
        low, high = graph.constant(np.float64(-DEVIATIONS_MAX)), graph.constant(np.float64(DEVIATIONS_MAX))
        values = graph.op("Clip", filled, low, high)
        split = len(self.places)
        if not weights[split:].any():  # nothing was missing in training, so its flags weigh nothing
            return graph.op("MatMul", values, graph.constant(weights[:split]))
        flags = graph.op("CastLike", missing, filled)
        return graph.op("MatMul", graph.op("Concat", values, flags, axis=1), graph.constant(weights))

    def _dense(self, encoded: Encoded) -> Floats:
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = (encoded.columns[:, self.places] - self.mean) * self.scale
        missing = np.isnan(scaled)
        return np.hstack([np.clip(np.where(missing, 0.0, scaled), -DEVIATIONS_MAX, DEVIATIONS_MAX), missing])


def _moments(values: Floats) -> tuple[float, float]:
    """Mean and standard deviation, without the few values beside which nothing else would be seen."""
    with np.errstate(over="ignore", invalid="ignore"):
        if len(values) > ODD_MAX:
            away = np.abs(values - np.median(values))
            order = np.argpartition(away, -ODD_MAX)
            far = order[-ODD_MAX:][np.argsort(away[order[-ODD_MAX:]])]
            for count in range(ODD_MAX, 0, -1):
                rest = np.delete(values, far[-count:])
                deviation = rest.std()
                if away[far[-1]] <= ODD_DEVIATIONS * deviation:  # with more of them in the rest, all the more so
                    break
                if deviation > 0 and away[far[-count]] > ODD_DEVIATIONS * deviation:
                    return float(rest.mean()), float(deviation)
        return (float(values.mean()), float(values.std())) if len(values) else (0.0, 0.0)
