"""A smaller model trained directly, without any help of the parent: what every compression must be better than."""

from collections.abc import Iterator
from typing import Any, Final

from aias.compress.context import Context
from aias.compress.techniques.contract import NotApplicable
from aias.training.pipeline import read_by
from aias.training.selection.configuration import Configuration

__all__ = ["smaller_model"]

TREES: Final[dict[str, dict[str, Any]]] = {
    "40 trees of 31 leaves": {"learning_rate": 0.2, "num_leaves": 31, "rounds": 40},
    "100 trees of 8 leaves": {"learning_rate": 0.15, "num_leaves": 8, "rounds": 100},
    "20 trees of 8 leaves": {"learning_rate": 0.4, "num_leaves": 8, "rounds": 20},
}


def smaller_model(context: Context) -> Iterator[Configuration]:
    layout, known = context.encoder.layout, {each.configuration.learner for each in context.members}
    if not (layout.width or layout.terms or context.prepared.embedding):
        raise NotApplicable("its texts come as tokens of its own encoder, and nothing else reads these")
    if "linear" not in known:
        yield Configuration("linear, direct", "linear")
    elif context.prepared.embedding is not None and not any(
        _words_alone(each.configuration) for each in context.members
    ):
        yield Configuration("words alone, direct", "linear", {"ratios": True} if context.task.classes else {})
    if layout.width:
        derived = ("text_sums",) if layout.terms else ()
        for name, settings in TREES.items():
            yield Configuration(f"{name}, direct", "boosted_trees", settings, derived)


def _words_alone(configuration: Configuration) -> bool:
    return configuration.learner == "linear" and "sentences" not in read_by(configuration)
