"""What it costs to watch a server: counts, the access log, traces.

    python benchmarks/observing.py

One row for a logistic regression over scikit-learn's breast-cancer data, put to the application itself, without a
socket, whose cost would hide what is looked for: the shares of a real request are smaller. By turns, each the median of
many requests, and of the turns the best, as other work on the machine only adds; the baseline is the same application
with nothing kept of its requests.
"""

import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

COMMAND = "python benchmarks/observing.py"
TURNS, REQUESTS = 15, 400


class Nothing:
    """Keeps nothing of a request."""

    def begin(self, *_: Any) -> None: ...

    def note(self, *_: Any) -> None: ...

    def close(self) -> None: ...


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        gateway, ask = make(Path(folder))
        application = gateway.application
        kinds = variants(gateway)
        found: dict[str, list[float]] = {name: [] for name in kinds}
        for _ in range(TURNS):
            for name, (observing, around) in kinds.items():
                application.observing = observing
                with around():
                    found[name].append(ask())
        base = min(found["nothing"])
        print(f"{'observing/nothing':<34} {1e6 * base:.1f} us a request, in process")
        for name, goal in (("counts", 1.10), ("counts and the access log", 1.20), ("counts and 1 % traced", 1.15),
                           ("counts and all traced", None)):  # fmt: skip
            if name in found:
                took = min(found[name])
                wanted = "" if goal is None else f"<= {goal:.2f} x  {'ok' if took <= goal * base else 'MISS'}"
                more = 1e6 * (took - base)
                print(f"observing/{name.replace(' ', '_'):<24} {took / base:.3f} x nothing (+{more:.1f} us)  {wanted}")
        application.close()
    print(f"command: {COMMAND}")


def variants(gateway: Any) -> dict[str, tuple[Any, Callable[[], Any]]]:
    from aias.serving.observability.recording import Recording

    plain = Recording(gateway.metrics)
    found: dict[str, tuple[Any, Callable[[], Any]]] = {
        "nothing": (Nothing(), as_it_is),
        "counts": (plain, as_it_is),
        "counts and the access log": (plain, logged),
    }
    if find_spec("opentelemetry.sdk") is None:
        print("observing/traces: OpenTelemetry is not installed")
        return found
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    from aias.serving.observability.spans import Spans
    from aias.serving.observability.traces import Sampling

    class Nowhere(SpanExporter):
        def export(self, _spans: Any) -> SpanExportResult:
            return SpanExportResult.SUCCESS

        def shutdown(self) -> None: ...

    for share, name in ((0.01, "counts and 1 % traced"), (1.0, "counts and all traced")):
        spans = Spans(Nowhere(), Sampling(share), {})
        found[name] = (Recording(gateway.metrics, spans=spans), as_it_is)
    return found


@contextmanager
def as_it_is() -> Iterator[None]:
    yield


@contextmanager
def logged() -> Iterator[None]:
    from aias.serving.observability.logs import ACCESS

    nowhere = os.open(os.devnull, os.O_WRONLY)
    ACCESS.start(nowhere)
    try:
        yield
    finally:
        ACCESS.stop()
        os.close(nowhere)


def make(home: Path) -> tuple[Any, Callable[[], float]]:
    """A gateway that does not listen, and what asks it: seconds of a request, the median of many."""
    import polars as pl
    from sklearn.datasets import load_breast_cancer

    from aias.access.keys import Keys
    from aias.access.ledger import Ledger
    from aias.client.model import load as load_model
    from aias.client.train import train
    from aias.registry.registry import Registry
    from aias.serving.gateway import Gateway

    data = load_breast_cancer()
    frame = pl.DataFrame(data.data, schema=[name.replace(" ", "_") for name in data.feature_names])
    graded = frame.with_columns(grade=pl.Series(data.target_names[data.target]))
    train(graded, target="grade", name="cancer", learners=["linear"], time=120, home=home, inline=True).deploy()
    registry = Registry.open(home)
    keys = Keys(registry.database)
    _, secret = keys.create("bench", ["predict"])
    gateway = Gateway(
        registry, lambda endpoint: load_model(str(endpoint.ref), home=home).runtime, keys.ring,
        ledger=partial(Ledger.open, home),
    )  # fmt: skip
    gateway.router.refresh()
    body = json.dumps([frame.row(0, named=True)]).encode()
    headers = {"host": "localhost", "authorization": f"Bearer {secret}", "content-type": "application/json",
               "content-length": str(len(body))}  # fmt: skip
    scope = {
        "type": "http", "method": "POST", "raw_path": b"/predict/cancer",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }  # fmt: skip
    ask = asking(gateway.application, scope, body)
    return gateway, lambda: asyncio.run(ask())


def asking(application: Any, scope: dict[str, Any], body: bytes) -> Any:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        assert message.get("status", 200) == 200

    async def ask() -> float:
        took = []
        for _ in range(REQUESTS):
            began = time.perf_counter()
            await application(scope, receive, send)
            took.append(time.perf_counter() - began)
        return statistics.median(took)

    return ask


if __name__ == "__main__":
    main()
