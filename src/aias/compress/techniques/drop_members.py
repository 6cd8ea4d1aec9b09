"""Members left out, and of each one fit instead of one a fold: an ensemble costs what all its members cost."""

from collections.abc import Iterator
from functools import partial
from typing import Final

import numpy as np

from aias.compress.context import Context
from aias.compress.techniques.contract import Candidate, Made, NotApplicable
from aias.training.selection.members import Member
from aias.training.selection.weights import mix

__all__ = ["drop_members"]

SOME: Final = 3
"""Members: the fourth heaviest hardly counts, and each form is made, loaded and timed."""


def drop_members(context: Context) -> Iterator[Candidate]:
    """The heaviest member alone, then two, three, and all; then some of the others alone."""
    whole = len(context.members)
    bagged = context.prepared.table.fold_count > 1  # both forms are means of several fits
    if whole == 1 and not bagged:
        raise NotApplicable("it has one member, fitted once")
    for count in range(1, whole + bagged):
        if count <= SOME or count == whole:
            yield _candidate(context, list(context.members[:count]), bagged=bagged)
    for member in context.members[1:SOME]:
        yield _candidate(context, [member], bagged=bagged)


def _candidate(context: Context, members: list[Member], *, bagged: bool) -> Candidate:
    places = [context.members.index(each) for each in members]
    weights = np.asarray(context.weights[places])
    names = " + ".join(each.name for each in members)
    scores = mix(np.stack([each.scores for each in members]), weights / weights.sum())
    made = partial(_make, context, members, weights)
    return Candidate(f"{names}, fitted once" if bagged else f"{names} alone", made, scores)


def _make(context: Context, members: list[Member], weights: object, fold: int) -> Made:
    return Made(context.mixed(members, np.asarray(weights), fold), context.encoder)
