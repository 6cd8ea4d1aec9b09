"""What the batcher decides about: lanes of models, tickets of requests, and batches of their parts."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from aias.serving.batching.costs import Cost

PART_SECONDS: Final = 0.03
"""A request of many rows runs in parts of about so long: so long others wait, whatever larger runs would save."""

PART_RUNS: Final = 3.0
"""Times what a run costs beside its rows, at least: where that is much, a third of the work goes on it and no more."""

OBJECTIVE_RUNS_MIN: Final = 4.0
"""No model can keep an objective that is shorter than a few of its own runs."""

_SHRINK: Final = 0.9


class Lane:
    """One version of a model: what its runs cost, and how large they may be.

    `objective_seconds` is what a run, and the wait for it, should stay below; the timeout is each ticket's own.
    `apart`: its runs are another process's, and take no place of this one's.
    """

    def __init__(self, name: str, cost: Cost, *, rows_max: int, objective_seconds: float, apart: bool = False) -> None:
        assert rows_max >= 1
        self.apart = apart
        self.name, self.cost, self.rows_max = name, cost, rows_max
        self.objective_seconds = max(objective_seconds, OBJECTIVE_RUNS_MIN * cost.seconds(1))
        self.cap = min(float(rows_max), max(1.0, cost.rows_within(self.objective_seconds / 2)))
        """The largest run, in rows as the example is one. It grows by one and shrinks by a tenth, as TCP's window."""

    @property
    def together(self) -> float:
        """How much is worth running at once."""
        return max(1.0, min(self.cap, self.cost.worthwhile_rows()))

    @property
    def part(self) -> float:
        """How much of a large request is run at once."""
        seconds = max(PART_SECONDS, PART_RUNS * self.cost.per_run)
        return max(1.0, min(self.cap, self.cost.rows_within(seconds)))

    def set_apart(self) -> "Lane":
        """Another such, for the version in a process of its own."""
        cost = Cost(self.cost.per_row, self.cost.per_run)
        return Lane(self.name, cost, rows_max=self.rows_max, objective_seconds=self.objective_seconds, apart=True)

    def learn(self, units: float, seconds: float) -> None:
        self.cost.learn(units, seconds)
        if seconds > self.objective_seconds:
            self.cap = max(1.0, _SHRINK * min(self.cap, units))
        elif units > self.cap - 1:
            self.cap = min(self.cap + 1, float(self.rows_max))


@dataclass(eq=False, repr=False, slots=True)
class Ticket:
    """A request that waits or runs. `units`: its rows, more or less where they are larger or smaller than the example.

    `ends`: the same up to the end of each row, where that is known of each. `whole`: it cannot be run in parts or with
    others. `deliver` is called once, with what each part gave, or with the fault that ended it. `deadline` is the
    caller's own; `until` when it is given up in any case. `slot`: where its connection is kept, for whoever runs it.
    """

    lane: Lane
    tenant: str
    rows: int
    deliver: Callable[["Ticket", "list[Any] | Exception"], None]
    units: float = 0.0
    work: Any = None
    whole: bool = False
    priority: int = 1
    deadline: float | None = None
    until: float = float("inf")
    entered_at: float = 0.0
    started_at: float | None = None
    taken: int = 0
    given: dict[int, Any] = field(default_factory=dict)
    left: int = 0
    over: bool = False
    slot: Any = None
    ends: Sequence[float] | None = None

    def __post_init__(self) -> None:
        assert self.rows >= 1
        self.units = self.units or float(self.rows)
        self.left = self.rows
        if self.deadline is not None:
            self.until = min(self.until, self.deadline)

    @property
    def is_large(self) -> bool:
        """Whether it would run for longer than others should wait."""
        return self.units > self.lane.part and not self.whole

    def units_of(self, start: int, stop: int) -> float:
        if self.ends is None or start == stop:
            return self.units * (stop - start) / self.rows
        return self.ends[stop - 1] - (self.ends[start - 1] if start else 0.0)

    def reach(self, start: int, units: float) -> int:
        """The row before which so many units from `start` on are over."""
        if self.ends is None:
            return min(self.rows, start + int(units * self.rows / self.units + 1e-9))
        return bisect_right(self.ends, (self.ends[start - 1] if start else 0.0) + units + 1e-9, start)

    @property
    def estimate(self) -> float:
        """Seconds of running that are still to be started for it."""
        lane, units = self.lane, self.units_of(self.taken, self.rows)
        runs = 1.0 if self.whole else units / (lane.part if self.is_large else lane.together)
        return lane.cost.per_row * units + lane.cost.per_run * runs

    @property
    def next_estimate(self) -> float:
        """Of its next run alone."""
        estimate = self.estimate
        return estimate if self.whole else min(estimate, self.lane.cost.seconds(self.lane.part))


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows of a ticket, from `start` to `stop`."""

    ticket: Ticket
    start: int
    stop: int

    @property
    def units(self) -> float:
        return self.ticket.units_of(self.start, self.stop)


@dataclass(eq=False, repr=False, slots=True)
class Batch:
    """`ends_at`: if it takes as long as is expected."""

    lane: Lane
    parts: list[Part]
    started_at: float = 0.0
    ends_at: float = 0.0

    def begins(self, at: float) -> None:
        self.started_at, self.ends_at = at, at + self.lane.cost.seconds(self.units)

    @property
    def rows(self) -> int:
        return sum(part.stop - part.start for part in self.parts)

    @property
    def units(self) -> float:
        return sum(part.units for part in self.parts)
