"""What is tried when the portfolio is through: settings that a searcher proposes for the families that did best.

    for configuration in searched(board, seed=0): ...        pulled when a worker is free; told by looking at the board

Every proposal is a new member of its family; the trials so far are the family's own members.
"""

import importlib.util
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final, Protocol

from aias.core.arrays import Floats
from aias.core.catalog import member, members
from aias.core.errors import NotFound, UserError
from aias.core.suggestions import choices
from aias.core.task import Task
from aias.training.selection.configuration import Configuration
from aias.training.selection.members import Member
from aias.training.table import Table
from aias.tuning.contract import Dimension, Float, Search, Space, Trial, fits
from aias.tuning.spaces import SPACES, Searched

FAMILIES_MAX: Final = 3
"""Searched in turns, if they are in the ensemble; time spent on a fourth is taken from better ones."""

PATHED: Final = frozenset({"C"})
"""What fitting itself searches, on a path from one value to the next: to search it again gains nothing."""

UNHEARD: Final = 2
"""Proposals that may still be fitted when the next is asked for. Their results are not looked at yet, even where they
are known: what is asked next then does not hang on which worker was faster."""


class Judged(Protocol):
    """What a search sees of a board: members, and how good each is by itself."""

    task: Task
    table: Table
    members: list[Member]
    weights: Floats
    """How much each of them counts in the ensemble so far, (members,)."""

    def worths(self) -> Floats:
        """What each member is worth by itself, (members,); more is better."""


@dataclass(eq=False)
class _Family:
    """A learner whose settings are searched around its best member."""

    learner: str
    best: Configuration
    space: Space
    search: Search
    best_loss: float
    asked: int = 0
    better: int = 0
    """Proposals that were better than all before them."""

    @property
    def promise(self) -> float:
        return (1 + self.better) / (1 + self.asked)


@dataclass(frozen=True, slots=True, eq=False)
class _Proposal:
    configuration: Configuration
    family: _Family
    settings: Mapping[str, Any]


@dataclass(eq=False)
class _Searching:
    board: Judged
    families: list[_Family]
    label: str
    proposals: list[_Proposal] = field(default_factory=list)
    heard: int = 0

    def next(self) -> Configuration:
        """Of the family that promises most; the best one first, and of equals the better."""
        self._hear()
        family = max(self.families, key=lambda each: each.promise)
        settings = family.search.ask()
        family.asked += 1
        always = SPACES[family.learner].always
        # What goes on from another fit has that one's shape.
        kept = {name: value for name, value in family.best.settings.items() if name != "start"}
        best, name = family.best, self._name(family)
        configuration = Configuration(name, family.learner, {**kept, **always, **settings}, best.derived, best.features)
        self.proposals.append(_Proposal(configuration, family, settings))
        return configuration

    def _name(self, family: _Family) -> str:
        """A new one: members that an earlier search has left may be called alike, and what they are worth is theirs."""
        taken = {each.name for each in self.board.members} | {each.configuration.name for each in self.proposals}
        names = (f"{family.learner} {self.label}#{number}" for number in count(1))
        return next(name for name in names if name not in taken)

    def _hear(self) -> None:
        """Tell what became of the proposals that are through, in the order in which they were made."""
        losses = losses_of(self.board)
        while self.heard < len(self.proposals) - UNHEARD:
            proposal = self.proposals[self.heard]
            loss = losses.get(proposal.configuration.name)
            family = proposal.family
            family.search.tell(proposal.settings, loss)
            if loss is not None and loss < family.best_loss:
                family.best_loss, family.better = loss, family.better + 1
            self.heard += 1


def off_path(dimension: str) -> bool:
    return dimension not in PATHED


def searched(
    board: Judged,
    *,
    seed: int,
    searcher: str = "tpe",
    of: Callable[[str], bool] = off_path,
    label: str = "",
    only: Collection[str] = (),
) -> Iterator[Configuration]:
    """Configurations without end; none where no member's family can be searched. Raises `NotFound`, `UserError`.

    `of`: the dimensions that are searched, all others staying as they are, and as a rule those that fitting does not
    search by itself; `label`: what their names say; `only`: of these learners, where some are named.
    """
    found = searcher_of(searcher)
    families = _families(board, found, seed, of, only)
    if not families:
        return
    searching = _Searching(board, families, f"{label} " if label else "")
    while True:
        yield searching.next()


def searcher_of(name: str) -> Any:
    """The searcher of this name, whose libraries are there."""
    if name not in members("tuning"):
        raise NotFound(f"there is no searcher `{name}`", hint=choices(name, members("tuning")))
    found = member("tuning", name)
    for module in found.needs:
        if importlib.util.find_spec(module.partition(".")[0]) is None:
            raise UserError(
                f"the searcher `{name}` needs {module}, which is not installed", hint=f"pip install 'aias[{name}]'"
            )
    return found


def losses_of(board: Judged) -> dict[str, float]:
    """What each member is worth by itself, by name; lower is better."""
    return {each.name: -float(worth) for each, worth in zip(board.members, board.worths(), strict=True)}


def _families(
    board: Judged, searcher: Any, seed: int, of: Callable[[str], bool], only: Collection[str]
) -> list[_Family]:
    losses = losses_of(board)
    wanted = (each for each in board.members if not only or each.configuration.learner in only)
    ranked = sorted(wanted, key=lambda each: losses[each.name])
    first = {each.configuration.learner: each for each in reversed(ranked)}  # the best of each learner
    categories = bool(board.table.encoder.layout.categories)
    spaces = {
        learner: {name: each for name, each in searched.over(categories=categories).items() if of(name)}
        for learner, searched in SPACES.items()
    }
    learners = [name for name in dict.fromkeys(each.configuration.learner for each in ranked) if spaces.get(name)]
    learners = [name for name in learners if name != "linear"] or learners  # its one setting was searched by its path
    used = {each.configuration.learner for each, weight in zip(board.members, board.weights, strict=True) if weight > 0}
    learners = learners[:1] + [name for name in learners[1:] if name in used]
    return [
        _family(first[name].configuration, board, losses, searcher, seed=seed + place, space=spaces[name])
        for place, name in enumerate(learners[:FAMILIES_MAX])
    ]


def _family(
    best: Configuration, board: Judged, losses: Mapping[str, float], searcher: Any, *, seed: int, space: Space
) -> _Family:
    searched = SPACES[best.learner]
    space = {name: _around(each, best.settings.get(name)) for name, each in space.items()}
    trials = [
        Trial(point, losses[each.name])
        for each in board.members
        if _reads(each.configuration) == _reads(best)
        if (point := _point(each.configuration, space, searched)) is not None
    ]
    search = searcher.start(space, seed=seed, trials=trials)
    return _Family(best.learner, best, space, search, losses[best.name])


def _around(dimension: Dimension, value: object) -> Dimension:
    """Where what is best lies below a dimension, as a share of very many columns may, from half of it to twice."""
    if isinstance(dimension, Float) and isinstance(value, float) and value < dimension.low:
        return Float(value / 2, 2 * value)
    return dimension


def _reads(configuration: Configuration) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    return configuration.learner, configuration.derived, configuration.features


def _point(configuration: Configuration, space: Space, searched: Searched) -> dict[str, Any] | None:
    """Where in the space a configuration lies, what it does not set being as usual; None where it is outside."""
    point = {name: configuration.settings.get(name, searched.usual[name]) for name in space}
    return point if fits(space, point) else None
