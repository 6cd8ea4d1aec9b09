"""A trained version → its cheapest form that is proved to lose no more than allowed, if one is worth it.

propose     each technique proposes candidates, or says why it does not apply
search      judged out of fold, on search rows; candidates that certainly lose more than the margin are rejected
time        by the serving code, in turn with the parent; candidates neither faster nor smaller are rejected
nominate    at most three, by their gain times the probability that they will be certified
certify     once, on rows that have not been used before
"""

import threading
from collections.abc import Callable, Sequence
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
from aias.training.held_out import hold_out, unseen
from aias.training.ledger import Ledger
from aias.training.ledger_folder import room
from aias.training.parent import NoTime, Parent
from aias.training.prepare import Prepared
from aias.training.train import check_seconds

__all__ = ["Goals", "Outcome", "chosen", "compress"]

RESERVED: Final = 0.5
"""The share of the folds reserved for certification: a proof takes more rows than a choice."""

ONE_FIT: Final = (
    "no rows were set aside (`aias train --test 0.2` does), so what the parent gains by averaging its fits is not "
    "counted; folds:"
)


def compress(
    parent: Parent, dataset: Dataset, wanted: Goals, *, deadline: Deadline, test: Dataset | None = None,
    trained: Parent | None = None, chain: Sequence[Parent] = (), extra: Dataset | None = None, work: Path | None = None,
    own: Path | None = None, number: int = 0, split: str = "random", techniques: tuple[str, ...],
    inline: bool = False, stop: threading.Event | None = None, watch: Watch = nobody,
    opened: Callable[[], int] = lambda: 1,
) -> Outcome:  # fmt: skip
    """Search, certify and conclude within the time.

    - `dataset`: the training rows; for an imported parent, labelled rows
    - `test`: the test rows, if they came from a file
    - `extra`: unlabelled rows for distillation
    - `trained`, `chain`: if the parent is compressed: the trained version, and the versions from there to the parent
    - `split`: the split of the rows of an imported parent
    - `work`: the folder of training's ledger; fits found there are not repeated
    - `own`: a folder for the results of a killed run, if `work` does not exist or holds other rows
    - `techniques`: from `chosen`
    - `opened`: counts the runs that the rows that certify have judged, with this one; called just before

    Raises `OtherRows` if these are not the parent's rows, and `UserError` if there are too few.
    """
    first = trained or parent
    try:
        prepared = _prepared(first, dataset, test, split, _ledger(work, own), deadline, watch)
        extra = _only_new(extra, prepared, watch)
        bagged = prepared.table.fold_count > 1 and not first.imported  # then both forms are means of several fits
        if bagged and not prepared.test.rows:
            watch(Event("compress.one-fit", f"{ONE_FIT} {prepared.table.fold_count}", "warning"))
        # Only rows outside all folds tell what the mean of all folds gains over one of them.
        seed = first.recipe.seed + number
        held = hold_out(prepared, seed=seed, share=RESERVED, beside_test=not bagged, last=True)
        with room(work, prepared.table.digest, otherwise=own) as folder, scales(deadline) as weighing:
            job = Job(
                parent, held, Ledger(folder), wanted, techniques, deadline, stop or threading.Event(), watch, weighing,
                opened, chain, trained, extra,
            )  # fmt: skip
            return job.run(inline=inline)
    except NoTime as fault:
        found = nothing(parent, fault, max_loss=wanted.max_loss, callers=wanted.callers)
        watch(Event("compress.verdict", found.verdict))
        return Outcome(found, None)


def chosen(techniques: Sequence[str], *, seconds: float) -> tuple[str, ...]:
    """The techniques named, by default all. Raises `NotFound` and `UserError` before the data is read."""
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
    prepared = first.prepared(dataset, test, ledger=ledger, seconds=deadline.left, watch=watch)
    return unseen(prepared, "compress", watch, alone=prepared.table.fold_count > 1)


def _only_new(extra: Dataset | None, prepared: Prepared, watch: Watch) -> Dataset | None:
    """Leaves out copies of rows that judge: a student that learned these answers would look too good."""
    if extra is None:
        return None
    known = [each for each in (prepared.dataset, prepared.test) if each.rows]
    new = strangers(extra, known)
    if gone := extra.rows - len(new):
        said = f"{gone:,} of the {extra.rows:,} rows to be taught on besides are known already, and left out"
        watch(Event("compress.known-rows", said, facts={"rows": gone, "of": extra.rows}))
    return extra.take(new) if len(new) else None


def _ledger(work: Path | None, own: Path | None) -> Ledger | None:
    """Holds the vectors of texts that were read before."""
    if work is not None and work.is_dir():
        return Ledger(work, of_home=True)
    return None if own is None else Ledger(own)
