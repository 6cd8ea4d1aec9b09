"""Whose turn it is: tenants and models have the same seconds, on a simulated clock."""

import pytest

from aias.serving.refusals import Overloaded
from simulated_machine import Machine, flow


def test_what_goes_first_for_one_tenant_does_not_for_another() -> None:
    machine, model = Machine(), flow(per_row=0.01, per_run=0.0, objective=10)
    machine.ask(model, tenant="a")
    late = [machine.ask(model, tenant="a", priority=2) for _ in range(3)]
    soon = machine.ask(model, tenant="a", priority=0)
    others = machine.ask(model, tenant="b", priority=2)
    machine.run()

    assert soon.started_at < min(each.started_at for each in late)
    assert others.started_at < max(each.started_at for each in late)


def test_what_may_wait_refuses_nobody_who_goes_first() -> None:
    machine, model = Machine(), flow(per_row=0.125, per_run=0.0, objective=1)
    waiting = [machine.ask(model, priority=2) for _ in range(20)]
    of_low = sum(not machine.outcomes[each] for each in waiting)
    first = machine.ask(model, priority=0)
    middle = [machine.ask(model, priority=1) for _ in range(20)]
    of_middle = sum(not machine.outcomes[each] for each in middle)
    last = machine.ask(model, priority=2)
    machine.run()

    assert (of_low, of_middle) == (7, 5)
    assert first.started_at == 0.125
    assert isinstance(machine.outcomes[last][0], Overloaded)


def test_a_flood_of_one_tenant_leaves_another_its_half() -> None:
    machine, model = Machine(places=2), flow(per_row=0.01, per_run=0.0, objective=1_000)
    for _ in range(1_000):
        machine.ask(model, tenant="flood")
    served = []

    def again() -> None:
        if machine.now < 2:
            served.append(machine.ask(model, tenant="steady", then=again))

    for _ in range(4):
        again()
    machine.run(2.0)

    count = sum(machine.answered(each) for each in served if machine.outcomes[each])
    assert 0.45 <= count / (2.0 * 2 / 0.01) <= 0.55


def test_a_flood_on_many_models_takes_no_more_than_a_flood_on_one() -> None:
    machine = Machine()
    models = [flow(str(at), per_row=0.01, per_run=0.0, objective=1_000) for at in range(10)]
    for model in models[1:]:
        for _ in range(100):
            machine.ask(model, tenant="flood")
    single = [machine.ask(models[0], tenant="single") for _ in range(100)]
    machine.run(1.0)

    assert sum(machine.answered(each) for each in single if machine.outcomes[each]) >= 48


def test_two_models_of_one_tenant_take_turns_by_seconds_not_by_requests() -> None:
    machine = Machine()
    slow, fast = (
        flow("slow", per_row=0.1, per_run=0, objective=1_000),
        flow("fast", per_row=0.01, per_run=0, objective=1_000),
    )
    of_slow, of_fast = [machine.ask(slow) for _ in range(50)], [machine.ask(fast) for _ in range(500)]
    machine.run(2.0)

    seconds = [
        sum(model.cost.per_row for each in tickets if machine.outcomes[each])
        for model, tickets in ((slow, of_slow), (fast, of_fast))
    ]
    assert seconds[0] == pytest.approx(1.0, abs=0.25)
    assert seconds[1] == pytest.approx(1.0, abs=0.25)


def test_who_was_idle_has_saved_nothing_up() -> None:
    machine, model = Machine(), flow(per_row=0.01, per_run=0.0, objective=1_000)
    machine.ask(model, tenant="late")
    for _ in range(100):
        machine.ask(model, tenant="steady")
    machine.run(0.5)
    late = [machine.ask(model, tenant="late") for _ in range(50)]
    machine.run(0.7)

    assert 8 <= sum(bool(machine.outcomes[each]) for each in late) <= 12
