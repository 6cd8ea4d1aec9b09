"""The first axis, what a model holds: where fitting starts, how it moves, and what of it is worth keeping."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from aias.optimize.context import (
    BOOSTED,
    BOOSTING_RATES,
    FEWER_TREES,
    RULES,
    TREES,
    SearchContext,
    around_best,
    changed,
    setting,
)
from aias.training.selection.configuration import Configuration
from aias.training.selection.members import Member

__all__ = ["parameters"]

RARE: Final = 0.25
"""Of an even share of all splits: a column that is asked for less often is tried to do without."""

FEWER_ROUNDS: Final = 0.7
SLOWER: Final = 0.3
"""Times the rate, when the rounds of another model are gone on from."""


def parameters(context: SearchContext) -> Iterator[Configuration]:
    return around_best(context, _variations)


def _variations(context: SearchContext, member: Member) -> Iterator[Configuration]:
    yield from _updates(member)  # first: what goes on from a fit keeps its rule
    yield from _begun_otherwise(member)
    yield from _warm(member)
    yield from _pruned(context, member)


def _warm(member: Member) -> Iterator[Configuration]:
    """On from the parent's own rounds or weights, in smaller steps."""
    asked = dict(member.configuration.settings)
    start = {"asked": asked, "refit": dict(member.refit.configuration.settings)}
    if "start" in asked:  # once is enough: each step back would have to be fitted again on all rows
        return
    learner = member.configuration.learner
    if learner in BOOSTED:  # as many rounds as help: how many there were to be was said of the first ones
        rate = SLOWER * setting(member, "learning_rate", BOOSTING_RATES[learner])
        yield changed(member.configuration, "continued", learning_rate=rate, rounds=None, start=start)
    if learner in RULES:
        rate = SLOWER * setting(member, "learning_rate", 5e-3)
        yield changed(member.configuration, "continued", learning_rate=rate, schedule="cosine", start=start)


def _updates(member: Member) -> Iterator[Configuration]:
    """Another rule by which weights move; each has its own usual rate."""
    if member.configuration.learner in RULES and "start" not in member.configuration.settings:
        rules = RULES[member.configuration.learner]
        for rule in rules:
            if setting(member, "update", rules[0]) != rule:
                yield changed(member.configuration, rule.replace("_", " "), update=rule, learning_rate=None)


def _begun_otherwise(member: Member) -> Iterator[Configuration]:
    """Other first weights."""
    settings = member.configuration.settings
    if member.configuration.learner in RULES and "start" not in settings and "initial" not in settings:
        yield changed(member.configuration, "begun orthogonal", initial="orthogonal")


def _pruned(context: SearchContext, member: Member) -> Iterator[Configuration]:
    """Without the columns that trees hardly ask for, once; and without the last trees. What goes on from a fit has that
    one's trees, which ask for them all the same."""
    if "start" in member.configuration.settings:
        return
    if member.configuration.learner in TREES and "hidden" not in member.configuration.settings:
        share = context.asked()
        rare = np.flatnonzero(share < RARE / max(len(share), 1)).tolist()
        if rare and len(rare) < len(share):
            yield changed(member.configuration, f"without {len(rare)} column{'s' * (len(rare) > 1)}", hidden=rare)
    rounds = setting(member, "rounds", 0)
    if member.configuration.learner in BOOSTED and rounds > 1:
        yield changed(member.configuration, FEWER_TREES, rounds=max(1, round(FEWER_ROUNDS * rounds)))
