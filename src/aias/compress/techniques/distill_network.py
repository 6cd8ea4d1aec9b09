"""The whole parent taught to one small network (`compress.lessons`): what networks say, trees follow by steps only."""

from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from aias.compress.lessons import THREADS, lesson
from aias.compress.techniques.contract import Candidate, CannotHelp, Made
from aias.compress.workshop import Workshop, check_whole
from aias.core.catalog import member
from aias.core.events import nobody
from aias.learners.contract import Fit
from aias.training.pipeline import ColumnsPipeline
from aias.training.soft import CHANCE_MIN, soft

__all__ = ["distill_network"]

WIDTHS: Final = (128, 48)
EPOCHS: Final = 15
"""Each of several times as many rows as there are: soft answers are learned sooner, and hold no noise to be learned."""


def distill_network(shop: Workshop) -> Iterator[Candidate]:
    if not any(each.configuration.learner == "mlp" for each in shop.members):
        raise CannotHelp("no member of it is a network on numbers; what trees say, trees say faster")
    if shop.encoder.layout.texts:
        raise CannotHelp("made-up rows would mix texts with columns that do not belong to them")
    for width in WIDTHS:
        yield Candidate(f"distilled into a network of width {width}", partial(_make, shop, width))


def _make(shop: Workshop, width: int, fold: int) -> Made:
    told, layout = lesson(shop, fold), shop.encoder.layout
    settings: dict[str, Any] = {"members": 1, "width": width, "epochs": EPOCHS, "dropout": 0.0, "weight_decay": 0.0}
    how = Fit(
        shop.task, shop.seed + fold + 1, shop.fit_deadline(), THREADS, nobody, settings,
        categories=layout.categories, category_sizes=layout.category_sizes,
    )  # fmt: skip
    examples = soft(shop.task, told.columns, told.said, told.weight, least=CHANCE_MIN)
    fitted: Any = member("learners", "mlp").fit(examples, None, how)
    check_whole(how.deadline.seconds, left=how.deadline.left, less=fitted.settings["epochs"] < EPOCHS)
    return Made(ColumnsPipeline([], fitted), shop.encoder)
