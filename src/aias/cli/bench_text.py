"""A load as a table and a histogram in the terminal."""

import math
from collections.abc import Mapping
from typing import Final

import click

from aias.cli.show import table
from aias.client.load.latencies import Latencies
from aias.client.load.peak import KEPT, Peak
from aias.client.load.result import SHARES, Result
from aias.client.load.workload import Workload

TOLD_BELOW: Final = 100
"""Slower ones; of more a percentile is known well enough."""

_BAR: Final = 40
_BARS_MAX: Final = 14
_EIGHTHS: Final = " ▏▎▍▌▋▊▉"


def show_loads(loads: Mapping[str, Result], workload: Workload) -> None:
    """Each load in a column."""
    results = list(loads.values())
    objective = took(results[0].plan.objective)
    rows = [
        ("seconds", *(f"{each.seconds:.1f}" for each in results)),
        ("answered a second", *(f"{each.throughput:,.1f}" for each in results)),
        (f"good: within {objective}", *(f"{each.goodput:,.1f}" for each in results)),
        ("failed", *(f"{each.failed:,} of {each.sent:,}" for each in results)),
        *((name, *(percentile(each.answered, share) for each in results)) for name, share in SHARES.items()),
        ("slowest", *(took(each.answered.highest) if each.answered.count else "" for each in results)),
    ]
    table(_title(workload), ("", *loads), rows, right=tuple(loads))
    for name, each in loads.items():
        _show_failures(name, each)
    last = list(loads)[-1]
    if loads[last].answered.count:
        click.secho(f"Latencies, {last}", bold=True)
        click.echo("\n".join(bars(loads[last].answered)))
    for name, each in loads.items():
        _warn(name, each)


def show_peak(peak: Peak, workload: Workload) -> None:
    """Each rate in a line, lowest first; then what was found."""
    steps = [*peak.steps, *([peak.beyond] if peak.beyond else [])]
    steps.sort(key=lambda step: step.plan.rate or 0.0)
    columns = ("asked/s", "answered/s", "good/s", "good", "p50", "p99", "failed", "")
    rows = [
        (
            f"{each.plan.rate:,.0f}" if each.plan.rate else "all", f"{each.throughput:,.0f}", f"{each.goodput:,.0f}",
            f"{each.good_share:.1%}", took(each.answered.at(0.5)), took(each.answered.at(0.99)), f"{each.failed:,}",
            "peak" if each is peak.best else "twice the peak" if each is peak.beyond else "",
        )
        for each in steps
    ]  # fmt: skip
    table(_title(workload), columns, rows, right=columns[:-1])
    if peak.best is not None and peak.best.plan.rate is not None:
        within = took(peak.best.plan.objective)
        click.echo(f"Peak: {peak.best.plan.rate:,.0f} requests a second with {KEPT:.0%} answered within {within}.")
        if not math.isnan(peak.held):
            click.echo(f"Asked twice as often it still gives {peak.held:.0%} of its good answers.")
        elif peak.generator_failed:
            click.echo("The server may do more: beyond that the generator did not keep its own schedule.")
    elif peak.generator_failed:
        click.echo("No rate was found: the generator did not keep its own schedule. Run it on another processor.")
    elif peak.steps:
        click.echo("No rate was found that keeps the objective; try a longer one with --objective.")
    for each in steps:
        _show_failures(f"{each.plan.rate or 0:,.0f}/s", each)
        _warn(f"{each.plan.rate or 0:,.0f}/s", each)


def bars(latencies: Latencies) -> list[str]:
    """A line for each step of 1, 2, 5, 10, …, with its share of the requests as a bar."""
    bounds = _bounds(latencies)
    counts = latencies.within(bounds)
    names = [f"≤ {took(bound)}" for bound in bounds] + ["more"]
    if not counts[-1]:
        counts, names = counts[:-1], names[:-1]
    most, width = max(counts), max(map(len, names))
    return [
        f"{name:>{width}} {_bar(count / most):<{_BAR}} {count / latencies.count:6.1%}  {count:,}"
        for name, count in zip(names, counts, strict=True)
    ]


def percentile(latencies: Latencies, share: float) -> str:
    """With how many lie beyond it, where few enough do to doubt it: `3.1 ms (12 slower)`."""
    if not latencies.count:
        return ""
    beyond = latencies.beyond(share)
    return took(latencies.at(share)) + (f" ({beyond:,} slower)" if beyond < TOLD_BELOW else "")


def took(seconds: float) -> str:
    """Three digits and a unit."""
    if math.isnan(seconds) or math.isinf(seconds):
        return ""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= 0.9995 * size or unit == "µs":
            amount = seconds / size
            digits = max(0, 2 - math.floor(math.log10(amount))) if amount >= 0.01 else 2
            text = f"{amount:.{digits}f}"
            return f"{text.rstrip('0').rstrip('.') if '.' in text else text} {unit}"
    raise AssertionError("the last unit takes all")


def _title(workload: Workload) -> str:
    rows = "" if not workload.rows else f", {workload.rows:,} row{'s' * (workload.rows > 1)} a request"
    of = f", {len(workload.target.requests):,} different bodies" if len(workload.target.requests) > 1 else ""
    return f"{workload.version or 'POST'} at {workload.path}{rows}{of}"


def _show_failures(name: str, result: Result) -> None:
    for why, count in result.failures.most_common():
        click.echo(f"{name}: {count:,} × {why}")
    if result.refused.count:
        median, worst = took(result.refused.at(0.5)), percentile(result.refused, 0.99)
        click.echo(f"{name}: refusals came within {median} (p50), {worst} (p99)")


def _warn(name: str, result: Result) -> None:
    """What keeps the figures from being the server's own, on stderr."""
    told = []
    if result.interrupted:
        told.append("was broken off; these are the figures so far")
    if result.lags:
        late = took(result.late.at(0.99))
        told.append(f"the generator was late by {late} (p99): part of these latencies is its own")
    if result.saturated:
        told.append(f"the generator itself was busy for {result.busy:.0%} of the time: the server may do more")
    if result.waited:
        told.append(f"{result.waited:,} requests found every connection taken and waited; that counts")
    for each in told:
        click.secho(f"{name}: {each}", fg="yellow", err=True)


def _bounds(latencies: Latencies) -> list[float]:
    """Round numbers around all of them; the fewest slow ones together where there would be too many."""
    first = 10.0 ** math.floor(math.log10(max(latencies.lowest, 1e-7)))
    series = [first * 10**power * step for power in range(12) for step in (1, 2, 5)]
    start = next(at for at, bound in enumerate(series) if bound >= latencies.lowest)
    end = next((at for at, bound in enumerate(series) if bound >= latencies.highest), len(series) - 1)
    return series[start : min(end, start + _BARS_MAX - 1) + 1]


def _bar(share: float) -> str:
    eighths = round(share * _BAR * 8)
    return "█" * (eighths // 8) + (_EIGHTHS[eighths % 8] if eighths % 8 else "")
