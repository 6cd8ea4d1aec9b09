"""Which fits of a member stand for it in a version: those that folds left, and one on all rows."""

from collections.abc import Collection, Sequence
from typing import Final

from aias.core.arrays import Floats
from aias.training.ensemble import Part, bagged
from aias.training.selection.members import Member
from aias.training.table import Table
from aias.training.unit import UnitFitter

REFIT_WEIGHTS: Final = (1 / 2, 2 / 3)
FEW_SEEN: Final = 0.75
"""Of a member's weight that its fit on all rows has beside what folds left; and the share of the rows up to which a
fold has seen so few that the second holds. Three folds, eleven sets: at .7 better than at .5 on seven, worse on three;
of five and eight folds .5 is as good as any (docs/log.md)."""


BYTES_MAX: Final = 10_000_000
"""Of the quality form's graph; while it is read it takes some thirty times as much memory."""


def counts(
    members: Sequence[Member], weights: Floats, graph_bytes: Sequence[int], table: Table, refitted: Collection[str]
) -> list[int]:
    """How many fits of each member the quality form has: of a mean of parts, and of what must know the latest rows,
    the one on all rows alone; of others as many as such a graph can hold. `graph_bytes`: of one fit."""
    folds, forward = len(table.together), table.blocks is not None
    used = [
        (1 if each.merges or (each.name in refitted and forward) else folds) if weight > 0 else 0
        for each, weight in zip(members, weights, strict=True)
    ]
    held = sum(count * size for count, size in zip(used, graph_bytes, strict=True))
    most = max(1, int(folds * min(1.0, BYTES_MAX / max(1, held))))
    return [min(count, most) for count in used]


def parts_of(
    member: Member, fitter: UnitFitter, table: Table, count: int, weight: float, refitted: Collection[str]
) -> list[Part]:
    """One fit on all rows and, for what it leaves of the weight, `count` - 1 that folds left; else only these."""
    units = [member.units[fold] for fold in table.together]
    if member.name not in refitted:
        return bagged([fitter.pipeline(unit) for unit in (units if member.merges else units[-count:])], weight)
    whole = fitter.pipeline(member.refit)
    if count == 1:
        return [Part(weight, whole)]
    own = weight * REFIT_WEIGHTS[table.inside_rows <= FEW_SEEN * table.rows]
    return [Part(own, whole), *bagged([fitter.pipeline(unit) for unit in units[1 - count :]], weight - own)]
