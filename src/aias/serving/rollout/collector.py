"""What one worker sees of a canary, as evidence.

The event loop only appends; reckoning is the poller's. Answers are compared among bodies of about one size and type,
in cells: a cell ends when both versions have been asked in it, so which of its answers are bad has no say in when.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from aias.registry.rollout.evidence import SLOW_SHARE, Evidence
from aias.registry.rollout.trial import Guard

SEEN_MAX: Final = 65_536
"""Answers between two looks; of more the oldest are forgotten, whatever they were."""

USUAL_MIN: Final = 40
USUAL_MAX: Final = 400
"""Of the live version's last answers of a kind: how many tell what is usual, at least and at most."""

ALONE_AFTER: Final = 200
"""Answers of a canary without one of the live version's: from then on it is judged alone. Beside a canary of 95 % that
happens once in 28,000."""

KINDS_MAX: Final = 64
"""Kinds of bodies; all that come later are one more."""


Kind = tuple[bytes, int, int]
"""What answers are compared among: the type of a body, and about its size and the time that its caller allows."""

_OTHERS: Final = (b"", 0, 0)


class Seen(NamedTuple):
    """`trial`: by the canary, not the live version; `seconds`: None of one that failed. `late`: it did not come in
    time, or was refused since it would not have; `seconds` are those that its caller gave it then, 0 if he gave none.
    """

    trial: bool
    kind: Kind
    failed: bool
    seconds: float | None
    late: bool = False


@dataclass(slots=True)
class _Cell:
    """Counts of the live version and of the canary, in this order. `slow_seconds`: beyond which an answer is slow, None
    before it is known what is usual."""

    slow_seconds: float | None = None
    came: list[int] = field(default_factory=lambda: [0, 0])
    asked: list[int] = field(default_factory=lambda: [0, 0])
    failed: list[int] = field(default_factory=lambda: [0, 0])
    timed: list[int] = field(default_factory=lambda: [0, 0])
    slow: list[int] = field(default_factory=lambda: [0, 0])


class _Usual:
    """The live version's last answers of a kind."""

    __slots__ = ("_fresh", "_last", "_p95")

    def __init__(self) -> None:
        self._last: deque[float] = deque(maxlen=USUAL_MAX)
        self._fresh = 0
        self._p95: float | None = None

    def add(self, seconds: float) -> None:
        self._last.append(seconds)
        self._fresh += 1

    @property
    def p95(self) -> float | None:
        """None as long as there are too few; infinite where it came too late."""
        if self._fresh >= USUAL_MIN:
            self._fresh = 0
            ordered = sorted(self._last)
            self._p95 = ordered[min(len(ordered) - 1, int((1 - SLOW_SHARE) * len(ordered)))]
        return self._p95


class EvidenceCollector:
    """`see` on the event loop, `take` in another thread."""

    def __init__(self, guard: Guard, *, alone_after: int = ALONE_AFTER) -> None:
        """`alone_after`: 0 where the live version answers nobody."""
        self._guard, self._alone_after, self._since_live = guard, alone_after, 0
        self._seen: deque[Seen] = deque(maxlen=SEEN_MAX)
        self._cells: dict[Kind, _Cell] = {}
        self._usual: dict[Kind, _Usual] = {}

    def see(self, seen: Seen) -> None:
        self._seen.append(seen)

    def take(self) -> Evidence | None:
        """What has become certain since; None when nothing was asked."""
        fresh = [self._seen.popleft() for _ in range(len(self._seen))]
        return self.learn(fresh) if fresh else None

    def learn(self, fresh: Iterable[Seen]) -> Evidence:
        found, alone, late = Evidence(), [0, 0], [0, 0]
        for each in fresh:
            self._since_live = self._since_live + 1 if each.trial else 0
            if each.trial and each.seconds is not None:
                beyond = each.seconds > self._guard.seconds_max
                # Of one that was given less nobody knows how long it would have taken.
                if beyond or not each.late:
                    late[0] += 1
                    late[1] += beyond
            if self._since_live > self._alone_after:
                alone[0] += not each.late
                alone[1] += each.failed
                continue
            kind = each.kind if each.kind in self._cells or len(self._cells) < KINDS_MAX else _OTHERS
            cell, usual = self._cells.setdefault(kind, _Cell()), self._usual.setdefault(kind, _Usual())
            self._see(each, cell, usual)
            if all(cell.came):
                self._close(cell, found)
                p95 = usual.p95
                self._cells[kind] = _Cell(slow_seconds=None if p95 is None else self._guard.slower * p95)
        found.alone.see(asked=alone[0], bad=alone[1], live_asked=0, live_bad=0, bound=self._guard.error_share)
        if self._guard.seconds_max:
            found.late.see(asked=late[0], bad=late[1], live_asked=0, live_bad=0, bound=SLOW_SHARE)
        return found

    def _see(self, each: Seen, cell: _Cell, usual: _Usual) -> None:
        at = int(each.trial)
        cell.came[at] += 1
        if not each.late:
            cell.asked[at] += 1
            cell.failed[at] += each.failed
        if each.seconds is None:
            return
        if cell.slow_seconds is not None:
            cell.timed[at] += 1
            cell.slow[at] += each.late or each.seconds > cell.slow_seconds
        if not each.trial:
            usual.add(float("inf") if each.late else each.seconds)

    def _close(self, cell: _Cell, found: Evidence) -> None:
        for test, asked, bad, bound in (
            (found.errors, cell.asked, cell.failed, self._guard.error_share),
            (found.slow, cell.timed, cell.slow, SLOW_SHARE),
        ):
            test.see(asked=asked[1], bad=bad[1], live_asked=asked[0], live_bad=bad[0], bound=bound)
