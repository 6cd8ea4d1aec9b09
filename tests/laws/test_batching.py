"""Whatever comes, whenever it comes: what must hold of every schedule of the batcher."""

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from aias.serving.refusals import Busy, Overloaded, TooLate
from simulated_machine import Machine, flow


@dataclass(frozen=True)
class Ask:
    after: float
    flow: int
    tenant: int
    rows: int
    weight: float
    priority: int
    whole: bool
    within: float | None
    hangs_up_after: float | None


ASKS = st.builds(
    Ask,
    after=st.sampled_from([0.0, 0.0, 0.001, 0.02]),
    flow=st.integers(0, 2),
    tenant=st.integers(0, 2),
    rows=st.sampled_from([1, 1, 2, 7, 40]),
    weight=st.sampled_from([1.0, 1.0, 3.5]),
    priority=st.integers(0, 2),
    whole=st.booleans(),
    within=st.sampled_from([None, None, 0.001, 0.05, 0.5]),
    hangs_up_after=st.sampled_from([None, None, 0.0, 0.01]),
)


@settings(max_examples=60)
@given(
    asks=st.lists(ASKS, max_size=30),
    places=st.integers(1, 3),
    rows_max=st.sampled_from([1, 3, 16]),
    slower=st.sampled_from([0.5, 1.0, 4.0]),
    fails=st.sets(st.integers(0, 10), max_size=2),
    away=st.sampled_from([0.0, 0.0, 0.004, 0.2]),
)
def test_every_request_is_answered_once_and_rightly_or_told_why_not(
    asks: list[Ask],
    places: int,
    rows_max: int,
    slower: float,
    fails: set[int],
    away: float,
) -> None:
    flows = [
        flow("a", rows_max=rows_max),
        flow("b", rows_max=rows_max, per_run=0.0, objective=0.01),
        flow("c", rows_max=rows_max, per_row=0.03),
    ]
    machine = Machine(
        places=places,
        takes=lambda batch: slower * batch.flow.cost.seconds(batch.units),
        fails=lambda batch: machine.batches.index(batch) in fails,
        away=lambda: away,
    )
    gone = set()
    at = 0.0

    def send(ask: Ask) -> None:
        ticket = machine.ask(
            flows[ask.flow], rows=ask.rows, tenant=str(ask.tenant), units=ask.rows * ask.weight,
            priority=ask.priority, whole=ask.whole, within=ask.within, until=machine.now + 5.0,
        )  # fmt: skip

        def hang_up() -> None:
            if not ticket.over and not machine.outcomes[ticket]:
                gone.add(ticket)
                machine.batcher.cancel(ticket)

        if ask.hangs_up_after is not None:
            machine.at(machine.now + ask.hangs_up_after, hang_up)

    for ask in asks:
        at += ask.after
        machine.at(at, lambda ask=ask: send(ask))
    machine.run()

    assert machine.broken == []
    assert machine.batcher.waiting == machine.batcher.running == 0
    for ticket in machine.tickets:
        outcomes = machine.outcomes[ticket]
        assert len(outcomes) == (ticket not in gone)
        if machine.outcomes[ticket] and machine.answered(ticket):
            assert machine.rows_of(ticket) == list(range(ticket.rows))
        elif outcomes:
            assert isinstance(outcomes[0], Busy | Overloaded | TooLate | ValueError)
    taken = [row for batch in machine.batches for part in batch.parts for row in _rows(part)]
    assert len(taken) == len(set(taken)), "a row ran twice"


def _rows(part: object) -> list[tuple[int, int]]:
    return [(id(part.ticket), row) for row in range(part.start, part.stop)]  # type: ignore[attr-defined]
