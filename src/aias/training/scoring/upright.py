"""What class weights did to probabilities, taken back in closed form.

Who counts class k by w_k while fitting learns p_k w_k / Σ p w of what is p_k (Elkan 2001): divided by w_k, and made to
sum to 1, that is p_k again.
"""

import numpy as np

from aias.core.arrays import Floats
from aias.core.task import LABEL_METRICS, Task


def taken_back(costs: Floats) -> Floats:
    """By what each probability is multiplied, (classes,). `costs`: how much a row of each class counted; 0 where there
    was none."""
    return np.asarray(1 / np.where(costs > 0, costs, 1.0))


def upright(task: Task, scores: Floats, costs: Floats | None) -> Floats:
    """Scores, (rows, classes), as they are judged: probabilities lean to no class, labels as was asked for."""
    if costs is None or task.metric in LABEL_METRICS:
        return scores
    even = scores * taken_back(costs)
    return np.asarray(even / even.sum(axis=1, keepdims=True))
