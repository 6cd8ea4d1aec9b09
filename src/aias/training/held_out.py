"""Rows that the search never looks at, so that they can say in the end whether anything was gained.

With a test part these are its rows. Without, they are some folds: members are fitted on all folds as ever, but the
search and the weights see only the out-of-fold scores of the others. The fits that these are of have learned from the
reserved rows, as from all that they do not judge; what is not to know even that much learns from `HeldOut.apart`.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from aias.core.arrays import Flags, Ints
from aias.core.errors import UserError
from aias.core.events import Event, Watch
from aias.core.quantities import are, counted
from aias.data.copies import strangers
from aias.data.straddling import LEFT_OUT, beside
from aias.training.prepare import Prepared
from aias.training.selection.members import Member

SHARE: Final = 0.25
"""Of the folds, or of the rows of a holdout, where nothing else is asked for."""

ROWS_MIN: Final = 20
GROUPS_MIN: Final = 2
"""On fewer rows, or groups of rows that belong together, nothing can be certain."""


@dataclass(frozen=True, eq=False)
class HeldOut:
    """`held`: which of the rows that judge are reserved, (judged rows,); none where test rows are enough."""

    prepared: Prepared
    held: Flags

    @property
    def searched(self) -> Prepared:
        """What the search sees: the same rows to fit on, but those reserved judge nothing."""
        table = self.prepared.table
        folds = table.folds.copy()
        folds[table.judged[self.held]] = -1
        return replace(self.prepared, table=replace(table, folds=folds))

    @property
    def apart(self) -> Ints:
        """The rows that may be learned from by what is to know nothing of those reserved, nor of their groups."""
        folds = self.prepared.table.folds
        known = ~np.isin(folds, [LEFT_OUT, *beside(self._reserved)])
        known[self.prepared.table.judged[self.held]] = False
        return np.flatnonzero(known)

    def seen(self, member: Member) -> Member:
        """The member with what the search may look at: its scores, and what its fits came to, which hangs on the rows
        that judged them. Of a holdout there is one fit, which the reserved rows judged, too."""
        reserved = self._reserved if self.prepared.table.fold_count > 1 else ()
        found = tuple(each for fold, each in enumerate(member.found) if fold not in reserved)
        return replace(member, scores=member.scores[~self.held], found=found)

    @property
    def _reserved(self) -> Ints:
        """The folds that reserved rows judge in."""
        table = self.prepared.table
        return np.unique(table.folds[table.judged[self.held]]).astype(np.int64)


def hold_out(
    prepared: Prepared, *, seed: int, share: float = SHARE, beside_test: bool = False, last: bool = False
) -> HeldOut:
    """`beside_test`: hold rows back even where there is a test part; `last`: the last fold may be among them, by which
    `HeldOut.searched` tells how many there are. Raises `UserError` when there are too few rows."""
    table, clusters = prepared.table, prepared.table.judged_clusters
    if prepared.test.rows and not beside_test:
        held = np.zeros(len(table.judged), bool)
    elif table.fold_count > 1:
        held = np.isin(table.folds[table.judged], _folds(table.fold_count, share, seed=seed, last=last))
    else:
        together = table.kin(table.judged)
        units = np.arange(len(table.judged)) if together is None else np.unique(together, return_inverse=True)[1]
        count = int(units.max()) + 1
        held = (np.random.default_rng(seed).permutation(count) < share * count)[units]
    rows = prepared.test.rows + int(held.sum())
    if rows < ROWS_MIN:
        raise UserError(
            f"{counted(rows, 'row')} {are(rows)} too few to say what was gained or lost",
            hint=f"at least {ROWS_MIN} are needed",
        )
    reserved = _apart(int(held.sum()), None if clusters is None else clusters[held])
    if _apart(prepared.test.rows, prepared.test_clusters) + reserved < GROUPS_MIN:
        raise UserError(
            "rows of a single group are too few to say what was gained or lost",
            hint=f"train on more groups, so that there are at least {GROUPS_MIN} to judge by",
        )
    return HeldOut(prepared, held)


def suffice(rows: int, groups: Ints | None) -> bool:
    """Whether so many rows, of these groups, can say what was gained or lost: (rows,)."""
    return rows >= ROWS_MIN and _apart(rows, groups) >= GROUPS_MIN


def unseen(prepared: Prepared, verb: str, watch: Watch, *, alone: bool) -> Prepared:
    """Without the rows of the test that were learned from, too: of these whoever learned them better by heart answers
    more right, and the parent, of which each fit lacks some, always knows them less well than what is fitted once.
    `alone`: whether a test certifies without rows that are reserved."""
    test, clusters = prepared.test, prepared.test_clusters
    new = strangers(test, [prepared.dataset]) if test.rows else np.arange(0)
    if (gone := test.rows - len(new)) == 0:
        return prepared
    has, they = ("has", "it certifies") if gone == 1 else ("have", "they certify")
    some = f"{gone:,} of the {test.rows:,} rows of the test {has}"
    said = f"{some} the same inputs as rows that are learned from: {they} nothing"
    watch(Event(f"{verb}.seen-rows", said, "warning", {"rows": gone, "of": test.rows}))
    if alone and not suffice(len(new), None if clusters is None else clusters[new]):
        new = new[:0]  # of which nothing can be said: reserved rows certify, as where there is no test
    return replace(
        prepared, test=test.take(new), test_y=prepared.test_y[new],
        test_clusters=None if clusters is None else clusters[new],
    )  # fmt: skip


def _apart(rows: int, groups: Ints | None) -> int:
    """How many of these rows stand for themselves."""
    return rows if groups is None else len(np.unique(groups))


def _folds(count: int, share: float, *, seed: int, last: bool) -> list[int]:
    order = np.random.default_rng(seed).permutation(count if last else count - 1)
    return [int(fold) for fold in order[: max(1, round(share * count))]]
