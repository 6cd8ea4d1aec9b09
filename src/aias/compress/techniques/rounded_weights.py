"""Weights of networks and of tables of terms in 8 or 16 bits in place of 32; answers are added up as before."""

from collections.abc import Iterator
from functools import partial
from typing import Final

import numpy as np

from aias.compress.context import Context
from aias.compress.rounding import rounded
from aias.compress.techniques.contract import Candidate, Made, NotApplicable
from aias.training.selection.members import Member

__all__ = ["rounded_weights"]

KINDS: Final = {8: "int8", 16: "float16"}


def rounded_weights(context: Context) -> Iterator[Candidate]:
    """The whole in each precision, every member fitted once; and the heaviest member that can be rounded alone."""
    if context.base is not None:
        for bits, kind in KINDS.items():
            yield Candidate(f"the whole in {kind}", partial(_make_base, context, bits))
        return
    able = [each for each in context.members if _can_be(context, each)]
    if not able:
        raise NotApplicable("it has no network and no table of terms, and what else there is is small")
    groups = [list(context.members)] + ([able[:1]] if len(context.members) > 1 else [])
    for members in groups:
        for bits, kind in KINDS.items():
            names = " + ".join(each.name for each in members)
            yield Candidate(f"{names} in {kind}", partial(_make, context, members, bits))


def _make_base(context: Context, bits: int, fold: int) -> Made:
    assert context.base is not None
    return Made(rounded(context.base.at(fold).pipeline, bits), context.encoder)


def _can_be(context: Context, member: Member) -> bool:
    reads_terms = bool(context.encoder.layout.terms)
    learner = member.configuration.learner
    return learner == "mlp" or (reads_terms and (learner in ("linear", "text_mlp") or member.configuration.sums_texts))


def _make(context: Context, members: list[Member], bits: int, fold: int) -> Made:
    weights = np.asarray([context.weights[context.members.index(each)] for each in members])
    return Made(rounded(context.mixed(members, weights, fold), bits), context.encoder)
