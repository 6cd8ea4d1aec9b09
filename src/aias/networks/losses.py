"""What each member of a network learns to make small, and what its rows are judged by."""

from typing import Any

from aias.core.task import Task


def loss_of(task: Task, *, smoothing: float = 0.0) -> Any:
    """A function of outputs (members, rows, outputs) and answers (rows,) to the loss of each, (members, rows)."""
    import torch

    functional = torch.nn.functional

    def binary(z: Any, y: Any) -> Any:
        target = (y * (1 - smoothing) + smoothing / 2).expand(z.shape[:2])
        return functional.binary_cross_entropy_with_logits(z[:, :, 0], target, reduction="none")

    def multiclass(z: Any, y: Any) -> Any:
        each = functional.cross_entropy(
            z.reshape(-1, z.shape[2]), y.repeat(z.shape[0]), reduction="none", label_smoothing=smoothing
        )
        return each.reshape(z.shape[:2])

    def regression(z: Any, y: Any) -> Any:
        off = y - z[:, :, 0]
        if task.quantile is not None:
            return torch.maximum(task.quantile * off, (task.quantile - 1) * off)
        return off.abs() if task.metric in ABSOLUTE else off * off

    return {"binary": binary, "multiclass": multiclass, "regression": regression}[task.type]


ABSOLUTE = ("mae", "median_absolute_error", "mape")


def judged(task: Task, answer: Any, y: Any, *, span: Any) -> Any:
    """The loss of each row: `answer` as `Network.answer` gives it, `y` standardised by `span` in a regression."""
    if task.type == "regression":
        return loss_of(task)(((answer - span[0]) / span[1])[None], y)[0]
    return -answer.gather(1, y.long()[:, None])[:, 0].clamp_min(1e-7).log()
