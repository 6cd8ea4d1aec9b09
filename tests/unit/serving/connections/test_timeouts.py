"""How often all connections are looked at."""

from aias.serving.connections.timeouts import SWEEP_PAUSE_SECONDS_MAX, SWEEP_SHARE, Bounded, Sweep


class Slow(Bounded):
    """A connection that takes a while to look at, and keeps how often it was."""

    def __init__(self, clock: list[float]) -> None:
        self.clock, self.looks, self.takes = clock, 0, 0.001

    def sweep(self, now: float) -> None:
        self.clock[0] += self.takes
        self.looks += 1


def test_connections_are_looked_at_as_often_as_asked_unless_that_took_more_than_its_share() -> None:
    clock = [100.0]
    each = Slow(clock)
    sweep = Sweep(lambda: clock[0])
    sweep([each, object()], 0.0)
    while each.looks < 4:
        clock[0] += 0.01
        sweep([each], 0.0)

    assert 0.9 * SWEEP_SHARE <= 0.004 / (clock[0] - 100.0) <= 1.34 * SWEEP_SHARE


def test_after_a_stall_in_the_midst_of_a_look_slow_callers_are_not_left_alone_for_minutes() -> None:
    clock = [100.0]
    each = Slow(clock)
    each.takes = 1.0
    sweep = Sweep(lambda: clock[0])
    sweep([each], 0.0)
    clock[0] += SWEEP_PAUSE_SECONDS_MAX
    sweep([each], 0.0)

    assert each.looks == 2


def test_one_connection_that_cannot_be_looked_after_leaves_no_other_alone() -> None:
    clock = [100.0]
    first, last = Slow(clock), Slow(clock)

    class Broken(Bounded):
        def __init__(self) -> None:
            pass

        def sweep(self, now: float) -> None:
            raise RuntimeError("it is broken")

    Sweep(lambda: clock[0])([first, Broken(), last], 0.0)

    assert (first.looks, last.looks) == (1, 1)
