"""How long one row takes, from a dict to the answer, by the code that serves: two models side by side.

They take turns in blocks, A B B A, so that whatever else the machine does falls on both; the ends of the intervals come
from resampling whole rounds of blocks (a block bootstrap, Künsch 1989), since neighbouring calls are alike.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from aias.compress.gate.evidence import Floats
from aias.runtimes.onnxruntime import OnnxRuntime

ORDER: Final = (0, 1, 1, 0)
BLOCK_CALLS: Final = 32
ROUNDS: Final = (5, 60)
"""At least and at most; between them the time decides."""

QUANTILES: Final = (0.5, 0.95, 0.99)
RESAMPLES: Final = 500
WARM_CALLS: Final = 5

Rows = Sequence[Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Between:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Pace:
    """µs of one row."""

    p50: Between
    p95: Between
    p99: Between
    calls: int


@dataclass(frozen=True, slots=True)
class Race:
    """`speed`: how many times as fast as the first the second is, by their medians."""

    first: Pace
    second: Pace
    speed: Between


def race(first: OnnxRuntime, second: OnnxRuntime, rows: Rows, *, seconds: float, seed: int) -> Race:
    """About as long as `seconds`; at least five rounds."""
    pair = (first, second)
    for runtime in pair:
        _block(runtime, rows, 0, WARM_CALLS)
    once = sum(_block(runtime, rows, 0, WARM_CALLS).mean() for runtime in pair) * 1e-6
    calls = int(np.clip(seconds / (2 * ROUNDS[0] * max(once, 1e-9)), 2, BLOCK_CALLS))
    ends_at, spent = time.perf_counter() + seconds, ([], [])  # type: tuple[float, tuple[list[Floats], list[Floats]]]
    for turn in range(ROUNDS[1]):
        if turn >= ROUNDS[0] and time.perf_counter() > ends_at:
            break
        found: tuple[list[Floats], list[Floats]] = ([], [])
        for place in ORDER:
            found[place].append(_block(pair[place], rows, turn * calls, calls))
        for place in (0, 1):
            spent[place].append(np.concatenate(found[place]))
    return summed_up(np.array(spent[0]), np.array(spent[1]), seed=seed)


def summed_up(first: Floats, second: Floats, *, seed: int) -> Race:
    """Of the µs of calls, (rounds, calls) of each model."""
    rounds = len(first)
    drawn = np.random.default_rng(seed).integers(0, rounds, (RESAMPLES, rounds))
    found = [np.quantile(each, QUANTILES) for each in (first, second)]
    resampled = [np.quantile(each[drawn].reshape(RESAMPLES, -1), QUANTILES, axis=1) for each in (first, second)]
    speed = _between(found[0][0] / found[1][0], resampled[0][0] / resampled[1][0])
    paces = []
    for values, many in zip(found, resampled, strict=True):
        p50, p95, p99 = map(_between, values, many)
        paces.append(Pace(p50, p95, p99, first.size))
    return Race(paces[0], paces[1], speed)


def _between(value: float, resampled: Floats) -> Between:
    low, high = np.quantile(resampled, [0.025, 0.975])
    return Between(float(value), float(low), float(high))


def _block(runtime: OnnxRuntime, rows: Rows, begin: int, calls: int) -> Floats:
    """µs of each call of one row."""
    spent, answer, clock = np.empty(calls), runtime.predict, time.perf_counter
    for i in range(calls):
        row: list[Any] = [rows[(begin + i) % len(rows)]]
        before = clock()
        answer(row)
        spent[i] = clock() - before
    return spent * 1e6
