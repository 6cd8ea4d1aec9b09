"""What is foreseen of others who go on asking while somebody waits."""

import random
from collections.abc import Callable

import pytest

from aias.serving.batching.demand import Demand, Queued
from simulated_machine import Machine, flow


def wait(
    demand: Demand, own: float, waiting: dict[str, float], *, now: float, first: float = 0.0, stretch: float = 1.0
) -> float:
    return demand.wait("me", Queued(own, own + 0.1, own), waiting, now, first=first, stretch=stretch)


def steadily(demand: Demand, payer: str, pace: float, *, until: float) -> None:
    for at in range(int(until * 100)):
        demand.add(payer, pace / 100, at / 100)


def test_alone_only_what_waits_counts() -> None:
    demand = Demand()
    steadily(demand, "me", 5.0, until=5)
    assert wait(demand, 0.7, {"me": 0.7}, now=5.0) == 0.7


def test_who_asks_little_at_a_time_but_again_and_again_is_waited_for() -> None:
    demand = Demand()
    steadily(demand, "other", 0.5, until=5)
    # Half of the time is another's, although hardly anything of it waits at any moment.
    assert wait(demand, 0.4, {"me": 0.4, "other": 0.01}, now=5.0) == pytest.approx(0.8, rel=0.05)
    # Also where nothing of it waits just now.
    assert wait(demand, 0.4, {"me": 0.4}, now=5.0) == pytest.approx(0.8, rel=0.06)


def test_nobody_is_foreseen_to_have_more_than_who_waits() -> None:
    demand = Demand()
    steadily(demand, "other", 50.0, until=5)
    assert wait(demand, 0.4, {"me": 0.4, "other": 9.0}, now=5.0) == pytest.approx(0.4 + 0.5)
    # Of what comes later nothing goes before whose turn it is.
    assert wait(demand, 0.4, {"me": 0.4}, now=5.0) == pytest.approx(0.4 + 0.4)
    assert wait(demand, 0.0, {"other": 0.03}, now=5.0, first=0.01) == pytest.approx(0.01 + 0.03)


def test_what_comes_in_a_wait_makes_it_longer_and_so_does_all_that_takes_longer_than_it_should() -> None:
    demand = Demand()
    steadily(demand, "a", 0.05, until=5)
    steadily(demand, "b", 9.0, until=5)
    # .1 + 2 · (1 + 1 of b + .05 · wait) is the wait.
    assert wait(demand, 1.0, {}, now=5.0, first=0.1, stretch=2.0) == pytest.approx(4.1 / (1 - 0.1), rel=0.02)


def test_many_who_ask_seldom_are_waited_for_as_little_as_they_ask() -> None:
    demand = Demand()
    for at in range(500):
        demand.add(f"small-{at % 50}", 0.002, at / 100)
    assert wait(demand, 0.4, {"me": 0.4}, now=5.0) == pytest.approx(0.4 / 0.8, rel=0.1)


def test_who_has_stopped_asking_is_forgotten() -> None:
    demand = Demand()
    steadily(demand, "other", 0.5, until=5)
    assert wait(demand, 0.4, {"me": 0.4}, now=15.0) == pytest.approx(0.4, rel=0.001)
    for at in range(10_000):
        demand.add(str(at), 0.001, 20.0 + at / 1e4)
    assert len(demand._asked) <= 65


def test_of_many_who_ask_seldom_only_those_are_refused_who_would_wait_too_long() -> None:
    """Sixty tenants who ask for three quarters of the time, together, and sometimes many at once."""
    machine, chance = Machine(), random.Random(1)
    model = flow(per_row=0.001, per_run=0.0, rows_max=1_024, objective=1)

    def ask(tenant: str) -> None:
        if machine.now < 40:
            machine.ask(model, tenant=tenant, units=16.0)
            machine.at(machine.now + chance.expovariate(0.9), lambda: ask(tenant))

    for at in range(60):
        machine.at(chance.expovariate(0.9), lambda tenant=str(at): ask(tenant))  # type: ignore[misc]
    machine.run()
    assert machine.busy_seconds / machine.now > 0.7
    waits = [each.started_at - each.entered_at for each in machine.tickets if each.started_at is not None]
    # Counted by what waits alone some waited for more than a second.
    assert max(waits) < 1.15 * model.wait_seconds_max
    assert sum(not machine.answered(each) for each in machine.tickets) < 0.01 * len(machine.tickets)


@pytest.mark.parametrize("beside", [3, 10, 20])
def test_a_flood_beside_others_who_ask_again_at_once_waits_as_long_as_was_foreseen(beside: int) -> None:
    """MiniLM's costs: counted by what waited when it came, what was let in of the flood waited for 1.5 to 2.3 s."""
    machine, chance = Machine(), random.Random(beside)
    model = flow(per_row=0.00076, per_run=0.0043, rows_max=1_024, objective=1)

    def asking(tenant: str) -> Callable[[], None]:
        def again() -> None:
            if machine.now < 12:
                machine.ask(model, tenant=tenant, units=5.0 + 30.0 * chance.random(), then=again)

        return again

    for tenant, callers in (("flood", 100), ("b", beside), ("c", beside)):
        for _ in range(callers):
            machine.at(0.1 * chance.random(), asking(tenant))
    machine.run()

    # The first seconds know nobody's pace.
    later = [each for each in machine.tickets if each.entered_at > 3 and each.started_at is not None]
    assert max(each.started_at - each.entered_at for each in later) < 1.3 * model.wait_seconds_max  # type: ignore[operator]
    assert sum(each.tenant == "flood" for each in later) > 120
    if beside < 20:
        # Who does not ask for more than a share is not refused for somebody else's flood.
        assert all(machine.answered(each) for each in machine.tickets if each.tenant != "flood")
    assert machine.broken == []
