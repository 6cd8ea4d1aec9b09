"""The search context of the axes: the members of the parent, how good each is, and the shape of the data."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Final

from aias.core.arrays import Floats
from aias.training.selection.configuration import Configuration
from aias.training.selection.leaderboard import Leaderboard
from aias.training.selection.members import Member
from aias.training.selection.portfolio import Shape
from aias.training.selection.search import losses_of, searched

BEST: Final = 2
"""Members whose settings are varied; with more there would be less time for each."""

STEPS_MAX: Final = 3
"""Variations of variations, at most: further away, what made the first one good no longer holds."""

STEP: Final = ", "
"""Between the name of a configuration and what was changed in it."""

FEWER_TREES: Final = "fewer trees"
"""What the last trees were taken from."""

TREES: Final = ("boosted_trees", "xgboost", "catboost", "extra_trees")
BOOSTED: Final = TREES[:3]

BOOSTING_RATES: Final = {"boosted_trees": 0.05, "xgboost": 0.04, "catboost": 0.08}
"""The learning rate of each booster, where the settings name none."""

RULES: Final = {
    "mlp": ("adamw", "schedule_free", "momentum", "sgd"),
    "text_mlp": ("adam", "schedule_free", "momentum", "sgd"),
}
"""The update rules of each network, the default first."""


@dataclass(frozen=True, slots=True, eq=False)
class SearchContext:
    """What a search along an axis knows: the members so far, the data, and what may join."""

    board: Leaderboard
    shape: Shape
    seed: int
    searcher: str
    learners: tuple[str, ...]
    """Learners that may join; all, if none is named."""
    asked: Callable[[], Floats]
    """The share of all splits of trees that use each encoded column, (width,): `columns.asked_of`."""

    @property
    def ranked(self) -> list[Member]:
        """The members of learners that may join, by how good they are by themselves."""
        losses = losses_of(self.board)
        may = (each for each in self.board.members if not self.learners or each.configuration.learner in self.learners)
        return sorted(may, key=lambda each: losses[each.name])

    @property
    def best(self) -> list[Member]:
        """The members that are best by themselves, one of each learner."""
        first: dict[str, Member] = {}
        for each in self.ranked:
            first.setdefault(each.configuration.learner, each)
        return list(first.values())[:BEST]

    @property
    def names(self) -> set[str]:
        return {each.name for each in self.board.members}


Variations = Callable[[SearchContext, Member], Iterator[Configuration]]

Axis = Callable[[SearchContext], Iterator[Configuration]]
"""The proposals of one axis, in order. One is pulled when there is time for it, so it knows the results so far."""


def around_best(context: SearchContext, vary: Variations) -> Iterator[Configuration]:
    """Variations of the members that are best whenever another is asked for, each once."""
    given: set[str] = set()
    while True:
        found = (
            each
            for member in context.best
            if member.name.count(STEP) < STEPS_MAX
            for each in vary(context, member)
            if each.name not in given
        )
        new = next(found, None)
        if new is None:
            return
        given.add(new.name)
        yield new


def around_used(context: SearchContext, of: Callable[[str], bool], label: str) -> Iterator[Configuration]:
    """What the searcher proposes for the families that are best; when these change it begins anew."""
    for turn in count(1):
        families = {each.configuration.learner for each in context.best}
        name = label if turn == 1 else f"{label} {turn}"
        asked = searched(
            context.board, seed=context.seed + turn, searcher=context.searcher, of=of, label=name, only=context.learners
        )  # fmt: skip
        for configuration in asked:
            yield configuration
            if {each.configuration.learner for each in context.best} != families:
                break
        else:
            return


def in_turns(*parts: Iterator[Configuration]) -> Iterator[Configuration]:
    """One of each, as long as it has any."""
    waiting = deque(parts)
    while waiting:
        part = waiting.popleft()
        found = next(part, None)
        if found is not None:
            waiting.append(part)
            yield found


def changed(configuration: Configuration, what: str, **settings: Any) -> Configuration:
    """The same with other settings; `what` says so in its name. What is set to None is left to the learner."""
    held = {name: value for name, value in {**configuration.settings, **settings}.items() if value is not None}
    return replace(configuration, name=f"{configuration.name}{STEP}{what}", settings=held)


def setting(member: Member, name: str, usual: Any) -> Any:
    """What a member came to where the search looks, was begun with, or has as usual."""
    return member.came_to.get(name, usual)
