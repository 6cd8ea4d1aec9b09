"""The batcher on a simulated clock: what users of other servers complained of, each as a test, and the worst cases."""

import random

import pytest

from aias.serving.batching.batcher import Batcher
from aias.serving.batching.tickets import WAIT_SHARE, Batch, Ticket
from aias.serving.refusals import Busy, Overloaded, TooLate
from simulated_machine import Machine, flow, together


def test_an_idle_machine_runs_at_once() -> None:
    machine, model = Machine(), flow()

    ticket = machine.ask(model)
    machine.run()

    assert ticket.started_at == 0.0
    assert machine.seconds_of(ticket) == pytest.approx(model.cost.seconds(1))


def test_what_waits_while_a_run_is_on_runs_together_afterwards() -> None:
    machine, model = Machine(), flow()

    tickets = [machine.ask(model, rows=rows, tenant=str(rows)) for rows in (1, 2, 3, 4)]
    machine.run()

    assert together(machine) == [1, 9]
    assert [machine.rows_of(each) for each in tickets] == [list(range(rows)) for rows in (1, 2, 3, 4)]


def test_rows_that_gain_nothing_together_are_not_joined() -> None:
    machine, model = Machine(), flow(per_row=0.005, per_run=0.0001)

    for _ in range(4):
        machine.ask(model)
    machine.run()

    assert together(machine) == [1, 1, 1, 1]


def test_a_failed_run_ends_its_request_and_nobody_elses() -> None:
    machine, model = Machine(fails=lambda batch: batch.parts[0].ticket.tenant == "bad"), flow(rows_max=4)

    bad = machine.ask(model, rows=9, tenant="bad")
    good = machine.ask(model, tenant="good")
    machine.run()

    assert isinstance(machine.outcomes[bad][0], ValueError)
    assert len(machine.outcomes[bad]) == 1
    assert sum(batch.parts[0].ticket is bad for batch in machine.batches) == 1
    assert machine.answered(good)


def test_who_hangs_up_leaves_the_queue() -> None:
    machine, model = Machine(), flow()
    first, gone, last = (machine.ask(model, tenant=name) for name in ("a", "b", "c"))

    machine.batcher.cancel(gone)
    machine.run()

    assert machine.outcomes[gone] == []
    assert together(machine) == [1, 1]
    assert machine.answered(first)
    assert machine.answered(last)


@pytest.mark.parametrize("ends", ["by hanging up", "too late"])
def test_what_is_over_and_never_comes_up_is_not_kept_for_ever(ends: str) -> None:
    machine, model = Machine(), flow()
    machine.ask(model)
    urgent = [machine.ask(model, priority=0) for _ in range(20)]
    for at in range(1_000):
        late = machine.ask(model, priority=2)
        if ends == "too late":
            late.until = machine.now
            machine.batcher.expire()
        else:
            machine.batcher.cancel(late)
        assert len(machine.batcher._queues[late.tenant].flows[model]) < 200, at
    last = machine.ask(model, priority=2)
    machine.run()

    assert all(machine.outcomes[each] for each in [*urgent, last])


def test_who_hangs_up_while_running_harms_nobody() -> None:
    machine, model = Machine(), flow(rows_max=2, objective=10)
    gone, last = machine.ask(model, rows=8), machine.ask(model)

    machine.batcher.cancel(gone)
    machine.run()

    assert machine.outcomes[gone] == []
    assert machine.answered(last)
    assert together(machine) == [2, 1]


def test_a_deadline_that_cannot_be_met_is_told_at_the_door() -> None:
    machine, model = Machine(), flow()
    first = machine.ask(model, within=0.006)
    late = machine.ask(model, within=0.006)
    machine.run()

    assert machine.answered(first)
    [fault] = machine.outcomes[late]
    assert isinstance(fault, Overloaded)
    assert machine.answered_at[late] == 0.0


def test_without_a_deadline_the_objective_bounds_the_wait_and_the_refusal_says_when_to_come_again() -> None:
    machine, model = Machine(), flow(per_row=0.1, per_run=0.0, objective=2.0)

    tickets = [machine.ask(model) for _ in range(60)]
    [fault] = machine.outcomes[tickets[-1]]
    machine.run()

    assert isinstance(fault, Overloaded)
    assert int(dict(fault.headers)[b"retry-after"]) >= 1
    accepted = [each for each in tickets if machine.answered(each)]
    assert max(map(machine.seconds_of, accepted)) <= model.objective_seconds
    assert len(accepted) >= WAIT_SHARE * 20


