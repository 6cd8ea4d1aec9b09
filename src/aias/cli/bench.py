"""`aias bench`: what an endpoint does under load."""

import math
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

from aias.cli.main import option_json
from aias.cli.show import give

if TYPE_CHECKING:
    from aias.client.load.peak import Peak
    from aias.client.load.result import Plan, Result
    from aias.client.load.target import Address
    from aias.client.load.workload import Workload

URL: Final = "http://127.0.0.1:8000"
CONNECTIONS: Final = 32
HALF: Final = 0.5
"""Of what a closed loop gets: the load at which latencies are worth comparing."""

INTERRUPTED: Final = 130

_TAKES_KEY_SECONDS: Final = 3.0
"""A server looks at its keys once a second."""

EXAMPLES: Final = """\b
Examples:
  aias bench churn                          its capacity, then latencies at half of that
  aias bench churn --rate 500 --time 30s    500 requests a second at random times
  aias bench churn --connections 128        as fast as 128 callers get answers
  aias bench churn --peak --objective 20ms  the highest rate with 99 % answered within 20 ms
  aias bench churn --data rows.csv --rows 10 --plot load.svg

Latency counts from the moment at which a request was due, so that stalls of the server show. Without --url the server
at 127.0.0.1:8000 is used, or, if there is none, one is started for the duration. AIAS_KEY holds the key; without it one
is made in AIAS_HOME and removed afterwards. Ctrl-C gives the result so far.
"""


@click.command(epilog=EXAMPLES)
@click.argument("endpoint")
@click.option("--rate", type=click.FloatRange(0.01, 1e6), help="Open loop: requests a second, at random times.")
@click.option("--connections", type=click.IntRange(1, 10_000),
              help="Closed loop: callers that each send again once answered.")  # fmt: skip
