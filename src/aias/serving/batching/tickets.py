"""What the batcher decides about: a flow for each model, a ticket for each request, and batches of their parts."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from aias.serving.batching.costs import Cost

PART_SECONDS: Final = 0.03
"""A request of many rows runs in parts of about this length, because others wait for each part."""

PART_RUNS: Final = 3.0
"""A part takes at least so many times the fixed cost of a run, so that this is at most a third of the work."""

OBJECTIVE_RUNS_MIN: Final = 4.0
"""An objective is at least so many runs of one row: no model can keep a shorter one."""

WAIT_SHARE: Final = 0.8
"""Of the objective, so long a request may wait as foreseen: where more is asked than can be answered all wait so long,
and of those that should begin when their time is over half would be late."""

_SHRINK: Final = 0.9


class Flow:
    """The requests for one version of a model, which can run together: what a run costs, and how large it may be.

    `objective_seconds`: what the wait and the run together should stay below; each ticket has its own timeout.
    `apart`: the runs are in another process, and take no place in this one.
    """

    def __init__(self, name: str, cost: Cost, *, rows_max: int, objective_seconds: float, apart: bool = False) -> None:
        assert rows_max >= 1
        self.apart = apart
        self.name, self.cost, self.rows_max = name, cost, rows_max
        self.objective_seconds = max(objective_seconds, OBJECTIVE_RUNS_MIN * cost.seconds(1))
        self.cap = min(float(rows_max), max(1.0, cost.rows_within(self.objective_seconds / 2)))
        """The largest run, in rows like the example. It grows by one and shrinks by a tenth (AIMD, as TCP's window)."""

    @property
    def wait_seconds_max(self) -> float:
        """As foreseen when it comes."""
        return WAIT_SHARE * self.objective_seconds

    @property
    def together(self) -> float:
        """The size of a batch that is worth running."""
        return max(1.0, min(self.cap, self.cost.worthwhile_rows()))

    @property
    def part(self) -> float:
        """The size of the parts in which a large request runs."""
        seconds = max(PART_SECONDS, PART_RUNS * self.cost.per_run)
        return max(1.0, min(self.cap, self.cost.rows_within(seconds)))

    def set_apart(self) -> "Flow":
        """The same for this version in a process of its own."""
        cost = Cost(self.cost.per_row, self.cost.per_run)
        return Flow(self.name, cost, rows_max=self.rows_max, objective_seconds=self.objective_seconds, apart=True)

    def learn(self, units: float, seconds: float) -> None:
        self.cost.learn(units, seconds)
        if seconds > self.objective_seconds:
            self.cap = max(1.0, _SHRINK * min(self.cap, units))
        elif units > self.cap - 1:
            self.cap = min(self.cap + 1, float(self.rows_max))


@dataclass(eq=False, repr=False, slots=True)
class Ticket:
    """A request that waits or runs. `units`: its size in rows like the example; larger rows count for more.

    `ends`: the units up to the end of each row, where that is known. `whole`: it cannot run in parts or with others.
    `deliver` is called once, with the results of the parts, or with the error that ended it. `deadline`: the caller's;
    `until`: when it is given up in any case. `slot`: where its connection is kept, for whoever runs it.
    `endpoint`: whose statistics its runs are counted in; `batch_rows`: of the first of them. `request_id`: by which a
    request that was looked at by its head alone is known when the rest has come.
    """

    flow: Flow
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
    endpoint: str = ""
    batch_rows: int = 0
    ends: Sequence[float] | None = None
    request_id: str = ""

    def __post_init__(self) -> None:
        assert self.rows >= 1
        self.units = self.units or float(self.rows)
        self.left = self.rows
        if self.deadline is not None:
            self.until = min(self.until, self.deadline)

    @property
    def is_large(self) -> bool:
        """Whether it would run for longer than others should have to wait."""
        return self.units > self.flow.part and not self.whole

    def units_of(self, start: int, stop: int) -> float:
        if self.ends is None or start == stop:
            return self.units * (stop - start) / self.rows
        return self.ends[stop - 1] - (self.ends[start - 1] if start else 0.0)

    def reach(self, start: int, units: float) -> int:
        """The row at which `units` from `start` on end."""
        if self.ends is None:
            return min(self.rows, start + int(units * self.rows / self.units + 1e-9))
        return bisect_right(self.ends, (self.ends[start - 1] if start else 0.0) + units + 1e-9, start)

    @property
    def estimate(self) -> float:
        """Seconds of its work that has not been started."""
        flow, units = self.flow, self.units_of(self.taken, self.rows)
        runs = 1.0 if self.whole else units / (flow.part if self.is_large else flow.together)
        return flow.cost.per_row * units + flow.cost.per_run * runs

    @property
    def next_estimate(self) -> float:
        """Seconds of its next run; no row is cut, however much one weighs."""
        estimate, units = self.estimate, self.flow.part
        if self.ends is not None and self.taken < self.rows:
            units = max(units, self.units_of(self.taken, self.taken + 1))
        return estimate if self.whole else min(estimate, self.flow.cost.seconds(units))


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

    flow: Flow
    parts: list[Part]
    started_at: float = 0.0
    ends_at: float = 0.0

    def begins(self, at: float) -> None:
        self.started_at, self.ends_at = at, at + self.flow.cost.seconds(self.units)

    @property
    def rows(self) -> int:
        return sum(part.stop - part.start for part in self.parts)

    @property
    def units(self) -> float:
        return sum(part.units for part in self.parts)
