"""A compressed version as a parent: found again fold by fold, so that it can be judged and go on being made smaller.

What answers a compressed version was fitted on all rows, and nothing of it says how it would answer rows it has not
seen. But its lineage does: what was trained first, and by which technique each step was made from the one before. The
same steps without the rows of a fold give answers to these rows that are out of fold, as those of any parent are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from aias.compress.applicable import LAST
from aias.compress.context import BY_TIME, Context
from aias.compress.fitting import fitted
from aias.compress.techniques.contract import Candidate, Ladder, Made, NotApplicable, Proposal
from aias.core.arrays import Floats
from aias.core.catalog import member
from aias.core.deadline import Deadline
from aias.core.errors import UserError
from aias.training.parent import NoTime, Parent
from aias.training.selection.configuration import Configuration


@dataclass(eq=False)
class Base:
    """What a compressed version is without the rows of a fold."""

    candidate: Candidate

    def __post_init__(self) -> None:
        self._made: dict[int, Made] = {}

    def at(self, fold: int) -> Made:
        if fold not in self._made:
            self._made[fold] = self.candidate.make(fold)
        return self._made[fold]

    def scores(self, context: Context) -> Floats:
        """Of all rows that judge, out of fold: (rows, outputs)."""
        if self.candidate.scores is not None:
            return self.candidate.scores
        table = context.prepared.table
        folds = table.folds[table.judged]
        found = np.empty((len(table.judged), context.task.outputs))
        for fold in np.unique(folds):
            own = np.flatnonzero(folds == fold)
            found[own] = self.at(int(fold)).pipeline.scores(context.encoded(table.judged[own]))
        return found


def stacked(context: Context, chain: Sequence[Parent]) -> Context:
    """`context`: of the version that was trained; `chain`: what was made of it, step by step, to the parent itself.

    Raises `UserError` where a step cannot be gone again, `NoTime`.
    """
    first = context.parent
    for each in chain:
        base = Base(_step(_as_it_was(context, each), each))
        made = base.at(0)
        if made.embedding is not None or made.encoder is not context.encoder:
            raise UserError(
                f"{each.ref} reads {_otherwise(context, each, made)}",
                hint=f"compress {first.ref} once more, with a larger loss or a smaller size "
                "(`--max-loss`, `--size`, or `max_loss=`, `size=`)",
            )
        context = replace(context, parent=each, members=(), weights=np.zeros(0), base=base, memo={})
    return context


def _otherwise(context: Context, wanted: Parent, made: Made) -> str:
    """Why nothing goes on from what reads rows in another way than the version that was trained."""
    trained = context.parent.ref
    if made.embedding is not None:
        return (
            f"sentences by another encoder, which {step_of(wanted)[0]} made of that of {trained}, and what compresses "
            "a version once more reads them by the one that was trained with"
        )
    return (
        f"other columns or terms than {trained}, and those of a fold are not those of another: it cannot be found "
        "again fold by fold"
    )


def _as_it_was(context: Context, wanted: Parent) -> Context:
    """With the rows without labels that a step was taught on, or without any; and with the time that it had."""
    known = unlabelled_of(wanted)
    if known and known != context.unlabelled:
        raise UserError(
            f"{wanted.ref} was taught on rows without labels besides, and these are not given: without them it cannot "
            "be found again fold by fold",
            hint="give the same rows again with `--unlabelled FILE`, or `unlabelled=`",
        )
    context = replace(context, extra=context.extra if known else None, memo={})
    return _in_its_time(context, wanted) if step_of(wanted)[0] in BY_TIME else context


def _in_its_time(context: Context, wanted: Parent) -> Context:
    """With less it learns less, and what is no worse than that may be worse than the version itself. Where a test
    judges, it answers that itself. Raises `NoTime`."""
    seconds, threads = (float(_proof(wanted).get(name, 0)) for name in ("seconds", "threads"))
    deadline = context.deadline
    if seconds > deadline.seconds:
        if not len(context.certifying):
            return context
        raise NoTime(
            f"{wanted.ref} was made in {seconds:.0f} s, and with less it is not found again as it is; nor were rows "
            "set aside that would judge the version itself",
            hint=f"give {seconds:.0f} s or more", enough=seconds,
        )  # fmt: skip
    if seconds:
        deadline = Deadline(deadline.ends_at, seconds, deadline.clock)
    return replace(context, deadline=deadline, cores=int(threads))


def _step(context: Context, wanted: Parent) -> Candidate:
    """What the technique of a step proposed, by its name."""
    (technique, name), why = step_of(wanted), ""
    if technique in LAST:
        raise UserError(
            f"{wanted.ref} is made by {technique} of what its search had found by then, and without the rows of a fold "
            "that is not found again: it cannot be compressed once more",
            hint=f"compress {context.parent.ref} again, with a larger loss (`--max-loss`, or `max_loss=`), or by "
            "techniques that you name (`--technique`, or `techniques=`)",
        )
    try:
        proposed = list(member("compress.techniques", technique)(context))
    except NotApplicable as fault:
        proposed, why = [], f": {fault.message}"
    for each in _with_milder(proposed):
        if each.name == name:
            return fitted(context, each) if isinstance(each, Configuration) else each
    raise UserError(
        f"{wanted.ref} was made as `{name}` by {technique}, which does not propose that any more{why}",
        hint=f"compress {context.parent.ref} again, and go on from what that gives",
    )


def step_of(parent: Parent) -> tuple[str, str]:
    """By which technique a compressed version was made, and what that called it."""
    return str(_proof(parent).get("technique", "")), parent.manifest.leaderboard[0].name


def unlabelled_of(parent: Parent) -> str:
    """The digest of the rows without labels that it was taught on; empty for none."""
    return str(_proof(parent).get("unlabelled", ""))


def _proof(parent: Parent) -> dict[str, Any]:
    return cast("dict[str, Any]", parent.manifest.lineage.settings.get("proof", {}))


def _with_milder(proposed: Sequence[Proposal]) -> list[Candidate | Configuration]:
    found = [each.harshest if isinstance(each, Ladder) else each for each in proposed]
    for each in proposed:
        if not isinstance(each, Configuration) and each.milder:
            found += each.milder()
    return found