@click.option("--peak", is_flag=True, help="Find the highest rate that keeps the objective; then try twice that.")
@click.option("--time", "time_", default="5s", show_default=True, help="How long each load lasts.")
@click.option(
    "--warm-up", default="1s", show_default=True, help="Time before each load in which requests are not counted."
)
@click.option("--objective", default="100ms", show_default=True, help="An answer within this time is good.")
@click.option("--timeout", default="10s", show_default=True, help="When a request is given up.")
@click.option("--data", type=click.Path(path_type=Path), help="Send the rows of a table instead of the example.")
@click.option("--rows", default=1, show_default=True, type=click.IntRange(1, 10_000), help="Rows in each request.")
@click.option("--body", type=click.Path(path_type=Path), help="Send the bytes of a file as they are.")
@click.option("--type", "media_type", default="application/json", show_default=True, help="The media type of --body.")
@click.option("--path", help="The path to send --body to.  [default: /predict/ENDPOINT]")
@click.option("--url", help="The server.  [default: http://127.0.0.1:8000]")
@click.option(
    "--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Workers of a server started here."
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Seed of the random times.")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw the latencies, or goodput by rate, as SVG.")
@option_json
def bench(
    endpoint: str, *, rate: float | None, connections: int | None, peak: bool, time_: str, warm_up: str, objective: str,
    timeout: str, data: Path | None, rows: int, body: Path | None, media_type: str, path: str | None, url: str | None,
    workers: int, seed: int, plot: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Load-test ENDPOINT: latencies, goodput and failures, with a generator that keeps to its schedule."""
    from aias.client.load.result import Plan
    from aias.client.load.workload import from_body, from_rows

    if sum((rate is not None, connections is not None, peak)) > 1:
        raise click.UsageError("--rate, --connections and --peak are three kinds of load; choose one")
    if rate is not None and math.isnan(rate):
        raise click.UsageError("--rate must be a number")
    given = {name for name in ("rows", "media_type", "path", "workers") if _is_given(name)}
    if body is not None and (data is not None or "rows" in given):
        raise click.UsageError("--body is sent as it is; --data and --rows are for rows")
    if body is None and given & {"media_type", "path"}:
        raise click.UsageError("--path and --type say where and what a --body is; rows go to /predict/ENDPOINT as JSON")
    if url is not None and "workers" in given:
        raise click.UsageError("--workers are those of a server started here; --url names one that is there")
    if plot is not None:
        _check_drawable(plot)
    plan = Plan(
        _seconds(time_, "--time"), warm_up=_seconds(warm_up, "--warm-up", least=0.0), seed=seed,
        timeout=_seconds(timeout, "--timeout"), objective=_seconds(objective, "--objective"),
        connections=connections or CONNECTIONS,
    )  # fmt: skip
    with ExitStack() as held:
        address, key = _server(held, url, workers)
        if body is not None:
            workload = from_body(address, path or f"/predict/{endpoint}", key, body, media_type)
        else:
            workload = from_rows(address, endpoint, key, rows=rows, file=data)
        session = _Session(workload, plan, quiet=as_json)
        if peak:
            interrupted = _tell_peak(session.peak(), workload, plan, plot=plot, as_json=as_json)
        else:
            interrupted = _tell(session.loads(rate, connections), workload, plan, plot=plot, as_json=as_json)
    if interrupted:
        click.get_current_context().exit(INTERRUPTED)


def _check_drawable(plot: Path) -> None:
    if plot.suffix.lower() not in ("", ".svg"):
        raise click.UsageError(f"--plot draws SVG; `{plot.name}` would not be what its name says: try {plot.stem}.svg")
    if plot.is_dir() or not plot.parent.is_dir():
        raise click.UsageError(f"--plot: {plot} is a folder" if plot.is_dir() else f"--plot: no folder {plot.parent}")


class _Session:
    """Loads, one after the other, until Ctrl-C."""

    def __init__(self, workload: "Workload", plan: "Plan", *, quiet: bool) -> None:
        self._workload, self._plan = workload, plan
        self._stop = threading.Event()
        self._shows = sys.stderr.isatty() and not quiet

    def loads(self, rate: float | None, connections: int | None) -> "dict[str, Result]":
        """By what each is called. Asked for neither, what it can do, and then half of that."""
        if rate is not None:
            return {_open(rate): self._put(replace(self._plan, rate=rate))}
        first = self._put(self._plan)
        found = {f"{self._plan.connections} connections": first}
        if connections is None and first.throughput > 0 and not first.interrupted:
            half = max(1.0, round(HALF * first.throughput))
            found[_open(half)] = self._put(replace(self._plan, rate=half))
        return found

    def peak(self) -> "Peak":
        from aias.client.load.peak import Peak, find_peak

        first = self._put(self._plan)
        if first.interrupted or not first.throughput:
            return Peak([first])
        return find_peak(lambda rate: self._put(replace(self._plan, rate=rate)), capacity=first.throughput)

    def _put(self, plan: "Plan") -> "Result":
        from aias.client.load.generator import put_load

        with _interruptible(self._stop):
            result = put_load(self._workload.target, plan, stop=self._stop, tick=self._tick if self._shows else None)
        if self._shows:
            click.echo("\r\033[K", nl=False, err=True)
        return result

    def _tick(self, result: "Result", elapsed: float) -> None:
        plan = result.plan
        named = "as fast as it goes" if plan.rate is None else f"{plan.rate:,.0f}/s"
        told = f"{named}  {elapsed:.0f} of {plan.warm_up + plan.seconds:.0f} s"
        told += f"  {result.throughput:,.0f} answers/s  {result.failed:,} failed"
        click.echo(f"\r\033[K{told}", nl=False, err=True)


def _is_given(name: str) -> bool:
    return click.get_current_context().get_parameter_source(name) is not ParameterSource.DEFAULT


def _open(rate: float) -> str:
    return f"{rate:,.6g} a second"


@contextmanager
def _interruptible(stop: threading.Event) -> Iterator[None]:
    """The first Ctrl-C asks for the result so far; the second ends at once."""

    def ask(*_: object) -> None:
        stop.set()
        signal.signal(signal.SIGINT, before)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _server(held: ExitStack, url: str | None, workers: int) -> "tuple[Address, str]":
    """A server that answers, and a key that it takes."""
    from aias.client.load.errors import KeyRefused, NoServer
    from aias.client.load.target import Address
    from aias.client.load.workload import borrowed_key
    from aias.core.settings import home

    address, key = Address.parse(url or URL), os.environ.get("AIAS_KEY", "")
    try:
        status, _ = address.ask("GET", "/health/live")
    except NoServer:
        if url is not None:
            raise
        return _started(held, workers)
    if url is None and status != 200:
        return _started(held, workers)
    if not key:
        if address.host not in ("127.0.0.1", "::1", "localhost"):
            raise KeyRefused("a server elsewhere needs a key of its own", hint="export AIAS_KEY=…")
        key = held.enter_context(borrowed_key(home()))
        _wait(lambda: _takes(address, key))
    return address, key


def _started(held: ExitStack, workers: int) -> "tuple[Address, str]":
    from aias.client.load.target import Address
    from aias.client.load.workload import borrowed_key
    from aias.core.settings import home
    from aias.serving.processes.background import Background

    key = held.enter_context(borrowed_key(home()))
    server = held.enter_context(Background(home(), workers=workers))
    click.echo(f"a server for the time being, at {server.url}", err=True)
    return Address.parse(server.url), key


def _takes(address: "Address", key: str) -> bool:
    status, _ = address.ask("GET", "/predict/-", headers={"Authorization": f"Bearer {key}"})
    return status not in (401, 403)


def _wait(condition: Callable[[], bool]) -> None:
    """As long as a server may take to hear of a key; what is not so by then is told by what comes next."""
    pause, left = threading.Event(), _TAKES_KEY_SECONDS
    while left > 0 and not condition():
        pause.wait(0.1)
        left -= 0.1


def _tell(loads: "dict[str, Result]", workload: "Workload", plan: "Plan", *, plot: Path | None, as_json: bool) -> bool:
    from aias.cli.bench_text import show_loads
    from aias.client.load.plot import draw_latencies

    if as_json:
        give(_about(workload, plan) | {"loads": [each.as_dict() for each in loads.values()]}, as_json=True)
    else:
        show_loads(loads, workload)
    if plot is not None:
        # Last: what it could not write must not take the figures with it.
        _write(plot, draw_latencies(loads, title=f"Latency of {workload.version or workload.path}"))
    return any(each.interrupted for each in loads.values())


def _tell_peak(peak: "Peak", workload: "Workload", plan: "Plan", *, plot: Path | None, as_json: bool) -> bool:
    from aias.cli.bench_text import show_peak
    from aias.client.load.plot import draw_peak

    if as_json:
        give(_about(workload, plan) | {"peak": peak.as_dict()}, as_json=True)
    else:
        show_peak(peak, workload)
    if plot is not None:
        _write(plot, draw_peak(peak, title=f"Goodput of {workload.version or workload.path}"))
    return any(each.interrupted for each in peak.steps)


def _about(workload: "Workload", plan: "Plan") -> dict[str, Any]:
    return {
        "version": workload.version, "path": workload.path, "rows_per_request": workload.rows,
        "bodies": len(workload.target.requests),
        "warm_up_s": plan.warm_up, "timeout_s": plan.timeout, "seed": plan.seed,
    }  # fmt: skip


def _write(path: Path, drawn: bytes) -> None:
    from aias.core.errors import UserError

    try:
        path.write_bytes(drawn)
    except OSError as fault:
        raise UserError(f"cannot write {path}: {fault.strerror}") from None


def _seconds(text: str, option: str, *, least: float = 1e-6) -> float:
    from aias.core.errors import UserError
    from aias.core.quantities import seconds_of

    found = seconds_of(text)
    if not least <= found <= 86_400:
        raise UserError(f"{option} {text} is out of range", hint="between a microsecond and a day")
    return found
