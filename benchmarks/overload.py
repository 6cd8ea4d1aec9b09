"""What happens when more is asked than can be answered, and when hundreds of clients dawdle.

    python benchmarks/overload.py [model|inline|slow ...]

`model`: a model of some milliseconds in threads, `inline`: one of some microseconds on the event loop. Open loop:
requests are sent at their times (Poisson) whether or not earlier ones have been answered, on as many connections as it
takes up to 1,500. Capacity is what 32 connections get in a closed loop just before. Then twice and five times as much:
answers within twice the objective (goodput) as a share of capacity, the 99th percentile of answers, and of refusals.
`slow`: 50 requests a second alone, and beside 500 sockets that send a byte a second of a head, of a body, or nothing.
The server runs on core 0, the clients on core 1.
"""

import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve()
COMMAND = "python benchmarks/overload.py"
SECONDS, WARM_SECONDS, CONNECTIONS_MAX = 10.0, 3.0, 1_500
OBJECTIVE_SECONDS = 1.0
ROWS = {"model": 40, "inline": 1}


def main(chosen: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        secret, row = make_model(Path(folder))
        for name in chosen:
            with serving(folder, name) as port:
                if name == "slow":
                    dawdle(port, wire(secret, [row]))
                else:
                    overload(name, port, wire(secret, [row] * ROWS[name]))
    print(f"command: {COMMAND}")


def line(name: str, found: str, goal: str, good: bool) -> None:
    print(f"{name:<26} {found:<74} {goal:<16} {'ok' if good else 'MISS'}", flush=True)


def overload(name: str, port: int, request: bytes) -> None:
    capacity = on_core_1("closed", port, request)["per_s"]
    for times in (2, 5):
        found = on_core_1("open", port, request, str(times * capacity))
        share, sent = found["good_per_s"] / capacity, found["sent_per_s"] / capacity
        line(
            f"overload/{name}_{times}x_goodput", f"{share:.2f} x capacity ({capacity:,.0f}/s), {sent:.1f} x asked",
            ">= 0.9 x", share >= 0.9,
        )  # fmt: skip
        late = found["answer_p99_s"] / OBJECTIVE_SECONDS
        line(f"overload/{name}_{times}x_p99", f"{late:.2f} x the objective of 1 s", "<= 2 x", late <= 2)
        refused = 1_000 * found["refusal_p99_s"]
        line(
            f"overload/{name}_{times}x_refusals", f"{found['refused']:,.0f}, p99 {refused:.1f} ms; "
            f"{found['failed']:.0f} failed, {found['unsent']:,.0f} found no connection", "<= 10 ms", refused <= 10,
        )  # fmt: skip


def dawdle(port: int, request: bytes) -> None:
    alone = on_core_1("steady", port, request, "0")
    beside = on_core_1("steady", port, request, "500")
    times = beside["p99_s"] / alone["p99_s"]
    line(
        "overload/500_slow_sockets", f"p99 {times:.2f} x alone ({1e3 * alone['p99_s']:.1f} ms), "
        f"{beside['errors']:.0f} errors of {beside['requests']:.0f}", "<= 2 x, 0 errors",
        times <= 2 and not beside["errors"],
    )  # fmt: skip


def make_model(home: Path) -> tuple[str, dict[str, float]]:
    from aias.access.keys import Keys
    from aias.client.model import train

    chance = random.Random(1)
    rows = {f"n{at}": [chance.random() for _ in range(400)] for at in range(14)}
    rows["y"] = ["high" if a + b > 1 else "low" for a, b in zip(rows["n0"], rows["n1"], strict=True)]  # type: ignore[misc]
    train(rows, target="y", name="m", learners=["boosted_trees"], time=20, home=home, inline=True).deploy()
    keys = Keys.open(home)
    _, secret = keys.create("bench", ["predict"])
    keys.close()
    return secret, {f"n{at}": 0.3 for at in range(14)}


def wire(secret: str, rows: object) -> bytes:
    body = json.dumps(rows).encode()
    return HEAD % (secret.encode(), len(body)) + body


@contextmanager
def serving(home: str, name: str) -> Iterator[int]:
    process = subprocess.Popen([sys.executable, str(HERE), "serve", home, name], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    port = int(process.stdout.readline())
    try:
        yield port
    finally:
        process.terminate()
        process.wait()


def run_server(home: str, name: str) -> None:
    from aias.serving.bounds import Bounds
    from aias.serving.gateway import answer_on
    from aias.serving.ports import listen

    os.sched_setaffinity(0, {0})
    listener = listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    # Equal requests would be answered from memory; every model but the inline one runs in threads.
    bounds = Bounds(cache_bytes=0, inline_row_seconds=1e-9 if name == "model" else Bounds().inline_row_seconds)
    answer_on(
        listener, Path(home), hosts=["127.0.0.1"], bounds=bounds, announce=lambda _event: None,
        when_ready=lambda: print(port, flush=True),
    )  # fmt: skip


def on_core_1(verb: str, port: int, request: bytes, *more: str) -> dict[str, float]:
    command = [sys.executable, str(HERE), verb, str(port), *more]
    done = subprocess.run(command, input=request, stdout=subprocess.PIPE, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


class Client(asyncio.Protocol):
    """One connection; `answered` is told the status and the seconds of each request."""

    def __init__(self, answered: "Answered") -> None:
        self.answered, self.buffer, self.began, self.lost = answered, b"", 0.0, False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def ask(self, request: bytes, began: float) -> None:
        self.began = began
        self.transport.write(request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, blank, body = self.buffer.partition(b"\r\n\r\n")
        if blank and len(body) >= int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]):
            self.buffer = b""
            self.answered(self, int(head[9:12]), time.perf_counter() - self.began)

    def connection_lost(self, _fault: object) -> None:
        self.lost = True
        if self.began:
            self.answered(self, 0, 0.0)


class Answered:
    def __init__(self) -> None:
        self.good: list[float] = []
        self.refused: list[float] = []
        self.failed = 0
        self.free: deque[Client] = deque()

    def __call__(self, client: Client, status: int, seconds: float) -> None:
        client.began = 0.0
        if status == 200:
            self.good.append(seconds)
        elif status in (429, 503):
            self.refused.append(seconds)
        else:
            self.failed += 1
        if not client.lost:
            self.free.append(client)


async def run_closed(port: int, request: bytes) -> dict[str, float]:
    loop, count, ends = asyncio.get_running_loop(), 0, time.perf_counter() + WARM_SECONDS

    class Again(Answered):
        def __call__(self, client: Client, status: int, _seconds: float) -> None:
            nonlocal count
            assert status == 200, status
            count += 1
            if time.perf_counter() < ends:
                client.ask(request, time.perf_counter())

    for _ in range(32):
        _, client = await loop.create_connection(lambda: Client(Again()), "127.0.0.1", port)
        client.ask(request, time.perf_counter())
    await asyncio.sleep(WARM_SECONDS)
    return {"per_s": count / WARM_SECONDS}


async def run_open(port: int, request: bytes, per_s: float) -> dict[str, float]:
    loop, chance, answered = asyncio.get_running_loop(), random.Random(3), Answered()
    opened = sent = unsent = 0
    began = due = time.perf_counter()
    while (now := time.perf_counter()) < began + SECONDS:
        if now < due:
            await asyncio.sleep(min(due - now, 0.002))
            continue
        at, due = due, due + chance.expovariate(per_s)
        if not answered.free and opened < CONNECTIONS_MAX:
            opened += 1
            _, client = await loop.create_connection(lambda: Client(answered), "127.0.0.1", port)
            answered.free.append(client)
        if not answered.free:
            unsent += 1
        else:
            sent += 1
            answered.free.popleft().ask(request, at)
        if sent % 50 == 0:
            await asyncio.sleep(0)
    await asyncio.sleep(3)
    return {
        "good_per_s": sum(each <= 2 * OBJECTIVE_SECONDS for each in answered.good) / SECONDS,
        "sent_per_s": sent / SECONDS,
        "unsent": unsent,
        "failed": answered.failed,
        "answer_p99_s": percentile(answered.good),
        "refused": len(answered.refused),
        "refusal_p99_s": percentile(answered.refused),
    }


async def run_steady(port: int, request: bytes, slow: float) -> dict[str, float]:
    dawdling = [asyncio.ensure_future(dawdler(port, at % 3)) for at in range(int(slow))]
    await asyncio.sleep(1 if slow else 0)
    took, errors = list[float](), 0
    began = time.perf_counter()
    for at in range(int(50 * SECONDS)):
        await asyncio.sleep(max(0.0, began + at / 50 - time.perf_counter()))
        asked = time.perf_counter()
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request)
            answer = await reader.read(65_536)
            errors += not answer.startswith(b"HTTP/1.1 200 ")
            writer.close()
        except OSError:
            errors += 1
        took.append(time.perf_counter() - asked)
    for each in dawdling:
        each.cancel()
    return {"p99_s": percentile(took), "errors": errors, "requests": len(took)}


async def dawdler(port: int, kind: int) -> None:
    """Sends a byte a second of a head (0) or of a body (1), or nothing (2); when it is cut, it comes again."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write([b"GET /", HEAD % (b"nobody", 10_000), b""][kind])
            for _ in range(60):
                await asyncio.sleep(1)
                writer.write([b"a", b" ", b""][kind])
        except OSError:
            await asyncio.sleep(0.1)


def percentile(took: list[float]) -> float:
    return sorted(took)[int(0.99 * len(took))] if took else 0.0


HEAD = b"POST /predict/m HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %b\r\nContent-Length: %d\r\n\r\n"
VERBS = {"closed": run_closed, "open": run_open, "steady": run_steady}

if __name__ == "__main__":
    if len(sys.argv) > 2 and sys.argv[1] == "serve":
        run_server(*sys.argv[2:])
    elif len(sys.argv) > 2 and sys.argv[1] in VERBS:
        import uvloop

        os.sched_setaffinity(0, {1} & os.sched_getaffinity(0) or os.sched_getaffinity(0))
        numbers = [float(each) for each in sys.argv[3:]]
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            work = VERBS[sys.argv[1]](int(sys.argv[2]), sys.stdin.buffer.read(), *numbers)  # type: ignore[operator]
            print(json.dumps(runner.run(work)))
    else:
        main(sys.argv[1:] or ["model", "inline", "slow"])
