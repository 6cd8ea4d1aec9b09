"""What answers are worth that are the same for every row."""

import numpy as np
import pytest

from aias.core.events import Event
from aias.core.task import Measurement, Task
from aias.training.selection.chance import tell_of_chance

ROWS = 400


@pytest.mark.parametrize(
    ("metric", "usual"), [("median_absolute_error", "1.000"), ("mape", "0.5414"), ("f1", "0.6667")]
)
def test_a_model_that_is_no_better_than_one_answer_for_all_is_told_of(metric: str, usual: str) -> None:
    told: list[Event] = []
    labels = metric == "f1"
    task = Task("y", "binary", metric, ("no", "yes")) if labels else Task("y", "regression", metric, ())
    y = np.arange(ROWS) % 2 if labels else np.repeat([1.0, 2.0, 3.0, 1_000.0], ROWS // 4)
    worse = 0.6 if labels else 2.0
    assert tell_of_chance(task, y, y, [Measurement(metric, worse, ROWS, worse, worse)], watch=told.append)
    assert [usual in each.message for each in told] == [True]


def test_of_many_labels_what_is_usual_does_not_know_which_ones_came_up() -> None:
    """Of two hundred labels of two rows each, eighty judged rows show less than eighty."""
    told: list[Event] = []
    task = Task("y", "multiclass", "log_loss", tuple(f"l{i:03}" for i in range(200)))
    learned = np.arange(ROWS) % 200
    judged = learned[:80]

    honest = Measurement("log_loss", 5.1, 80, 5.0, 5.2)
    assert not tell_of_chance(task, judged, learned, [honest], watch=told.append)
    assert tell_of_chance(task, judged, learned, [Measurement("log_loss", 5.3, 80, 5.2, 5.4)], watch=told.append)
    assert [each.facts["usual"] for each in told] == [pytest.approx(np.log(200))]
