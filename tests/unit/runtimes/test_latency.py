"""`runtimes/latency.py`: what is summed up of calls, whose times are given here, and who asks whom."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest

from aias.runtimes import latency
from aias.runtimes.latency import P99_CALLS_MIN, latency_summaries, paired, paired_latencies, paired_latency


def test_a_model_twice_as_fast_is_told_so_whatever_the_machine_does():
    rng = np.random.default_rng(0)
    busy = rng.lognormal(0, 0.5, size=(20, 1))  # of each round, on both
    first = 100 * busy * rng.lognormal(0, 0.05, size=(20, 64))
    second = 50 * busy * rng.lognormal(0, 0.05, size=(20, 64))

    found = paired(first, second, seed=0)

    assert found.speed.low < 2 < found.speed.high
    assert found.speed.value == pytest.approx(2, rel=0.1)
    assert found.first.p50.low <= found.first.p50.value <= found.first.p50.high
    assert found.first.p50.value < found.first.p95.value < found.first.p99.value
    assert found.second.calls == 20 * 64


def test_a_model_against_itself_is_neither_faster_nor_slower():
    spent = np.random.default_rng(1).lognormal(3, 0.3, size=(2, 20, 64))

    found = paired(*spent, seed=0)

    assert found.speed.low < 1 < found.speed.high


@pytest.mark.parametrize("rounds", [6, 20])
def test_intervals_cover_as_often_as_they_say(rounds: int):
    """Rounds differ by more than calls do: what ignores them covers half as often (the third figure)."""
    simulated, covered = 100, np.zeros(3)
    for seed in range(simulated):
        rng = np.random.default_rng(seed)
        busy = rng.lognormal(0, 0.3, size=(rounds, 1))
        first, second = (
            us * busy * rng.lognormal(0, 0.1, size=(rounds, 1)) * rng.lognormal(0, 0.2, size=(rounds, 24))
            for us in (100, 50)
        )
        found = paired(first, second, seed=seed)
        plain = np.quantile(rng.choice(first.ravel(), (200, first.size)), 0.5, axis=1)
        covered += [
            found.speed.low <= 2 <= found.speed.high,
            found.first.p50.low <= 100 <= found.first.p50.high,
            np.quantile(plain, 0.025) <= 100 <= np.quantile(plain, 0.975),
        ]

    share = covered / simulated
    assert min(share[:2]) >= 0.88  # 95 of 100 are promised; below 88 a binomial falls once in a thousand
    assert share[2] < 0.7


def test_few_calls_have_no_99th_percentile():
    spent = np.random.default_rng(1).lognormal(3, 0.3, size=(2, 10, P99_CALLS_MIN // 10))

    assert paired(*spent, seed=0).first.p99 is not None
    assert paired(*spent[:, :, :-1], seed=0).first.p99 is None


class Asked:
    """A model that notes who asks it."""

    def __init__(self, log: list[tuple[str, str]], name: str) -> None:
        self.log, self.name = log, name

    def predict(self, rows: list[dict[str, object]]) -> SimpleNamespace:
        assert len(rows) == 1
        self.log.append((self.name, threading.current_thread().name))
        return SimpleNamespace()


def test_models_take_turns_a_b_b_a():
    log: list[tuple[str, str]] = []
    paired_latency(Asked(log, "a"), Asked(log, "b"), [{}], seconds=0, seed=0)

    order = [name for at, (name, _) in enumerate(log) if not at or log[at - 1][0] != name]
    assert order[-8:] == ["b", "a", "b", "a", "b", "a", "b", "a"]
    assert len({thread for _, thread in log}) == 1


def test_several_callers_of_a_small_model_wait_for_each_other(monkeypatch: pytest.MonkeyPatch):
    now = [0.0]
    monkeypatch.setattr(latency, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    class Slow(Asked):
        def predict(self, rows: list[dict[str, object]]) -> SimpleNamespace:
            now[0] += 0.0005
            return super().predict(rows)

    log: list[tuple[str, str]] = []
    alone, together = paired_latencies(Slow(log, "a"), Slow(log, "b"), [{}], callers=4, seconds=0, seed=0)

    assert len({thread for _, thread in log}) == 1
    assert alone.first.p50.value == pytest.approx(500)
    assert together.first.p50.value == pytest.approx(4 * 500)


def test_several_callers_of_a_larger_model_are_as_many_threads(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(latency, "INLINE", 0.0)
    log: list[tuple[str, str]] = []
    found = paired_latency(Asked(log, "a"), Asked(log, "b"), [{}], callers=3, seconds=0, seed=0)

    assert found.callers == 3
    assert len({thread for _, thread in log if thread.startswith("aias-caller")}) == 3
    assert latency_summaries([Asked([], "a")], [{}], seconds=0, seed=0)[0].calls > 0
    both = paired_latencies(Asked([], "a"), Asked([], "b"), [{}], callers=2, seconds=0, seed=0)
    assert [each.callers for each in both] == [1, 2]
