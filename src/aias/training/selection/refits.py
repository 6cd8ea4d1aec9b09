"""Which members are fitted once more, on all rows, and how long that takes."""

from collections.abc import Iterable
from typing import Final

from aias.training.selection.members import Member
from aias.training.selection.trial import PACED_STRETCH, paced
from aias.training.table import Table

SHARES: Final = {"boosted_trees": 0.75, "xgboost": 0.65, "mlp": 0.85, "text_mlp": 0.85}
SHARE: Final = 1.0
"""Of what a fold takes, by rows, that fitting again may take: it looks for nothing and tries no round too many. Of 89
such fits half took less than 0.7 times this; one that takes longer is not waited for."""

KEPT_SHARE: Final = 0.1
"""Of the whole time, up to which some is kept to fit again what is one fit on most rows. Where trees take longer, other
trees are worth more than the rows that were held out (AUC of 1,600 columns .837 and .826 in 60 s); networks, which fit
any time, are not better than those rows (log loss of 100 classes 1.853 and 1.881)."""


class Refits:
    """`workers` fits run side by side, in a training of so many `seconds`."""

    def __init__(self, workers: int, seconds: float) -> None:
        self._workers, self._seconds = workers, seconds
        self._late: set[str] = set()

    def comes_late(self, member: Member) -> None:
        """No time is kept for it, as there is none."""
        self._late.add(member.name)

    def seconds(self, members: Iterable[Member], table: Table) -> float:
        """To keep for them."""
        fits = [seconds_of(each, table) for each in members if self._keeps(each, table)]
        return max([0.0, *fits, sum(fits) / self._workers])

    def possible(self, members: Iterable[Member], table: Table, left: float) -> list[Member]:
        """Those for which time was kept, then others as far as it goes."""
        found = list[Member]()
        for each in sorted(members, key=lambda each: not self._keeps(each, table)):
            seconds = seconds_of(each, table)
            if self._keeps(each, table) or seconds <= left * (PACED_STRETCH if paced(each.configuration) else 1.0):
                found.append(each)
                left -= seconds / self._workers
        return found

    def _keeps(self, member: Member, table: Table) -> bool:
        if not table.holds_out:
            return True
        worth = paced(member.configuration) or seconds_of(member, table) <= KEPT_SHARE * self._seconds
        return worth and member.name not in self._late


def seconds_of(member: Member, table: Table) -> float:
    """To fit it once more, on all rows."""
    more = table.rows / max(1.0, table.inside_rows) / table.fold_count
    return member.seconds * more * SHARES.get(member.configuration.learner, SHARE)