def test_a_request_whose_time_is_over_is_not_run() -> None:
    # The first run takes far longer than anybody could know.
    machine, model = Machine(takes=lambda batch: 5.0 if batch.started_at == 0 else 0.005), flow()
    machine.ask(model)
    late = machine.ask(model, within=0.1)
    machine.at(0.2, machine.batcher.expire)
    machine.run()

    [fault] = machine.outcomes[late]
    assert isinstance(fault, TooLate)
    assert machine.answered_at[late] == 0.2
    assert len(machine.batches) == 1


def test_a_run_beyond_its_time_is_given_up_but_keeps_its_place() -> None:
    machine, model = Machine(takes=lambda _batch: 5.0), flow()
    stuck = machine.ask(model, until=1.0)
    machine.at(1.5, machine.batcher.expire)
    machine.run(2.0)

    assert isinstance(machine.outcomes[stuck][0], TooLate)
    assert machine.batcher.running == 1
    machine.run()
    assert machine.batcher.running == 0
    assert len(machine.outcomes[stuck]) == 1


def test_no_more_than_so_many_wait() -> None:
    machine, model = Machine(waiting_max=2), flow(objective=100)

    tickets = [machine.ask(model) for _ in range(4)]
    machine.run()

    assert [machine.answered(each) for each in tickets] == [True, True, True, False]
    assert isinstance(machine.outcomes[tickets[3]][0], Busy)


def test_who_has_as_many_waiting_as_may_wait_refuses_nobody_else() -> None:
    machine, model = Machine(waiting_max=8), flow(objective=100)

    flood = [machine.ask(model, tenant="flood") for _ in range(10)]
    others = [machine.ask(model, tenant=each) for each in ("one", "two", "one", "one", "one")]
    machine.run()

    assert [machine.answered(each) for each in flood] == [True] * 9 + [False]
    # A third each, as three have something waiting.
    assert [machine.answered(each) for each in others] == [True, True, True, False, False]


def test_as_many_as_may_wait_that_are_in_no_hurry_refuse_nobody_who_is() -> None:
    machine, model = Machine(waiting_max=2), flow(objective=100)

    low = [machine.ask(model, priority=2) for _ in range(4)]
    high = [machine.ask(model, priority=0) for _ in range(3)]
    machine.run()

    assert [machine.answered(each) for each in low] == [True, True, True, False]
    assert [machine.answered(each) for each in high] == [True, True, False]


def test_an_answer_that_goes_on_and_on_holds_one_place_and_no_more() -> None:
    machine = Machine(places=2, takes=lambda batch: 30.0 if batch.parts[0].ticket.whole else 0.005)
    talk, model = flow("talk", per_row=1.0, per_run=0.0), flow()
    stream = machine.ask(talk, whole=True)

    others = []

    def again() -> None:
        if machine.now < 1:
            others.append(machine.ask(model, then=again))

    again()
    machine.run(1.5)

    assert machine.outcomes[stream] == []
    assert all(machine.answered(each) for each in others)
    assert len(others) >= 190
    machine.run()
    assert machine.answered(stream)


def test_who_is_away_when_runs_end_has_booked_what_runs_meanwhile() -> None:
    machine, model = Machine(places=2, away=lambda: 0.02), flow(per_row=0.002, per_run=0.0, objective=1_000)
    for _ in range(1_000):
        machine.ask(model)
    machine.run()

    assert machine.busy_seconds == pytest.approx(2.0)
    assert machine.now < 1.1
    assert machine.broken == []


def test_who_is_never_away_books_nothing() -> None:
    booked: list[int] = []
    machine = Machine(places=2, takes=lambda _batch: booked.append(machine.ahead) or 0.002)  # type: ignore[func-returns-value]
    model = flow(per_row=0.002, per_run=0.0, objective=1_000)
    for _ in range(50):
        machine.ask(model)
    machine.run()

    assert booked == [0] * 50


def test_nothing_is_booked_that_would_gain_from_company() -> None:
    booked: list[int] = []
    machine, model = Machine(places=2, away=lambda: 0.02), flow(per_row=0.001, per_run=0.01, objective=1_000)
    for at in range(300):
        machine.at(0.001 * at, lambda: machine.ask(model))
        machine.at(0.001 * at, lambda: booked.append(machine.ahead))
    machine.run()

    assert max(booked) == 0
    assert max(together(machine)) > 20


