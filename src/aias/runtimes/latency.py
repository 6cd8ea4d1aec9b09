"""Latency of one row, from a dict to the answer, measured on models side by side with the code that serves.

Models take turns in blocks, A B B A, so that whatever else the machine does affects all alike. There is one caller, or
several at once, each of whom asks its next row as soon as it was answered (a closed loop). With several, the latency
includes the wait. As in serving, small models answer one row after another, and larger ones each in a thread.

Neighbouring calls are alike, so intervals come from resampling whole rounds of blocks (a block bootstrap, Künsch 1989,
Annals of Statistics 17, 1217-1241). With few rounds percentile intervals are too narrow, so percentiles further out are
taken (`core.expanded_percentiles`). `tests/unit/runtimes` measures the coverage.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Barrier
from typing import Any, Final, Literal

import numpy as np

from aias.artifact.manifest import Manifest
from aias.core.arrays import Floats
from aias.core.evenly import evenly
from aias.core.expanded_percentiles import expanded_tail
from aias.core.limits import INLINE_ROW_SECONDS_MAX as INLINE
from aias.runtimes.onnxruntime import OnnxRuntime

CALLERS: Final = 4
"""Concurrent callers, by default."""

CALLERS_MAX: Final = 64
"""More threads would measure how the operating system switches between them."""

ALONE_SHARE: Final = 0.6
"""The share of the time for a single caller, whose latency decides."""

BLOCK_CALLS: Final = 32
ROUNDS: Final = (6, 60)
"""At least and at most; between the two the time decides."""

QUANTILES: Final = (0.5, 0.95, 0.99)
P99_CALLS_MIN: Final = 1_000
"""With fewer, less than ten calls lie beyond it."""

RISK: Final = 0.025
"""On either side of an interval."""

RESAMPLES: Final = 1_000
STEPS_MAX: Final = 1_024
"""Values that a quantile of a resample can take, evenly spread over the sorted calls."""

TIMED_CALLS: Final = 60
"""Single rows, whose median is a model's latency."""

TIMED_SECONDS_MAX: Final = 1.0
TIMED_CALLS_MIN: Final = 10
"""For slow models."""

WARM_CALLS: Final = 5

LONGEST: Final = "longest_us"
"""Its key in the proof of a version."""
LONGEST_CALLS: Final = 3

