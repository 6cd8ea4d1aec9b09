"""What a row costs whatever the model, for each kind of answer and of input."""

from dataclasses import replace

import numpy as np
import pytest

import artifacts
from aias.core.schema import Field
from aias.core.task import Task
from aias.encoders.rows import RowEncoder
from aias.training.base_cost import SHARED_CALL, base_cost

TASKS = (
    Task("y", "regression", "rmse"), Task("y", "binary", "roc_auc", ("no", "yes")),
    Task("y", "multiclass", "log_loss", ("a", "b", "c")),
)  # fmt: skip


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.type)
@pytest.mark.parametrize(("kind", "values"), [("number", np.arange(9.0)), ("text", ["red and blue"] * 9)])
def test_the_smallest_model_is_called_and_asked_for_more_than_reading(task: Task, kind: str, values: object) -> None:
    encoder = RowEncoder.fit([Field("a", kind)], {"a": values})
    draft = replace(artifacts.manifest("m"), task=task, inputs=encoder.fields, ignored=(), encoders=())
    found = base_cost(encoder, draft, [{"a": value} for value in values])

    assert found.encode_us > 0 and found.call_us > 0
    assert found.shared_us == found.encode_us + SHARED_CALL * found.call_us
