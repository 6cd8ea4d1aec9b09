"""What the axes see when they propose: the members of the parent, how good each is, and the shape of the data."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from aias.encoders.contract import Floats
from aias.training.board import Board
from aias.training.configuration import Configuration
from aias.training.pipeline import Pipeline
from aias.training.plan import Member
from aias.training.portfolio import Shape
from aias.training.search import losses_of

BEST: Final = 2
"""Members around which is tried; more would take their time from them."""

TREES: Final = ("boosted_trees", "xgboost", "catboost", "extra_trees")
BOOSTED: Final = TREES[:3]


@dataclass(frozen=True, slots=True, eq=False)
class Situation:
    board: Board
    shape: Shape
    seed: int
    searcher: str
    load: Callable[[Member], list[Pipeline]]
    """The fitted pipelines of all folds of a member."""

    @property
    def best(self) -> list[Member]:
        """The members that are best by themselves, one of each learner."""
        losses = losses_of(self.board)
        ranked = sorted(self.board.members, key=lambda each: losses[each.name])
        first = {each.configuration.learner: each for each in reversed(ranked)}
        return sorted(first.values(), key=lambda each: losses[each.name])[:BEST]

    @property
    def names(self) -> set[str]:
        return {each.name for each in self.board.members}


Axis = Callable[[Situation], Iterator[Configuration]]
"""What one axis proposes, in its order; pulled when there is time for another, so it sees what came of the last."""


def changed(configuration: Configuration, what: str, **settings: Any) -> Configuration:
    """The same with other settings; `what` says so in its name. What is set to None is left to the learner."""
    held = {name: value for name, value in {**configuration.settings, **settings}.items() if value is not None}
    return replace(configuration, name=f"{configuration.name}, {what}", settings=held)


def setting(member: Member, name: str, usual: Any) -> Any:
    """What a member came to, was begun with, or has as usual."""
    held: Mapping[str, Any] = member.refit.configuration.settings
    return held.get(name, usual)


def asked_of(pipelines: list[Pipeline], width: int) -> Floats:
    """How large a share of all splits asks for each encoded column, (width,)."""
    counts = np.zeros(width)
    for pipeline in pipelines:
        fitted: Any = getattr(pipeline, "fitted", None)
        feature = fitted.forest().feature
        counts += np.bincount(feature[feature < width], minlength=width)[:width]
    return np.asarray(counts / max(counts.sum(), 1.0))
