"""A loss of accuracy: the score interval for paired proportions (Tango 1998, Statistics in Medicine 17, 891-908).

Of n rows some were answered right by the first model only (lost), some by the second only (won). The score statistic of
"the loss is x" divides by the standard error that x itself implies, so that it holds on few rows and when nothing was
lost: 0 of 500 rows lost still leaves a limit of 0.5 %.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy.special import ndtr

from aias.compress.gate.evidence import halved

TINY: Final = 1e-12
"""In place of a variance of 0, which a loss of nothing or of everything implies."""


@dataclass(frozen=True, slots=True)
class Proportions:
    """`lost` rows were answered right by the first model only, `won` by the second only."""

    lost: int
    won: int
    rows: int

    def __post_init__(self) -> None:
        assert min(self.lost, self.won) >= 0 < self.rows >= self.lost + self.won, "parts of the rows"

    @property
    def value(self) -> float:
        return (self.lost - self.won) / self.rows

    @property
    def spread(self) -> float:
        rate = (self.lost + self.won + 1) / (self.rows + 1)  # one row of doubt
        return float(np.sqrt(max(rate - self.value**2, 1 / self.rows)))

    def confidence(self, loss: float) -> float:
        return float(confidence(self.lost, self.won, self.rows, loss))

    def limit(self, confidence: float) -> float:
        return float(limit(self.lost, self.won, self.rows, confidence))


def confidence(lost: Any, won: Any, rows: Any, loss: Any) -> Any:
    """`Evidence.confidence` of many counts at once."""
    return ndtr(-score(lost, won, rows, loss))


def limit(lost: Any, won: Any, rows: Any, wanted: Any) -> Any:
    """`Evidence.limit` of many counts at once."""
    ends = np.zeros(np.broadcast(lost, won, rows, wanted).shape)
    return halved(lambda loss: confidence(lost, won, rows, loss), wanted, ends - 1, ends + 1)


def score(lost: Any, won: Any, rows: Any, loss: Any) -> Any:
    """How far, in standard errors, the counts lie above a loss of so much."""
    lost, won, rows, loss = (np.asarray(each, np.float64) for each in (lost, won, rows, loss))
    b = -lost - won + (2 * rows - lost + won) * loss
    c = -won * loss * (1 - loss)
    rate = (np.sqrt(np.maximum(b * b - 8 * rows * c, 0)) - b) / (4 * rows)  # of `won`, were the loss so much
    variance = rows * (2 * rate + loss * (1 - loss))
    above = lost - won - rows * loss
    return above / np.sqrt(np.maximum(variance, TINY))
