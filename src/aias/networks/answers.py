"""Of answers to learn from: in what unit they are learned, and what is answered before anything is known of a row."""

import numpy as np

from aias.core.arrays import Floats, Ints
from aias.core.task import Task


def usual_outputs(y: Floats | Ints, weight: Floats | None, task: Task) -> Floats:
    """Log odds of the second class, logarithms of all shares, or 0, the mean of amounts in their unit: (outputs,)."""
    if not task.classes:
        return np.zeros(1)
    shares = np.bincount(y, weight, len(task.classes)) + 1.0
    logs = np.log(shares / shares.sum())
    return np.asarray(logs[1:] - logs[0] if task.type == "binary" else logs)


def span_of(y: Floats | Ints, weight: Floats | None, task: Task) -> Floats:
    """Shift, scale, least and largest answer of a regression: (4,)."""
    if task.classes:
        return np.array([0.0, 1.0, 0.0, 1.0])
    size = float(np.abs(y).max()) or 1.0  # so that nothing is squared that has no square
    scaled = y / size
    shift = float(np.average(scaled, weights=weight))
    scale = float(np.sqrt(np.average((scaled - shift) ** 2, weights=weight)))
    return np.array([shift * size, scale * size or 1.0, y.min(), y.max()])
