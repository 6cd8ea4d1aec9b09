"""`compress/comparison.py`: each metric's loss is the difference of what the metrics say, and has limits."""

import numpy as np
import pytest

from aias.compress.comparison import Answered, evidence
from aias.core.task import METRICS, Task
from aias.training.scoring.metrics import measure

CLASSES = {"binary": ("a", "b"), "multiclass": ("a", "b", "c"), "regression": ()}


def answered(task, rng, y):
    if not task.classes:
        return Answered((y + rng.normal(size=len(y)))[:, None])
    raw = rng.random((len(y), len(task.classes))) + 0.5 * np.eye(len(task.classes))[y]
    return Answered(raw / raw.sum(axis=1, keepdims=True))


@pytest.mark.parametrize(("metric", "kind"), [(name, kind) for name, (_, kinds) in METRICS.items() for kind in kinds])
def test_the_loss_of_every_metric_is_the_difference_of_two_measurements(metric, kind):
    rng = np.random.default_rng(0)
    task = Task("y", kind, metric, CLASSES[kind])
    y = rng.integers(0, len(task.classes), 150) if task.classes else rng.uniform(5, 9, 150)
    before, after = answered(task, rng, y), answered(task, rng, y)

    found = evidence(task, y, before, after, seed=0)

    sign = 1 if task.direction == "lower" else -1
    values = [measure(task, y, each.scores).value for each in (before, after)]
    assert found.value == pytest.approx(sign * (values[1] - values[0]))
    assert found.limit(0.05) < found.limit(0.95)
    assert 0 <= found.confidence(found.value) <= 1
    assert found.spread > 0
