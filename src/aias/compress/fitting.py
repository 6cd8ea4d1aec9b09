"""Configurations as candidates: fitted by training on all folds, now or when somebody asks for the first of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from aias.compress.context import FITTED_ALONE, FITTED_SHARE, Context
from aias.compress.techniques.contract import Candidate, Made
from aias.training.parent import NoTime
from aias.training.selection.configuration import Configuration
from aias.training.selection.members import Member
from aias.training.selection.trial import is_whole

COST_MIN: Final = 0.1
"""Of a fit of all rounds, what even the fewest take: binning, columns that are derived."""


def rounds_cost(rounds: int, of: int) -> float:
    """`Configuration.cost` of so many rounds, where those `of` a member are what is known of how long a fit takes."""
    return min(1.0, COST_MIN + rounds / max(of, 1))


def fitted_share(proposed: Mapping[str, Sequence[Any]]) -> float:
    """Of the time to search, for those of these candidates that are fitted as in training."""
    others = any(isinstance(each, Candidate) for found in proposed.values() for each in found)
    return FITTED_SHARE if others else FITTED_ALONE


def fitted(context: Context, configuration: Configuration) -> Candidate:
    """Raises `NoTime`."""
    found: list[Member] = []

    def take(each: Member) -> bool:
        found.append(each)
        return True

    context.plan.run([configuration], take)
    if not found or is_cut(context, found[0]):
        raise NoTime(f"there was no time to fit {configuration.name}", hint="give more time")
    return candidate_of(context, found[0])


def is_cut(context: Context, member: Member) -> bool:
    """Whether the time cut a fit of some fold: what that says is not what a fit on all rows will."""
    return not all(is_whole(each, context.fitter.table, context.fitter.ledger) for each in member.units)


def candidate_of(context: Context, member: Member) -> Candidate:
    return Candidate(member.name, lambda fold: Made(context.part(member, fold), context.encoder), member.scores)


def fitted_when_asked(context: Context, configuration: Configuration) -> Candidate:
    return Candidate(configuration.name, _Later(context, configuration))


@dataclass(eq=False)
class _Later:
    context: Context
    configuration: Configuration
    _found: list[Candidate] = field(default_factory=list)

    def __call__(self, fold: int) -> Made:
        if not self._found:
            self._found.append(fitted(self.context, self.configuration))
        return self._found[0].make(fold)
