"""A trained version → the cheapest form of it that is proved no worse than asked, or the word that nothing is worth it.

propose     each technique says what it would try, or why it cannot help
search      out of fold, on rows of their own; what is certain to lose more than the margin falls
time        by the serving path, turn about with the parent; what is neither faster nor smaller falls
nominate    three at most, by what they gain times the chance that the rows left can certify them
certify     once, on rows that nobody has looked at
"""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from aias.compress.conclusion import Outcome, nothing
from aias.compress.footprint import scales
from aias.compress.goals import Goals
from aias.compress.job import Job
from aias.core.catalog import members
from aias.core.deadline import Deadline
from aias.core.errors import NotFound
from aias.core.events import Event, Watch, nobody
from aias.data.copies import strangers
from aias.data.dataset import Dataset
from aias.training.held_out import hold_out
from aias.training.ledger import Ledger
from aias.training.ledger_folder import room
from aias.training.parent import NoTime, Parent
from aias.training.prepare import Prepared
from aias.training.train import check_seconds

__all__ = ["Goals", "Outcome", "chosen", "compress"]

RESERVED: Final = 0.5
"""Of the folds, to certify by: a proof takes more rows than a choice."""

ONE_FIT: Final = (
    "no rows were set aside (`aias train --test 0.2` does), so what the parent gains by averaging its fits is not "
    "counted; folds:"
)


def compress(
    parent: Parent, dataset: Dataset, wanted: Goals, *, deadline: Deadline, test: Dataset | None = None,
    trained: Parent | None = None, chain: Sequence[Parent] = (), extra: Dataset | None = None, work: Path | None = None,
    own: Path | None = None, number: int = 0, split: str = "random", techniques: tuple[str, ...],
    inline: bool = False, stop: threading.Event | None = None, watch: Watch = nobody,
) -> Outcome:  # fmt: skip
    """`dataset`: the rows that the parent was trained on or, of one that was imported, labelled ones; `test`: those it
    was measured on, if they were a file; `extra`: rows without labels, to teach on. `trained`, `chain`: where the
    parent is compressed already, the version that was trained, and what was made of it, step by step to the parent.
    `split`: how the rows of an imported version are parted. `work`: where training kept its ledger; what lies there
    is not fitted again. `own`: where what is made here is kept for a run that was killed, if that folder is not
    there or holds other rows. `techniques`: as `chosen`.

    Raises `OtherRows` when the rows are not the parent's, and `UserError` when there is too little data.
    """
    first = trained or parent
    try:
        prepared = _prepared(first, dataset, test, split, _ledger(work, own), deadline, watch)
        extra = _only_new(extra, prepared, watch)
        bagged = prepared.table.fold_count > 1 and not first.imported  # both forms are means of several fits
        if bagged and not prepared.test.rows:
            watch(Event("compress.one-fit", f"{ONE_FIT} {prepared.table.fold_count}", "warning"))
        # What a mean of all folds gains over one of them, only rows of no fold can tell.
        held = hold_out(prepared, seed=first.recipe.seed + number, share=RESERVED, beside_test=not bagged)
        with room(work, prepared.table.digest, otherwise=own) as folder, scales() as weighing:
            job = Job(
                parent, held, Ledger(folder), wanted, techniques, deadline, stop or threading.Event(), watch, weighing,
                chain, trained, extra,
            )  # fmt: skip
            return job.run(inline=inline)
    except NoTime as fault:
        found = nothing(parent, fault, max_loss=wanted.max_loss, callers=wanted.callers)
        watch(Event("compress.verdict", found.verdict))
        return Outcome(found, None)


def chosen(techniques: Sequence[str], *, seconds: float) -> tuple[str, ...]:
    """Those that are named, by default all. Raises `NotFound` and `UserError` for what can be refused without a look
    at the data."""
    check_seconds(seconds)
    known = members("compress.techniques")
    if unknown := [name for name in techniques if name not in known]:
        raise NotFound(f"there is no technique `{unknown[0]}`", hint=f"choose from: {', '.join(known)}")
    return tuple(dict.fromkeys(techniques)) or known


def _prepared(
    first: Parent, dataset: Dataset, test: Dataset | None, split: str, ledger: Ledger | None, deadline: Deadline,
    watch: Watch,
) -> Prepared:  # fmt: skip
    if first.imported:
        return first.taught(dataset, how=split, seconds=deadline.left, watch=watch)
    return first.prepared(dataset, test, ledger=ledger, seconds=deadline.left, watch=watch)


def _only_new(extra: Dataset | None, prepared: Prepared, watch: Watch) -> Dataset | None:
    """Without copies of rows that judge: who was taught the parent's answers to these repeats them there, and nowhere
    else."""
    if extra is None:
        return None
    known = [each for each in (prepared.dataset, prepared.test) if each.rows]
    new = strangers(extra, known)
    if gone := extra.rows - len(new):
        said = f"{gone:,} of the {extra.rows:,} rows to be taught on besides are known already, and left out"
        watch(Event("compress.known-rows", said, facts={"rows": gone, "of": extra.rows}))
    return extra.take(new) if len(new) else None


def _ledger(work: Path | None, own: Path | None) -> Ledger | None:
    """Where vectors of texts are, or are kept from now on."""
    if work is not None and work.is_dir():
        return Ledger(work, of_home=True)
    return None if own is None else Ledger(own)
