"""What serving adds to a model, and what a server costs.

    python benchmarks/serving.py

The server runs on core 0. What a request adds is measured from the same core, by a client of one blocking socket, as a
plain median over 20,000 requests less the plain median of as many calls in a loop. Under load the clients have core 1.
The model: a logistic regression over the 30 measurements of scikit-learn's breast-cancer data, trained here. The peer,
when FastAPI is installed: the same data, scikit-learn's own logistic regression, and the application that its
documentation would have you write.
"""

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

SERVER_CORE, CLIENT_CORE = {0}, {1}
HERE = Path(__file__).resolve()
REQUESTS = 20_000
COMMAND = "python benchmarks/serving.py"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        row = make_model(home)
        alone = on(SERVER_CORE, "alone", str(home), json.dumps(row))["us"]
        ready = statistics.median(ready_seconds(home) for _ in range(5))
        line("serving/ready_s", f"{ready:.2f} s, median of 5", "<= 1.5 s", ready <= 1.5)
        with ours(home) as (server, url, secret):
            idle = rss(server)
            line("serving/idle_mb", f"{idle:.0f} MB", "<= 150 MB", idle <= 150)
            request = wire(url, "/predict/cancer", secret, [row])
            on(CLIENT_CORE, "load", url, "32", "1000", stdin=request)
            early = rss(server)
            many = on(CLIENT_CORE, "load", url, "32", "99000", stdin=request)
            late = rss(server)
            line(
                "serving/rss_after_100_000",
                f"{late / early:.3f} x after 1,000 requests ({early:.0f} -> {late:.0f} MB)",
                "<= 1.02 x",
                late <= 1.02 * early,
            )
            over_http = on(SERVER_CORE, "one", url, stdin=request)["us"]
            added, times = over_http - alone, over_http / alone
            line(
                "serving/added_us",
                f"{times:.1f} x in-process ({alone:.0f} us); {added:.0f} us added at the median",
                "<= 150 us added",
                added <= 150,
            )
        against_peer(many, row)
    print(f"command: {COMMAND}")


def against_peer(many: dict[str, float], row: dict[str, float]) -> None:
    ours_per_s = many["per_s"]
    if find_spec("fastapi") is None:
        print(f"serving/requests_per_s   {ours_per_s:,.0f} at 32 connections; no peer: FastAPI is not installed")
        return
    with peer() as url:
        theirs = on(CLIENT_CORE, "load", url, "32", "5000", stdin=wire(url, "/predict", "", [row]))["per_s"]
    line(
        "serving/requests_per_s",
        f"{ours_per_s / theirs:.1f} x FastAPI + scikit-learn ({ours_per_s:,.0f} to {theirs:,.0f}) at 32 connections",
        ">= 3 x",
        ours_per_s >= 3 * theirs,
    )


def line(name: str, found: str, goal: str, good: bool) -> None:
    print(f"{name:<26} {found:<78} {goal:<16} {'ok' if good else 'MISS'}", flush=True)


def make_model(home: Path) -> dict[str, float]:
    """Train, publish and deploy `cancer`; a row of it."""
    import polars as pl
    from sklearn.datasets import load_breast_cancer

    from aias.client.model import train

    data = load_breast_cancer()
    frame = pl.DataFrame(data.data, schema=names_of(data))
    graded = frame.with_columns(grade=pl.Series(data.target_names[data.target]))
    train(graded, target="grade", name="cancer", learners=["linear"], time=20, home=home).deploy()
    return frame.row(0, named=True)


def names_of(data: Any) -> list[str]:
    return [name.replace(" ", "_") for name in data.feature_names]