Rows = Sequence[Mapping[str, object]]
Block = Callable[[OnnxRuntime, int, int], Floats]
"""µs of each call: of a model, from which row on, and how many calls."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95 % confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class LatencySummary:
    """Latency of one row. `p99`: None where there were too few calls; `mean`: None where it was not measured."""

    p50: Estimate
    p95: Estimate
    p99: Estimate | None
    calls: int
    mean: Estimate | None = None
    unit: Literal["us"] = "us"


@dataclass(frozen=True, slots=True)
class PairedLatency:
    """Two models timed in turn. `speed`: how many times as fast the second is, by the medians; `average`: by the means,
    for models that take much longer for some rows; `callers`: how many asked at once."""

    first: LatencySummary
    second: LatencySummary
    speed: Estimate
    callers: int = 1
    average: Estimate | None = None


def paired_latencies(
    first: OnnxRuntime, second: OnnxRuntime, rows: Rows, *, callers: int = CALLERS, seconds: float, seed: int
) -> tuple[PairedLatency, PairedLatency]:
    """With one caller, then with several at once; both together take about `seconds`."""
    alone = paired_latency(first, second, rows, seconds=ALONE_SHARE * seconds, seed=seed)
    return alone, paired_latency(first, second, rows, callers=callers, seconds=(1 - ALONE_SHARE) * seconds, seed=seed)


def paired_latency(
    first: OnnxRuntime, second: OnnxRuntime, rows: Rows, *, callers: int = 1, seconds: float, seed: int
) -> PairedLatency:
    """Takes about `seconds`, and at least six rounds."""
    spent = _rounds((first, second), rows, callers, seconds)
    return paired(spent[0], spent[1], callers=callers, seed=seed)


def longest_us(runtime: OnnxRuntime, rows: Rows) -> float:
    """The longest latency of any row. Of each row the shortest of a few calls counts: the machine may be busy."""
    return max(float(_block(runtime, [row], 0, LONGEST_CALLS).min()) for row in rows)


def longest_seconds(manifest: Manifest) -> float:
    """The longest latency of a row, as proved for a version that takes longer for some rows; else 0."""
    proof = manifest.lineage.settings.get("proof")
    held = proof.get(LONGEST, 0.0) if isinstance(proof, dict) else 0.0
    return 1e-6 * held if isinstance(held, int | float) else 0.0


def latency_summaries(
    runtimes: Sequence[OnnxRuntime], rows: Rows, *, seconds: float, seed: int
) -> list[LatencySummary]:
    """Latencies of any number of models that take turns."""
    spent = _rounds(runtimes, rows, 1, seconds)
    drawn = _drawn(spent.shape[1], seed)
    return [_pace(each, drawn) for each in spent]


def paired(first: Floats, second: Floats, *, callers: int = 1, seed: int) -> PairedLatency:
    """From the µs of calls of each model, (rounds, calls)."""
    drawn = _drawn(len(first), seed)
    value = np.median(first) / np.median(second)
    resampled = _resampled(first, drawn, QUANTILES[:1])[0] / _resampled(second, drawn, QUANTILES[:1])[0]
    speed = _between(value, resampled, len(first))
    means = _means(first, drawn) / _means(second, drawn)
    average = _between(first.mean() / second.mean(), means, len(first))
    return PairedLatency(_pace(first, drawn), _pace(second, drawn), speed, callers, average)


def _rounds(runtimes: Sequence[OnnxRuntime], rows: Rows, callers: int, seconds: float) -> Floats:
    """µs of calls, (models, rounds, calls)."""
    with _blocks(rows, callers) as block:
        once = sum(block(runtime, 0, WARM_CALLS).mean() for runtime in runtimes)
        once = sum(block(runtime, 0, WARM_CALLS).mean() for runtime in runtimes) * 1e-6
        calls = int(np.clip(seconds / (2 * ROUNDS[0] * max(once, 1e-9)), 2, BLOCK_CALLS))
        ends_at, rounds = time.perf_counter() + seconds, []
        for turn in range(ROUNDS[1]):
            if turn >= ROUNDS[0] and time.perf_counter() > ends_at:
                break
            there = [block(runtime, turn * calls, calls) for runtime in runtimes]
            back = [block(runtime, turn * calls, calls) for runtime in reversed(runtimes)]
            rounds.append([np.concatenate(pair) for pair in zip(there, reversed(back), strict=True)])
    return np.swapaxes(np.array(rounds), 0, 1)


def median_us(runtime: OnnxRuntime, rows: Sequence[Mapping[str, object]]) -> float:
    """The median latency of one model, without another beside it."""
    spent: list[float] = []
    while len(spent) < TIMED_CALLS and (len(spent) < TIMED_CALLS_MIN or sum(spent) <= 1e6 * TIMED_SECONDS_MAX):
        spent += _block(runtime, rows, len(spent), 1).tolist()
    return float(np.median(spent))


@contextmanager
def _blocks(rows: Rows, callers: int) -> Iterator[Block]:
    """Runs a block of calls with so many callers."""
    if callers == 1:
        yield lambda runtime, begin, calls: _block(runtime, rows, begin, calls)
        return
    ready, small = Barrier(callers), dict[int, bool]()
    with ThreadPoolExecutor(callers, "aias-caller") as pool:

        def together(runtime: OnnxRuntime, begin: int, calls: int) -> Floats:
            def one(place: int) -> Floats:
                ready.wait()
                return _block(runtime, rows, begin + place * calls, calls)

            if id(runtime) not in small:
                small[id(runtime)] = 1e-6 * float(np.median(_block(runtime, rows, 0, WARM_CALLS))) <= INLINE
            if small[id(runtime)]:
                return _in_turn(runtime, rows, begin, calls, callers)
            return np.concatenate(list(pool.map(one, range(callers))))

        yield together


def _in_turn(runtime: OnnxRuntime, rows: Rows, begin: int, calls: int, callers: int) -> Floats:
    """µs of `calls` of each caller, from when it asked; answered first come, first served."""
    spent, answer, clock = np.empty(callers * (calls + 1)), runtime.predict, time.perf_counter
    asked = deque([clock()] * callers)
    for i in range(len(spent)):
        answer([rows[(begin + i) % len(rows)]])
        now = clock()
        spent[i] = now - asked.popleft()
        asked.append(now)
    return spent[callers:] * 1e6  # the first calls had no queue before them


def _block(runtime: OnnxRuntime, rows: Rows, begin: int, calls: int) -> Floats:
    """µs of each call of one row."""
    spent, answer, clock = np.empty(calls), runtime.predict, time.perf_counter
    for i in range(calls):
        row: list[Any] = [rows[(begin + i) % len(rows)]]
        before = clock()
        answer(row)
        spent[i] = clock() - before
    return spent * 1e6


def _drawn(rounds: int, seed: int) -> Floats:
    """How often each round occurs in each resample, (resamples, rounds)."""
    places = np.random.default_rng(seed).integers(0, rounds, (RESAMPLES, rounds))
    return np.asarray((places[:, :, None] == np.arange(rounds)).sum(axis=1), np.float64)


def _pace(spent: Floats, drawn: Floats) -> LatencySummary:
    wanted = QUANTILES if spent.size >= P99_CALLS_MIN else QUANTILES[:2]
    many, values = _resampled(spent, drawn, wanted), np.quantile(spent, wanted)
    found = [_between(value, each, len(spent)) for value, each in zip(values, many, strict=True)]
    mean = _between(spent.mean(), _means(spent, drawn), len(spent))
    return LatencySummary(found[0], found[1], found[2] if len(found) > 2 else None, spent.size, mean)


def _means(spent: Floats, drawn: Floats) -> Floats:
    """Mean of the calls of each resample of rounds: (resamples,)."""
    return np.asarray(drawn @ spent.mean(axis=1) / len(spent))


def _resampled(spent: Floats, drawn: Floats, wanted: Sequence[float]) -> Floats:
    """Quantiles of the calls of each resample of rounds: (quantiles, resamples)."""
    steps = np.sort(spent, axis=None)
    steps = steps[evenly(len(steps), STEPS_MAX)]
    below = np.stack([np.searchsorted(np.sort(each), steps, side="right") for each in spent])  # (rounds, steps)
    shares = drawn @ below / spent.size  # (resamples, steps), rising
    return np.stack([steps[np.minimum((shares < each).sum(axis=1), len(steps) - 1)] for each in wanted])


def _between(value: float, resampled: Floats, rounds: int) -> Estimate:
    tail = expanded_tail(rounds, RISK)
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return Estimate(float(value), float(low), float(high))
