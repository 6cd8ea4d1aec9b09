"""The whole parent taught to one small network (`compress.distillation`): trees follow what is smooth by steps only."""

import importlib
import importlib.util
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Final

from aias.compress.context import Context, check_whole
from aias.compress.distillation import TransferSet, transfer_set
from aias.compress.plain_network import plain_network
from aias.compress.techniques.contract import Candidate, Made, NotApplicable
from aias.core.catalog import member
from aias.core.events import nobody
from aias.learners.contract import Fit
from aias.training.pipeline import ColumnsPipeline
from aias.training.soft_labels import CHANCE_MIN, soft

__all__ = ["distill_network"]

WIDTHS: Final = (128, 256)
"""The second is tried where the first is fast and loses too much."""

EPOCHS: Final = (10, 60)
"""At least and at most, of many times as many rows as there are: soft answers hold no noise to be learned by heart."""

ROWS_A_SECOND: Final = {128: 400_000, 256: 200_000}
"""Of one epoch by one thread, where half of the time of a fit is to do: no fit ends by the clock, which would cut each
fold elsewhere."""

SETTINGS: Final[dict[str, Any]] = {
    "members": 1, "dropout": 0.0, "weight_decay": 0.0, "batch_rows": 512, "learning_rate": 0.01, "vector_width": 8,
    "average_epochs": 4.0,
}  # fmt: skip
"""docs/log.md, 2026-11-28."""


def distill_network(context: Context) -> Iterator[Candidate]:
    if not context.encoder.layout.width:
        raise NotApplicable("networks read columns, and it has texts only")
    if context.encoder.layout.texts:
        raise NotApplicable("synthetic rows would mix texts with columns that do not belong to them")
    if context.task.classes and not any(each.configuration.learner == "mlp" for each in context.members):
        raise NotApplicable("it has no network on numbers as a member; what trees say of classes, trees say faster")
    if importlib.util.find_spec("torch") is None:
        raise NotApplicable("networks are fitted by PyTorch, which is not installed (`pip install 'aias[deep]'`)")
    first, *others = (
        Candidate(f"distilled into a network of width {width}", partial(_make, context, width)) for width in WIDTHS
    )
    yield replace(first, milder=lambda: others)


def _make(context: Context, width: int, fold: int) -> Made:
    importlib.import_module("torch")  # takes seconds, and is no part of a fit
    told, layout, deadline = transfer_set(context, fold), context.encoder.layout, context.fit_deadline()
    epochs = _epochs(told, width, deadline.seconds * context.threads / 2)
    settings = {**SETTINGS, "width": width, "epochs": epochs}
    how = Fit(
        context.task, context.seed + fold + 1, deadline, context.threads, nobody, settings,
        categories=layout.categories, category_sizes=layout.category_sizes,
    )  # fmt: skip
    examples = soft(context.task, told.columns, told.said, told.weight, least=CHANCE_MIN)
    fitted: Any = member("learners", "mlp").fit(examples, None, how)
    done = fitted.settings["epochs"] / epochs
    check_whole(how.deadline.seconds, left=how.deadline.left, less=done < 1, done=done)
    plain: Any = plain_network(fitted.network, fitted.settings) or fitted
    return Made(ColumnsPipeline([], plain), context.encoder)


def _epochs(told: TransferSet, width: int, seconds: float) -> int:
    """That so many seconds of one thread are enough for."""
    least, most = EPOCHS
    return min(max(least, int(seconds * ROWS_A_SECOND[width] / len(told.said))), most)