@contextmanager
def pinned(cores: set[int]) -> Iterator[None]:
    """Processes started inside stay on these cores, with all their threads."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores & before or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def ours(home: Path) -> Iterator[tuple[int, str, str]]:
    """Our server: its process, its address and a key."""
    from aias.access.keys import Keys
    from aias.serving.background import Background

    keys = Keys.open(home)
    _, secret = keys.create("bench", ["predict"])
    keys.close()
    with pinned(SERVER_CORE):
        server = Background(home).__enter__()
    try:
        yield server.pid, server.url, secret
    finally:
        server.stop()


def peer() -> AbstractContextManager[str]:
    return other("peer")


@contextmanager
def other(verb: str) -> Iterator[str]:
    """A server of this file on the server's core."""
    with pinned(SERVER_CORE):
        process = subprocess.Popen([sys.executable, str(HERE), verb], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    for _ in range(200):
        try:
            socket.create_connection(address(url)).close()
            break
        except ConnectionRefusedError:
            time.sleep(0.05)
    try:
        yield url
    finally:
        process.terminate()
        process.wait()


def run_peer() -> None:
    """What one would write without us."""
    import numpy as np
    import uvicorn
    from fastapi import FastAPI
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    data = load_breast_cancer()
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(data.data, data.target_names[data.target])
    names = names_of(data)
    labels = model.classes_.tolist()
    app = FastAPI()

    @app.post("/predict")
    def predict(rows: list[dict[str, float]]) -> list[dict[str, object]]:
        scores = model.predict_proba(np.array([[row[name] for name in names] for row in rows]))
        return [
            {"prediction": labels[each.argmax()], "probabilities": dict(zip(labels, each.tolist(), strict=True))}
            for each in scores
        ]

    listener = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    uvicorn.run(app, fd=listener.fileno(), log_level="warning", access_log=False)


def ready_seconds(home: Path) -> float:
    from aias.serving.background import Background

    began = time.perf_counter()
    with Background(home):
        return time.perf_counter() - began


def rss(pid: int) -> float:
    """Megabytes of a process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    pages = sum(int(Path(f"/proc/{each}/statm").read_text().split()[1]) for each in [str(pid), *children])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def wire(url: str, path: str, secret: str, rows: object) -> bytes:
    body = json.dumps(rows).encode()
    host = url.removeprefix("http://")
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {secret}\r\nContent-Type: application/json\r\n"
    )
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body


def on(cores: set[int], *arguments: str, stdin: bytes = b"") -> dict[str, float]:
    with pinned(cores):
        done = subprocess.run([sys.executable, str(HERE), *arguments], input=stdin, stdout=subprocess.PIPE, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def run_alone(home: str, row: str) -> None:
    """The same file in a loop, in this process: the microseconds of one call at the median."""
    from aias.core.names import Ref
    from aias.registry.registry import Registry
    from aias.runtimes.onnxruntime import OnnxRuntime

    with Registry.open(Path(home)) as registry:
        version = registry.version(Ref("cancer"))
        runtime = OnnxRuntime.load(registry.folder(version), registry.manifest(version))
    rows, took = [json.loads(row)], []
    for _ in range(REQUESTS):
        began = time.perf_counter()
        runtime.predict(rows)
        took.append(time.perf_counter() - began)
    print(json.dumps({"us": statistics.median(took) * 1e6}))


def address(url: str) -> tuple[str, int]:
    host, _, port = url.removeprefix("http://").partition(":")
    return host, int(port)


def run_load(url: str, connections: str, requests: str) -> None:
    """Closed loop: each connection asks again as soon as it has its answer."""
    import asyncio

    import uvloop

    request, left = sys.stdin.buffer.read(), int(requests)
    took: list[float] = []

    class Client(asyncio.Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            self.transport, self.buffer = transport, b""
            self.ask()

        def ask(self) -> None:
            nonlocal left
            left -= 1
            self.began = time.perf_counter()
            self.transport.write(request)

        def data_received(self, data: bytes) -> None:
            self.buffer += data
            head, blank, body = self.buffer.partition(b"\r\n\r\n")
            if not blank or len(body) < int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]):
                return
            assert head.startswith(b"HTTP/1.1 200 "), self.buffer
            self.buffer = b""
            took.append(time.perf_counter() - self.began)
            if left > 0:
                self.ask()
            else:
                self.transport.close()

        def connection_lost(self, _fault: Exception | None) -> None:
            done.release()

    async def run() -> None:
        loop = asyncio.get_running_loop()
        for _ in range(int(connections)):
            await loop.create_connection(Client, *address(url))
        for _ in range(int(connections)):
            await done.acquire()

    done = asyncio.Semaphore(0)
    began = time.perf_counter()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
    seconds = time.perf_counter() - began
    print(json.dumps({"per_s": len(took) / seconds}))


def run_one(url: str) -> None:
    """One connection, one request after another: the microseconds of each at the median."""
    request, took = sys.stdin.buffer.read(), []
    with socket.create_connection(address(url)) as client:
        client.settimeout(10)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(REQUESTS):
            began = time.perf_counter()
            client.sendall(request)
            answer = client.recv(65_536)  # small, and written at once
            took.append(time.perf_counter() - began)
            assert answer.startswith(b"HTTP/1.1 200 "), answer
    print(json.dumps({"us": statistics.median(took) * 1e6}))


if __name__ == "__main__":
    verbs = {"alone": run_alone, "load": run_load, "one": run_one, "peer": run_peer}
    verbs[sys.argv[1]](*sys.argv[2:]) if len(sys.argv) > 1 else main()
