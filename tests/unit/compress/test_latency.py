"""`compress/latency.py`: what is summed up of calls, whose times are given here."""

import numpy as np
import pytest

from aias.compress.latency import summed_up


def test_a_model_twice_as_fast_is_told_so_whatever_the_machine_does():
    rng = np.random.default_rng(0)
    busy = rng.lognormal(0, 0.5, size=(20, 1))  # of each round, on both
    first = 100 * busy * rng.lognormal(0, 0.05, size=(20, 64))
    second = 50 * busy * rng.lognormal(0, 0.05, size=(20, 64))

    found = summed_up(first, second, seed=0)

    assert found.speed.low < 2 < found.speed.high
    assert found.speed.value == pytest.approx(2, rel=0.1)
    assert found.first.p50.low <= found.first.p50.value <= found.first.p50.high
    assert found.first.p50.value < found.first.p95.value < found.first.p99.value
    assert found.second.calls == 20 * 64


def test_a_model_against_itself_is_neither_faster_nor_slower():
    spent = np.random.default_rng(1).lognormal(3, 0.3, size=(2, 20, 64))

    found = summed_up(*spent, seed=0)

    assert found.speed.low < 1 < found.speed.high
