"""A load as a drawing: how long the slowest took, or what became of each rate."""

import math
from dataclasses import replace

import numpy as np

from aias.client.load.peak import Peak
from aias.client.load.result import Result
from aias.plots.frame import Axis, axis
from aias.plots.lines import Line, line_chart, thinned


def draw_latencies(results: dict[str, Result], *, title: str) -> bytes:
    """Latency by percentile, of one or two loads; a nine more takes as much room as the one before."""
    lines, seconds, deepest = [], [], 1.0
    for name, look in zip(results, ("main", "second"), strict=False):
        points = _by_rarity(results[name])
        if points:
            x, y = thinned(np.array([rare for rare, _ in points]), np.log10([1e3 * took for _, took in points]))
            lines.append(Line(x, y, look=look))  # type: ignore[arg-type]
            seconds += y.tolist()
            deepest = max(deepest, float(x[-1]))
    note = " · ".join(f"{colour}: {name}" for name, colour in zip(results, ("blue", "orange"), strict=False))
    rarity = Axis("percentile", 0.0, deepest, powers=True, percentiles=True)
    found = axis("latency (ms)", seconds or [0.0])
    return line_chart(title, note, rarity, replace(found, powers=True), lines)


def draw_peak(peak: Peak, *, title: str) -> bytes:
    """Goodput by the rate that was asked for."""
    steps = sorted([*peak.steps, *([peak.beyond] if peak.beyond else [])], key=lambda step: step.plan.rate or 0.0)
    rates = np.array([step.plan.rate or 0.0 for step in steps])
    goodput = np.array([step.goodput for step in steps])
    x = axis("requests asked for, per second", [0.0, *rates])
    y = axis("good answers per second", [0.0, *rates[rates <= max(goodput, default=0.0) * 1.2], *goodput])
    asked = Line(np.array([0.0, y.high]), np.array([0.0, y.high]), look="guide")
    objective = 1e3 * steps[0].plan.objective if steps else 0.0
    note = f"good: within {objective:g} ms; dashed: all of them"
    return line_chart(title, note, x, y, [asked, Line(rates, goodput, dots=True)])


def _by_rarity(result: Result) -> list[tuple[float, float]]:
    """log10 of one in how many, and seconds; the rarest is the slowest of all."""
    count, points = result.answered.count, []
    for share, seconds in result.answered.curve():
        beyond = max(1.0 - share, 0.5 / count)
        points.append((math.log10(1.0 / beyond), max(seconds, 1e-9)))
    return points
