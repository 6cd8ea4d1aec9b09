"""The third axis, how a model is trained: rates and schedules, batches and samples, seeds and averages."""

from collections.abc import Iterator
from typing import Final

from aias.optimize.context import (
    BOOSTED,
    BOOSTING_RATES,
    RULES,
    SearchContext,
    around_best,
    around_used,
    changed,
    in_turns,
    setting,
)
from aias.optimize.structure import DIMENSIONS
from aias.training.selection.configuration import Configuration
from aias.training.selection.members import Member
from aias.training.selection.search import off_path

__all__ = ["strategy"]

SEEDS: Final = 2
"""Further ones for each of the best members: the mean of three varies half as much as one."""


def strategy(context: SearchContext) -> Iterator[Configuration]:
    varied = around_best(context, _variations)
    return in_turns(varied, around_used(context, _searched, "strategy"))


def _searched(name: str) -> bool:
    """What a model is made of has an axis of its own, and what each fit searches by itself gains nothing here."""
    return off_path(name) and name not in DIMENSIONS


def _variations(_context: SearchContext, member: Member) -> Iterator[Configuration]:
    yield from _seeds(member, 1)
    yield from _rates(member)
    yield from _samples(member)
    yield from _averages(member)
    for shift in range(2, SEEDS + 1):
        yield from _seeds(member, shift)


def _seeds(member: Member, shift: int) -> Iterator[Configuration]:
    """The same again by other chance; the weights of the ensemble then average them."""
    if member.configuration.learner != "linear":  # it has one solution
        shift += member.configuration.settings.get("seed_shift", 0)
        yield changed(member.configuration, f"seed {shift}", seed_shift=shift)


def _rates(member: Member) -> Iterator[Configuration]:
    learner = member.configuration.learner
    if learner in BOOSTED:
        rate = setting(member, "learning_rate", BOOSTING_RATES[learner])
        yield changed(member.configuration, "half the rate", learning_rate=rate / 2)
    if learner in RULES:
        other = "cosine" if setting(member, "schedule", "") != "cosine" else "coslog4"
        yield changed(member.configuration, f"schedule {other}", schedule=other)


def _samples(member: Member) -> Iterator[Configuration]:
    """Smaller batches; trees on samples of rows and columns."""
    learner = member.configuration.learner
    if learner == "boosted_trees":
        share = min(0.6, setting(member, "feature_fraction", 1.0))
        yield changed(member.configuration, "sampled", bagging_fraction=0.7, bagging_freq=1, feature_fraction=share)
    if learner == "xgboost":
        yield changed(member.configuration, "sampled", subsample=0.7, colsample_bynode=0.6)
    if learner in RULES:
        rows = max(16, setting(member, "batch_rows", 128) // 2)
        yield changed(member.configuration, f"batches of {rows}", batch_rows=rows)


def _averages(member: Member) -> Iterator[Configuration]:
    """Weights averaged over more steps; without a schedule they are averaged over all."""
    if member.configuration.learner in RULES and setting(member, "update", "") != "schedule_free":
        epochs = 4 * setting(member, "average_epochs", 1.0) or 1.0
        yield changed(member.configuration, f"averaged over {epochs:g} epochs", average_epochs=epochs)