def test_what_runs_cost_is_learned_without_the_time_nobody_heard_of_it() -> None:
    machine, model = Machine(away=lambda: 0.05), flow(per_row=0.002, per_run=0.0, objective=1_000)
    for _ in range(200):
        machine.ask(model)
    machine.run()

    assert model.cost.seconds(1) == pytest.approx(0.002, rel=0.01)


def test_what_is_booked_counts_at_the_door() -> None:
    machine, model = Machine(places=2, away=lambda: 0.05), flow(per_row=0.01, per_run=0.0, objective=1_000)
    for _ in range(60):
        machine.ask(model)
    machine.run(0.2)
    booked, waiting = machine.ahead, machine.batcher.waiting
    wait = machine.batcher.expected_wait(Ticket(model, "other", 1, machine.deliver))

    assert booked >= 3
    assert wait >= 0.01 * (booked + min(waiting, 1)) / 2


def test_on_one_place_nothing_is_booked() -> None:
    """There the one processor does the work of whoever is away."""
    machine, model = Machine(away=lambda: 0.02), flow(per_row=0.002, per_run=0.0, objective=1_000)
    for _ in range(20):
        machine.ask(model)
    machine.run(0.1)

    assert machine.ahead == 0
    machine.run()
    assert machine.broken == []


def open_loop(times_capacity: float, *, places: int = 1, seconds: float = 60.0) -> tuple[Machine, float, list[Ticket]]:
    """Poisson arrivals at a multiple of what the machine can do at its best; true times vary by a fifth."""
    chance = random.Random(7)
    model = flow(per_row=0.002, per_run=0.002, objective=0.2)
    machine = Machine(places=places, takes=lambda batch: (0.001 * batch.units + 0.004) * chance.uniform(0.8, 1.2))
    best = places * 64 / (0.001 * 64 + 0.004)
    now = 0.0
    while now < seconds:
        now += chance.expovariate(times_capacity * best)
        machine.at(now, lambda: machine.ask(model, tenant=str(chance.randrange(5))))
    machine.run(seconds)
    return machine, best * seconds, list(machine.tickets)


@pytest.mark.parametrize("times", [2, 5])
def test_under_overload_the_machine_does_nearly_all_it_can_and_who_is_let_in_is_answered_soon(times: float) -> None:
    machine, best, tickets = open_loop(times, seconds=4.0)

    accepted = sorted(machine.seconds_of(each) for each in tickets if machine.outcomes[each] and machine.answered(each))
    assert len(accepted) >= 0.9 * 0.9 * best
    assert accepted[int(0.99 * len(accepted))] <= 2 * 0.2
    assert machine.broken == []


def test_below_capacity_nobody_is_refused() -> None:
    machine, _, tickets = open_loop(0.6, seconds=4.0)

    assert all(machine.answered(each) for each in tickets if machine.outcomes[each])


def test_runs_that_take_longer_than_the_objective_become_smaller() -> None:
    machine, model = Machine(takes=lambda batch: 0.02 * batch.units + 0.2), flow(per_run=0.2, objective=0.5)
    before = model.cap

    def again() -> None:
        if machine.now < 20:
            machine.ask(model, then=again)

    for _ in range(64):
        again()
    machine.run(20)

    late = [batch.rows for batch in machine.batches[-5:]]
    assert max(late) * 0.02 + 0.2 <= 1.1 * model.objective_seconds
    assert before > model.cap


@pytest.mark.parametrize("looks", range(1, 8))
def test_a_time_that_is_over_while_the_next_run_is_chosen_costs_no_place(looks: int) -> None:
    now, started, told = [0.0], list[Batch](), list[object]()

    def clock() -> float:
        now[0] += 1.0
        return now[0]

    batcher = Batcher(started.append, places=1, clock=clock, waiting_max=10)
    model, deliver = flow(), lambda _ticket, outcome: told.append(outcome)
    batcher.submit(Ticket(model, "one", 1, deliver, until=1_000.0))
    late = Ticket(model, "one", 1, deliver)
    batcher.submit(late, let_in=True)
    # It is over at one of the next looks at the clock.
    late.until = now[0] + looks
    batcher.finished(started[0], [["yes"]])
    for batch in started[1:]:
        assert batch.parts, "nothing runs, and nobody would tell of its end"
        batcher.finished(batch, [["yes"]])

    batcher.submit(Ticket(model, "one", 1, deliver, until=1_000.0), let_in=True)
    assert batcher.running == 1
