"""How much a key may ask: `100/second`, `5000 rows/hour burst 20000`, `1000000 rows/month`.

By the second, minute and hour a quota is a bucket that fills up steadily (GCRA, the virtual scheduling of ITU-T I.371):
in any stretch of t seconds at most `burst + amount · t / period` pass. By the day and month it is a count that begins
anew with each day and month of UTC: at most `amount` in each.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal, get_args

from aias.core.errors import UserError, shown

Unit = Literal["requests", "rows"]
Period = Literal["second", "minute", "hour", "day", "month"]

UNITS: Final[tuple[Unit, ...]] = get_args(Unit)
PERIODS: Final[tuple[Period, ...]] = get_args(Period)

RATES: Final[dict[Period, int]] = {"second": 10**9, "minute": 60 * 10**9, "hour": 3_600 * 10**9}
"""Nanoseconds of those that fill up steadily."""

_STEP_MIN_NS: Final = 1_000
"""Between two of a steady rate: a million a second. Steps are whole nanoseconds; below this, rounding would show."""

_BURST_NS_MAX: Final = 32 * 86_400 * 10**9
AMOUNT_MAX: Final = 5 * 10**11
"""Of a day or a month: it is counted in 40 bits, of which one is to spare for a sum."""

_SHORT: Final = {"s": "second", "sec": "second", "min": "minute", "m": "minute", "h": "hour", "d": "day"}
_WRITTEN: Final = re.compile(r"([0-9][0-9_]{0,15}) *(requests?|rows?)? */ *([a-z]+)(?: +burst +([0-9][0-9_]{0,15}))?")


class BadQuota(UserError):
    """A quota that cannot be read or kept."""

    code = "access.bad-quota"


@dataclass(frozen=True, slots=True)
class Quota:
    """At most `amount` of a unit per period; of a steady rate, `burst` at once when nothing has been asked for long."""

    amount: int
    unit: Unit
    per: Period
    burst: int = 0

    def __post_init__(self) -> None:
        if self.unit not in UNITS or self.per not in PERIODS:
            raise BadQuota(f"a quota is of {' or '.join(UNITS)}, per {', '.join(PERIODS)}")
        if not 1 <= self.amount <= AMOUNT_MAX:
            raise BadQuota(f"a quota of {self.amount:,} {self.unit}; from 1 to {AMOUNT_MAX:,} can be counted")
        if self.per not in RATES:
            if self.burst:
                raise BadQuota(f"a quota by the {self.per} has no burst: all of it may be used at once")
            return
        if not self.burst:
            object.__setattr__(self, "burst", self.amount)
        if self.burst < 1 or self.burst * self.step_ns > _BURST_NS_MAX:
            raise BadQuota(f"a burst of {self.burst:,} would take more than a month to fill", hint="choose less")
        if RATES[self.per] // self.amount < _STEP_MIN_NS:
            raise BadQuota(f"{self.amount:,} per {self.per} is more than a million a second", hint="choose less")

    @property
    def step_ns(self) -> int:
        """Nanoseconds in which a steady rate gives one; rounded up, so that it never gives more."""
        return -(-RATES[self.per] // self.amount)

    @property
    def once(self) -> int:
        """The most that may be asked at once."""
        return self.burst or self.amount

    def __str__(self) -> str:
        burst = f" burst {self.burst}" if self.burst not in (0, self.amount) else ""
        return f"{self.amount} {self.unit}/{self.per}{burst}"


def parse_quota(text: str) -> Quota:
    """A quota as people write it. Raises `BadQuota`."""
    found = _WRITTEN.fullmatch(text.strip().lower())
    per = _SHORT.get(found[3], found[3]) if found else ""
    if found is None or per not in PERIODS:
        raise BadQuota(
            f"{shown(text)} is not a quota",
            hint="write `100/second`, `5000 rows/hour burst 20000` or `1000000 rows/month`",
        )
    unit: Unit = "rows" if (found[2] or "").startswith("row") else "requests"
    return Quota(int(found[1]), unit, per, int(found[4] or 0))


def checked(quotas: Iterable[Quota | str]) -> tuple[Quota, ...]:
    """In one order, one of each unit and period at most. Raises `BadQuota`."""
    found = [each if isinstance(each, Quota) else parse_quota(each) for each in quotas]
    found.sort(key=lambda each: (UNITS.index(each.unit), PERIODS.index(each.per)))
    for first, second in pairwise(found):
        if (first.unit, first.per) == (second.unit, second.per):
            raise BadQuota(f"`{first}` and `{second}` are two quotas of one kind", hint="leave one of them out")
    return tuple(found)
