"""A request of many rows runs in parts, with others in between, on a simulated clock."""

import random

import pytest

from aias.serving.batching.tickets import Flow, Ticket
from simulated_machine import Machine, flow, together


def test_a_request_beyond_the_maximum_is_split_and_put_together_again() -> None:
    machine, model = Machine(places=2), flow(rows_max=10, per_run=0.1, objective=10)

    ticket = machine.ask(model, rows=35)
    machine.run()

    assert sorted(together(machine)) == [5, 10, 10, 10]
    assert machine.rows_of(ticket) == list(range(35))


def test_a_maximum_of_one_is_legal() -> None:
    machine, model = Machine(), flow(rows_max=1)

    tickets = [machine.ask(model, rows=rows) for rows in (1, 3, 1)]
    machine.run()

    assert set(together(machine)) == {1}
    assert [machine.rows_of(each) for each in tickets] == [[0], [0, 1, 2], [0]]


def test_rows_larger_than_the_example_count_for_more() -> None:
    machine, model = Machine(), flow(rows_max=32)
    machine.ask(model)

    for _ in range(4):
        machine.ask(model, units=16.0)
    machine.run()

    assert together(machine) == [1, 2, 2]


def test_rows_smaller_than_the_example_count_for_less() -> None:
    machine, model = Machine(), flow(rows_max=256)
    machine.ask(model)

    for _ in range(200):
        machine.ask(model, units=0.5)
    machine.run()

    assert together(machine) == [1, 80, 80, 40]
    assert model.cost.per_row == pytest.approx(0.001)


def test_a_large_request_lets_others_in_between() -> None:
    machine, model = Machine(), flow(rows_max=1_000, per_row=0.001, per_run=0.0, objective=10)

    large = machine.ask(model, rows=1_000, tenant="large")
    small = [machine.ask(model, tenant="small") for _ in range(5)]
    machine.run()

    assert all(machine.seconds_of(each) < 0.2 for each in small)
    assert machine.rows_of(large) == list(range(1_000))


def test_a_large_request_does_not_shut_out_small_ones_of_its_own_tenant() -> None:
    machine, model = Machine(), flow(rows_max=1_000, per_row=0.01, per_run=0.0, objective=0.5)

    large = machine.ask(model, rows=1_000)
    small = [machine.ask(model) for _ in range(5)]
    machine.run()

    assert all(machine.answered(each) and machine.seconds_of(each) < 0.3 for each in small)
    assert machine.rows_of(large) == list(range(1_000))


def beside_large_ones(*, large: int, tenant: str) -> tuple[Machine, list[Ticket], Flow]:
    """MiniLM's costs: 2,048 texts of 14 tokens in each of the `large` requests, and four callers who ask for one."""
    machine, chance = Machine(), random.Random(1)
    model = flow(per_row=0.00076, per_run=0.0043, rows_max=1_024, objective=1)
    small: list[Ticket] = []
    for _ in range(large):
        machine.ask(model, rows=2_048, units=3.5 * 2_048, tenant="large")

    def again() -> None:
        if machine.now < 4:
            then = lambda: machine.at(machine.now + 0.02 * chance.random(), again)  # noqa: E731
            small.append(machine.ask(model, units=3.5, tenant=tenant, then=then))

    for _ in range(4):
        machine.at(0.1 * chance.random(), again)
    machine.run()
    return machine, small, model


@pytest.mark.parametrize("large", [1, 3])
@pytest.mark.parametrize("tenant", ["large", "another"])
def test_beside_large_requests_small_ones_wait_for_about_one_part(large: int, tenant: str) -> None:
    machine, small, model = beside_large_ones(large=large, tenant=tenant)

    one_part = model.cost.seconds(model.part)
    assert one_part == pytest.approx(0.03)
    # The part that runs when it comes, then its own run: of all the small ones, and what is left of a part beside them.
    assert max(map(machine.seconds_of, small)) <= 2 * one_part
    assert all(machine.rows_of(each) == list(range(each.rows)) for each in machine.tickets)
    assert machine.broken == []


def test_a_large_request_of_its_own_tenant_is_not_starved_by_small_ones() -> None:
    machine, model = Machine(), flow(per_row=0.001, per_run=0.0, rows_max=1_000, objective=10)
    large = machine.ask(model, rows=1_000)

    def again() -> None:
        if machine.now < 4:
            machine.ask(model, then=again)

    for _ in range(40):
        again()
    machine.run()

    assert machine.seconds_of(large) < 3.0


def test_of_many_large_requests_none_waits_for_long_however_many_small_ones_come() -> None:
    """MiniLM's costs, and ninety callers of one tenant who ask again at once: a quarter for three long texts."""
    machine, chance = Machine(), random.Random(1)
    model = flow(per_row=0.00076, per_run=0.0043, rows_max=1_024, objective=1)

    def again() -> None:
        if machine.now < 20:
            units = 30.0 * chance.random()
            if chance.random() < 0.25:
                machine.ask(model, rows=3, units=60.0 + units, then=again)
            else:
                machine.ask(model, units=5.0 + units, then=again)

    for _ in range(90):
        machine.at(0.1 * chance.random(), again)
    machine.run()

    answered = [each for each in machine.tickets if machine.answered(each)]
    waits = [each.started_at - each.entered_at for each in answered if each.started_at is not None]
    assert sum(each.is_large for each in answered) > 100
    # As long as the door foresees, and again as long for small ones that came later and went in between.
    assert max(waits) < 2 * model.wait_seconds_max
    assert machine.broken == []


def test_a_row_that_takes_longer_than_a_part_is_waited_for_as_long_as_it_takes() -> None:
    machine, model = Machine(), flow(per_row=0.00076, per_run=0.0043, rows_max=1_024, objective=1)

    def again() -> None:
        if machine.now < 10:
            machine.ask(model, units=200.0, ends=[200.0], then=again)

    for _ in range(60):
        again()
    machine.run()

    assert model.cost.seconds(200.0) > 5 * model.cost.seconds(model.part)
    waits = [each.started_at - each.entered_at for each in machine.tickets if each.started_at is not None]
    assert max(waits) < 1.25 * model.wait_seconds_max


def test_a_part_is_cut_by_what_its_rows_weigh_each() -> None:
    machine, model = Machine(), flow(per_row=0.001, per_run=0.0, rows_max=1_000, objective=10)
    ends = [float(at) for at in range(1, 101)] + [100.0 + 64 * at for at in range(1, 11)]

    ticket = machine.ask(model, rows=110, units=ends[-1], ends=ends)
    machine.run()

    assert machine.rows_of(ticket) == list(range(110))
    assert [batch.rows for batch in machine.batches] == [30, 30, 30, 10, *[1] * 10]
    assert sum(batch.units for batch in machine.batches) == pytest.approx(ends[-1])
