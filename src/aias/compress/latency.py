"""How long one row takes, from a dict to the answer, by the code that serves: models side by side.

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
    spent = _rounds((first, second), rows, seconds)
    return summed_up(spent[0], spent[1], seed=seed)


def paces(runtimes: Sequence[OnnxRuntime], rows: Rows, *, seconds: float, seed: int) -> list[Pace]:
    """Of any number of models that take turns."""
    spent = _rounds(runtimes, rows, seconds)
    drawn = _drawn(spent.shape[1], seed)
    return [_pace(each, drawn) for each in spent]


def _rounds(runtimes: Sequence[OnnxRuntime], rows: Rows, seconds: float) -> Floats:
    """µs of calls, (models, rounds, calls)."""
    for runtime in runtimes:
        _block(runtime, rows, 0, WARM_CALLS)
    once = sum(_block(runtime, rows, 0, WARM_CALLS).mean() for runtime in runtimes) * 1e-6
    calls = int(np.clip(seconds / (2 * ROUNDS[0] * max(once, 1e-9)), 2, BLOCK_CALLS))
    ends_at, rounds = time.perf_counter() + seconds, []
    for turn in range(ROUNDS[1]):
        if turn >= ROUNDS[0] and time.perf_counter() > ends_at:
            break
        there = [_block(runtime, rows, turn * calls, calls) for runtime in runtimes]
        back = [_block(runtime, rows, turn * calls, calls) for runtime in reversed(runtimes)]
        rounds.append([np.concatenate(pair) for pair in zip(there, reversed(back), strict=True)])
    return np.swapaxes(np.array(rounds), 0, 1)


def summed_up(first: Floats, second: Floats, *, seed: int) -> Race:
    """Of the µs of calls, (rounds, calls) of each model."""
    drawn = _drawn(len(first), seed)
    medians = [np.median(each) for each in (first, second)]
    resampled = [np.median(each[drawn].reshape(RESAMPLES, -1), axis=1) for each in (first, second)]
    speed = _between(medians[0] / medians[1], resampled[0] / resampled[1])
    return Race(_pace(first, drawn), _pace(second, drawn), speed)


def _drawn(rounds: int, seed: int) -> Any:
    """Which rounds are in each resample."""
    return np.random.default_rng(seed).integers(0, rounds, (RESAMPLES, rounds))


def _pace(spent: Floats, drawn: Any) -> Pace:
    many = np.quantile(spent[drawn].reshape(RESAMPLES, -1), QUANTILES, axis=1)
    p50, p95, p99 = map(_between, np.quantile(spent, QUANTILES), many)
    return Pace(p50, p95, p99, spent.size)


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
