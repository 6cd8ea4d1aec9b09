"""A smaller model trained directly, without any help of the parent: what every compression must be better than."""

from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from aias.compress.context import Context
from aias.compress.fewer_terms import direct
from aias.compress.fitting import rounds_cost
from aias.compress.techniques.contract import Candidate, Made, NotApplicable
from aias.training.pipeline import read_by
from aias.training.selection.configuration import Configuration
from aias.training.selection.members import Member
from aias.training.selection.portfolio import derived_of

__all__ = ["smaller_model"]

TREES: Final[dict[str, dict[str, Any]]] = {
    "20 trees of 8 leaves": {"learning_rate": 0.4, "num_leaves": 8, "rounds": 20},
    "40 trees of 31 leaves": {"learning_rate": 0.2, "num_leaves": 31, "rounds": 40},
    "100 trees of 8 leaves": {"learning_rate": 0.15, "num_leaves": 8, "rounds": 100},
}
"""The fewest first: with little time they are there at least."""


ROUNDS: Final = 400
"""Of trees that were not met."""

LINEAR_COST: Final = 0.5
"""Of trees on the same columns; where there are terms nobody knows."""

SHARES: Final = (0.1, 0.03)
"""Of the terms, where a linear model of all is a member already."""
TERMS_MIN: Final = 100


def smaller_model(context: Context) -> Iterator[Configuration | Candidate]:
    layout, sentences = context.encoder.layout, context.prepared.embedding is not None
    linear = [each for each in context.members if each.configuration.learner == "linear"]
    if not (layout.width or layout.terms or sentences):
        raise NotApplicable("its texts come as tokens of its own encoder, and nothing else reads these")
    if not linear:
        yield Configuration("linear, direct", "linear", cost=1.0 if layout.terms else LINEAR_COST)
    elif not sentences:
        yield from _of_fewer_terms(context, linear[0])
    elif not any(_words_alone(each.configuration) for each in linear):
        yield Configuration("words alone, direct", "linear", {"ratios": True} if context.task.classes else {})
    elif not layout.width:
        raise NotApplicable("a linear model of its words alone is a member already, and `drop_members` tries that")
    if layout.width:
        derived, known = derived_of(layout), _rounds(context)
        for name, settings in TREES.items():
            cost = rounds_cost(settings["rounds"], known)
            yield Configuration(f"{name}, direct", "boosted_trees", settings, derived, cost=cost)


def _rounds(context: Context) -> int:
    """Of the trees by whose fits it is known how long one takes."""
    trees = [each.refit.configuration.settings for each in context.members
             if each.configuration.learner == "boosted_trees"]  # fmt: skip
    return max((int(each.get("rounds", 0)) for each in trees), default=0) or ROUNDS


def _of_fewer_terms(context: Context, linear: Member) -> list[Candidate]:
    """Smaller ones of the kind that is a member already."""
    layout = context.encoder.layout
    counts = [count for share in SHARES if (count := round(share * layout.terms)) >= TERMS_MIN]
    if not (counts or layout.width):
        raise NotApplicable(
            f"it is a linear model of {layout.terms:,} terms, and a tenth of them are fewer than {TERMS_MIN}"
        )
    return [
        Candidate(f"linear, {each:,} terms, direct", partial(_fewer_terms, context, linear, each)) for each in counts
    ]


def _fewer_terms(context: Context, linear: Member, count: int, fold: int) -> Made:
    found = context.once(("direct", linear.name, count, fold), lambda: direct(context, linear, count, fold))
    return Made(found.pipeline, found.encoder)


def _words_alone(configuration: Configuration) -> bool:
    return "sentences" not in read_by(configuration)
