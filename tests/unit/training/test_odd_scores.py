"""What is told of scores that are hardly better than chance, or too good to be true."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from aias.core.events import Event
from aias.core.task import Measurement, Task
from aias.training.forms import Forms

Y = np.arange(400) % 2


@pytest.mark.parametrize(
    ("f1", "told"),
    [
        (Measurement("f1", 0.999, 400, 0.99, 1.0), "roc_auc 0.9990 (400 rows): almost perfect on rows never seen"),
        (Measurement("f1", 0.29, 400, 0.0, 1.0), "the same answer for every row gives f1 0.6667"),
        (Measurement("f1", 0.9, 400, 0.85, 0.95), ""),
    ],
)
def test_what_is_no_better_than_chance_is_not_called_too_good_as_well(f1: Measurement, told: str) -> None:
    events: list[Event] = []
    one: Any = SimpleNamespace(
        watch=events.append, prepared=SimpleNamespace(table=SimpleNamespace(whole=SimpleNamespace(y=Y)))
    )
    board: Any = SimpleNamespace(task=Task("y", "binary", "f1", ("no", "yes")), y=Y)
    auc = Measurement("roc_auc", 0.999 if f1.value != 0.9 else 0.95, 400)

    Forms._tell_of_odd_scores(one, board, (f1, auc))

    assert [each.message[: len(told)] for each in events] == ([told] if told else [])
