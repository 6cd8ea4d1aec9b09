"""One judge for all systems."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from aias.core.arrays import Floats

HIGHER_IS_BETTER: Final = {"roc_auc": True, "log_loss": False, "rmse": False}

TIE: Final = 1e-4
"""Two scores that differ by less, relatively, are as good as each other."""

PROBABILITY_MIN: Final = 1e-15


def score(metric: str, answers: Floats, found: npt.NDArray[Any]) -> float:
    """`found`: probabilities (rows, classes), or values (rows,)."""
    found = np.asarray(found, np.float64)
    assert len(found) == len(answers), f"{len(found)} answers to {len(answers)} rows"
    assert np.isfinite(found).all(), "an answer is no number"
    return {"roc_auc": roc_auc, "log_loss": log_loss, "rmse": rmse}[metric](answers, found)


def roc_auc(answers: Floats, probabilities: Floats) -> float:
    """How often a positive row stands above a negative one (Mann & Whitney 1947); ties count half."""
    _, index, count = np.unique(probabilities[:, 1], return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[index]  # (rows,) from 1, the mean one where tied
    positive = answers == 1
    n, m = int(positive.sum()), int((~positive).sum())
    return float((rank[positive].sum() - n * (n + 1) / 2) / (n * m))


def log_loss(answers: Floats, probabilities: Floats) -> float:
    sure = np.clip(probabilities, PROBABILITY_MIN, 1)
    sure /= sure.sum(axis=1, keepdims=True)  # (rows, classes)
    return float(-np.log(sure[np.arange(len(sure)), answers.astype(int)]).mean())


def rmse(answers: Floats, values: Floats) -> float:
    return float(np.sqrt(np.mean((answers - values.reshape(-1)) ** 2)))


def better(metric: str, a: float, b: float) -> int:
    """1 when `a` is better than `b`, -1 when worse, 0 for a tie."""
    if abs(a - b) <= TIE * max(abs(a), abs(b)):
        return 0
    return 1 if (a > b) == HIGHER_IS_BETTER[metric] else -1
