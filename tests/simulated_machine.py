"""A machine on a clock of its own that runs what a batcher starts, and keeps every promise that it sees broken."""

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import Any

from aias.core.errors import AiasError
from aias.serving.batching.batcher import AHEAD_SECONDS_MAX, Batcher
from aias.serving.batching.costs import Cost
from aias.serving.batching.tickets import Batch, Flow, Ticket


def together(machine: "Machine") -> list[int]:
    """The rows of each run."""
    return [batch.rows for batch in machine.batches]


class Machine:
    """`takes` says how long a batch really runs, `away` for how long nobody hears that one has ended; what is booked
    goes on meanwhile. A part answers with the numbers of its rows."""

    def __init__(
        self,
        *,
        places: int = 1,
        takes: Callable[[Batch], float] | None = None,
        fails: Callable[[Batch], bool] = lambda _batch: False,
        waiting_max: int = 10_000,
        away: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.now = 0.0
        self.takes = takes or (lambda batch: batch.flow.cost.seconds(batch.units))
        self.fails, self.away = fails, away
        self.running: list[Batch] = []
        self.booked: list[Batch] = []
        self.busy_seconds = 0.0
        self.batcher = Batcher(self.start, places=places, clock=lambda: self.now, waiting_max=waiting_max)
        self.places = places
        self.events: list[tuple[float, int, Callable[[], None]]] = []
        self.batches: list[Batch] = []
        self.tickets: list[Ticket] = []
        self.outcomes: dict[Ticket, list[Any]] = {}
        self.answered_at: dict[Ticket, float] = {}
        self.broken: list[str] = []
        self._serial = count()

    # What a test does

    @property
    def ahead(self) -> int:
        """Batches that the batcher takes for started, and that run when a place is free."""
        return len(self.batcher._started) - self.batcher.running

    def at(self, when: float, action: Callable[[], None]) -> None:
        heappush(self.events, (when, next(self._serial), action))

    def ask(self, flow: Flow, *, rows: int = 1, tenant: str = "one", then: Callable[[], None] | None = None,
            within: float | None = None, **more: Any) -> Ticket:  # fmt: skip
        """Submit a request now; `then` is called when it is over, also when it is refused."""
        ticket = Ticket(flow, tenant, rows, self.deliver, work=then, **more)
        if within is not None:
            ticket.deadline = self.now + within
            ticket.until = min(ticket.until, ticket.deadline)
        self.tickets.append(ticket)
        self.outcomes[ticket] = []
        try:
            self.batcher.submit(ticket)
        except AiasError as fault:
            self.deliver(ticket, fault)
        return ticket

    def run(self, until: float = float("inf")) -> None:
        while self.events and self.events[0][0] <= until:
            assert self.events[0][0] >= self.now
            self.now, _, action = heappop(self.events)
            action()
            self.check()

    # What the batcher asks for

    def start(self, batch: Batch) -> None:
        self.batches.append(batch)
        if batch.rows > batch.flow.rows_max and not batch.parts[0].ticket.whole:
            self.broken.append(f"{batch.rows} rows at once")
        if any(part.ticket.flow is not batch.flow for part in batch.parts):
            self.broken.append("two models in one batch")
        if any(part.ticket.whole for part in batch.parts) and len(batch.parts) > 1:
            self.broken.append("a whole request has company")
        # By what is known when it is booked: a run that ends may teach later that all of them are slower.
        before = sum(each.flow.cost.seconds(each.units) for each in self.booked)
        if before > self.places * AHEAD_SECONDS_MAX:
            self.broken.append(f"one more is booked behind {before} s")
        self.booked.append(batch)
        self.begin()

    def begin(self) -> None:
        if self.booked and len(self.running) < self.places:
            batch, began_at, seconds = self.booked.pop(0), self.now, 0.0
            self.running.append(batch)
            seconds = self.takes(batch)
            self.busy_seconds += seconds
            self.at(self.now + seconds, lambda: self.end(batch, began_at))

    def end(self, batch: Batch, began_at: float) -> None:
        ended_at, away = self.now, self.away()
        self.running.remove(batch)
        self.begin()
        if away:
            self.at(ended_at + away, lambda: self.finish(batch, began_at, ended_at))
        else:
            self.finish(batch, began_at, ended_at)

    def finish(self, batch: Batch, began_at: float, ended_at: float) -> None:
        fails = self.fails(batch)
        results = [ValueError("it broke") if fails else list(range(part.start, part.stop)) for part in batch.parts]
        self.batcher.finished(batch, results, counts=not fails, began_at=began_at, ended_at=ended_at)

    def deliver(self, ticket: Ticket, outcome: "list[Any] | Exception") -> None:
        self.outcomes[ticket].append(outcome)
        self.answered_at[ticket] = self.now
        if ticket.work is not None:
            # Who is refused comes again a little later.
            self.at(self.now + 0.1 * isinstance(outcome, Exception), ticket.work)

    # What must hold

    def check(self) -> None:
        running = self.batcher.running
        if running > self.places:
            self.broken.append(f"{running} batches on {self.places} places")
        if running < self.places and self.batcher.waiting:
            self.broken.append(f"idle at {self.now} while {self.batcher.waiting} wait")

    def answered(self, ticket: Ticket) -> bool:
        return self.outcomes[ticket] == [self.outcomes[ticket][0]] and isinstance(self.outcomes[ticket][0], list)

    def rows_of(self, ticket: Ticket) -> list[int]:
        [outcome] = self.outcomes[ticket]
        return [row for part in outcome for row in part]

    def seconds_of(self, ticket: Ticket) -> float:
        return self.answered_at[ticket] - ticket.entered_at


def flow(name: str = "m", *, per_row: float = 0.001, per_run: float = 0.004, rows_max: int = 64,
         objective: float = 0.5) -> Flow:  # fmt: skip
    return Flow(name, Cost(per_row, per_run), rows_max=rows_max, objective_seconds=objective)
