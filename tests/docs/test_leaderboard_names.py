"""Every name that training gives a model is explained where users look for it."""

from pathlib import Path

import pytest

from aias.core.task import Task
from aias.encoders.rows import Layout
from aias.training.selection.portfolio import Shape, _clipped, _ordered

TRAIN = Path(__file__).parents[2] / "docs/how-to/train.md"
TASKS = (
    Task("y", "regression", "rmse"),
    Task("y", "binary", "accuracy", ("a", "b")),
    Task("y", "multiclass", "accuracy", ("a", "b", "c")),
)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.type)
@pytest.mark.parametrize("rows", [50, 1_000, 200_000])
@pytest.mark.parametrize("texts", [0, 1])
def test_every_name_on_the_leaderboard_is_explained(task: Task, rows: int, texts: int) -> None:
    layout = Layout(30, tuple(range(29)), (29,), (5_000,), 100 * texts, texts)
    shape = Shape(task, rows, layout, sentences=bool(texts), skewed=not task.classes)
    names = [each.name for each in _ordered(shape)]
    page = TRAIN.read_text("utf-8")

    assert len(names) > 10
    assert [name for name in names if f"`{name}`" not in page] == []
    assert any(each.name.endswith(" clipped") for each in _clipped(_ordered(shape))) and "`… clipped`" in page
