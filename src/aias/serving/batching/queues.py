"""What one tenant has waiting for the batcher."""

from collections import Counter
from heapq import heapify
from typing import Final

from aias.serving.batching.tickets import Flow, Ticket

_OVER_MAX: Final = 64
"""Of a heap, that need not be looked for."""


class Queue:
    """By flow, a heap of priority, arrival, ticket. `was_large`: flows of which the last to run was part of a large
    request."""

    __slots__ = ("_by_priority", "_counts", "flows", "held", "was_large")

    def __init__(self) -> None:
        self.flows: dict[Flow, list[tuple[int, int, Ticket]]] = {}
        self.held: dict[Ticket, float] = {}
        self._by_priority: dict[int, float] = {}
        self._counts: Counter[int] = Counter()
        self.was_large: set[Flow] = set()

    @property
    def seconds(self) -> float:
        """Until each has had a run."""
        return sum(self._by_priority.values())

    def seconds_before(self, priority: int) -> float:
        """Until each has had a run that one of this priority would wait for."""
        return sum(seconds for other, seconds in self._by_priority.items() if other <= priority)

    def count_before(self, priority: int) -> int:
        """How many that one of this priority would wait for."""
        return sum(count for other, count in self._counts.items() if other <= priority)

    def hold(self, ticket: Ticket) -> None:
        """Note how much of it still waits."""
        estimate = ticket.next_estimate
        self._counts[ticket.priority] += ticket not in self.held
        self._add(ticket, estimate - self.held.get(ticket, 0.0))
        self.held[ticket] = estimate

    def let_go(self, ticket: Ticket) -> bool:
        estimate = self.held.pop(ticket, None)
        self._counts[ticket.priority] -= estimate is not None
        self._add(ticket, -(estimate or 0.0))
        return estimate is not None

    def tidy(self, flow: Flow) -> None:
        """Clear away what is over, once that is most of a heap: what may wait longest might never come up."""
        heap = self.flows.get(flow, [])
        if len(heap) > _OVER_MAX + 2 * len(self.held):
            heap[:] = [entry for entry in heap if not entry[2].over]
            heapify(heap)

    def _add(self, ticket: Ticket, seconds: float) -> None:
        self._by_priority[ticket.priority] = max(0.0, self._by_priority.get(ticket.priority, 0.0) + seconds)
