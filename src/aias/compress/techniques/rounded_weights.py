"""Weights of networks and of tables of terms in 8 or 16 bits in place of 32; answers are added up as before."""

from collections.abc import Iterator
from functools import partial
from typing import Final

import numpy as np

from aias.compress.rounding import rounded
from aias.compress.techniques.contract import Candidate, CannotHelp, Made
from aias.compress.workshop import Workshop
from aias.training.selection.members import Member

__all__ = ["rounded_weights"]

KINDS: Final = {8: "int8", 16: "float16"}


def rounded_weights(shop: Workshop) -> Iterator[Candidate]:
    """The whole in each precision, every member fitted once; and the heaviest member that can be rounded alone."""
    if shop.base is not None:
        for bits, kind in KINDS.items():
            yield Candidate(f"the whole in {kind}", partial(_make_base, shop, bits))
        return
    able = [each for each in shop.members if _can_be(shop, each)]
    if not able:
        raise CannotHelp("it has no network and no table of terms, and what else there is is small")
    groups = [list(shop.members)] + ([able[:1]] if len(shop.members) > 1 else [])
    for members in groups:
        for bits, kind in KINDS.items():
            names = " + ".join(each.name for each in members)
            yield Candidate(f"{names} in {kind}", partial(_make, shop, members, bits))


def _make_base(shop: Workshop, bits: int, fold: int) -> Made:
    assert shop.base is not None
    return Made(rounded(shop.base.at(fold).pipeline, bits), shop.encoder)


def _can_be(shop: Workshop, member: Member) -> bool:
    reads_terms = bool(shop.encoder.layout.terms)
    learner = member.configuration.learner
    return learner == "mlp" or (reads_terms and (learner in ("linear", "text_mlp") or "text_sums" in _derived(member)))


def _derived(member: Member) -> tuple[str, ...]:
    return member.configuration.derived


def _make(shop: Workshop, members: list[Member], bits: int, fold: int) -> Made:
    weights = np.asarray([shop.weights[shop.members.index(each)] for each in members])
    return Made(rounded(shop.mixed(members, weights, fold), bits), shop.encoder)
