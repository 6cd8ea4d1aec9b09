"""What happens when more is asked than can be answered, and when hundreds of clients dawdle.

    python benchmarks/overload.py [--keys N] [--traced] [model|long|middle|invocations|inline|slow ...]

`model`: 40 rows a request to a model in threads; on the event loop, `inline` one row, `middle` twenty, which take half
a millisecond and more, `long` forty, in more than 4 kB; `invocations` is `middle` in MLflow's way. Capacity is what 32
connections get in a closed loop, just before and just after. Between, twice and five times as much in an open loop
(`open_loop.py`), on as many connections as it takes up to three times what the server allows: answers within twice the
objective (goodput) as a share of capacity, and beside it those within the objective, which is what `aias bench` calls
good; the 99th percentile of answers, and of refusals.
Machines that others use too are now faster, now slower, by half. So for `model` it is also told what share of its
seconds the server spends in the threads that run models, beside the same at capacity: a run is the same work always.
`--keys`: so many callers of equal share ask in turn, instead of one. `--traced`: no two heads are the same, as where
callers are traced and come through a proxy. What the server warns of is told too.
Who is not answered within twice the objective gives up. What could not be asked, as no connection was free, or as the
generator was late, is told beside it.
`slow`: 50 requests a second alone, and beside 500 sockets, in a process of their own, that send a byte a second of a
head, of a body, or nothing. The server has core 0, the clients core 1.
"""

import argparse
import asyncio
import contextlib
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from open_loop import BETWEEN
from own_server import Running, key_of, other_core, serving

HERE = Path(__file__).resolve()
COMMAND = "python benchmarks/overload.py"
SECONDS, WARM_SECONDS, CONNECTIONS = 10.0, 3.0, 32
OBJECTIVE_SECONDS = 1.0
FULL_SECONDS = 1.5
"""After which the one who asks has started, and queues are full."""
RUNNING_MIN = 0.2
"""Of a server's seconds in other threads than the loop's: of less, models run on the loop."""
ROWS = {"model": 40, "long": 40, "middle": 20, "invocations": 20, "inline": 1}
HEADS = 2_000
"""That differ."""


def main(chosen: list[str], keys: int, *, traced: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        row = make_model(Path(folder))
        secrets = [key_of(Path(folder)) for _ in range(keys)]
        for name in chosen:
            # Equal requests would be answered from memory; only the model that is to run in threads does.
            bounds = {"cache_bytes": 0.0} | ({"inline_row_seconds": 1e-9} if name == "model" else {})
            with serving(folder, **bounds) as server:
                if name == "slow":
                    dawdle(server, wire(secrets[0], [row]))
                else:
                    heads = range(HEADS if traced else keys)
                    body = body_of(name, row)
                    asked = [wire(secrets[at % keys], *body, other=at if traced else 0) for at in heads]
                    overload(name, server, BETWEEN.join(asked))
    more = f"{f' --keys {keys}' if keys > 1 else ''}{' --traced' if traced else ''}"
    print(f"command: {COMMAND}{more} {' '.join(chosen)}")


def line(name: str, found: str, goal: str, good: bool) -> None:
    print(f"{name:<26} {found:<88} {goal:<16} {'ok' if good else 'MISS'}", flush=True)


def overload(name: str, server: Running, request: bytes) -> None:
    load(server, request, "closed", CONNECTIONS, WARM_SECONDS)
    peak = load(server, request, "closed", CONNECTIONS, WARM_SECONDS)
    capacity, running, whole = peak["per_s"], peak["running"], peak["cpu_s"] / peak["per_s"] / WARM_SECONDS
    told = f"{capacity:,.0f} answers/s, {1e6 * whole:.0f} us each, generator {peak['busy']:.0%} busy"
    print(f"overload/{name}: {told}", flush=True)
    for times in (2, 5):
        found = load(server, request, "open", times * capacity, SECONDS, 2 * OBJECTIVE_SECONDS, OBJECTIVE_SECONDS)
        # A machine is not as fast all the time.
        later = load(server, request, "closed", CONNECTIONS, WARM_SECONDS)
        before, after = capacity, later["per_s"]
        capacity, running = (before + after) / 2, (running + later["running"]) / 2
        share, sent = found["good_per_s"] / capacity, found["sent_per_s"] / capacity
        prompt = found["within_objective_per_s"] / capacity
        line(
            f"overload/{name}_{times}x_goodput",
            f"{share:.2f} x capacity ({before:,.0f}, {after:,.0f}), {prompt:.2f} in 1 s; {sent:.1f} x asked, "
            f"{found['unsent']:,.0f} found no connection, {found['late']:,.0f} the generator missed", ">= 0.9 x",
            share >= 0.9,
        )  # fmt: skip
        if running > RUNNING_MIN:
            steady = found["running"] / running
            line(
                f"overload/{name}_{times}x_work", f"{steady:.2f} x the share of its seconds that runs take at capacity",
                ">= 0.9 x", steady >= 0.9,
            )  # fmt: skip
        late = found["answer_p99_s"] / OBJECTIVE_SECONDS
        line(
            f"overload/{name}_{times}x_p99", f"{late:.2f} x the objective of 1 s (p50 {found['answer_p50_s']:.2f}), "
            f"{found['given_up']:,.0f} gave up, {found['failed']:.0f} failed", "<= 2 x", late <= 2,
        )  # fmt: skip
        refused = 1_000 * found["refusal_p99_s"]
        line(
            f"overload/{name}_{times}x_refusals", f"{found['refused']:,.0f}, p99 {refused:.1f} ms "
            f"(p50 {1_000 * found['refusal_p50_s']:.1f}); server {found['cpu_s'] / SECONDS:.0%} busy, "
            f"generator {found['busy']:.0%}", "<= 10 ms", refused <= 10,
        )  # fmt: skip
        capacity, running = after, later["running"]


def load(server: Running, request: bytes, verb: str, *numbers: float) -> dict[str, float]:
    worked = server.cpu_seconds
    command = [sys.executable, str(HERE.with_name("open_loop.py")), verb, str(server.port), *map(str, numbers)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as asking:
        assert asking.stdin is not None
        assert asking.stdout is not None
        asking.stdin.write(request)
        asking.stdin.close()
        time.sleep(FULL_SECONDS)
        before = server.thread_seconds()
        time.sleep(numbers[1] - FULL_SECONDS)
        after = server.thread_seconds()
        found: dict[str, float] = json.loads(asking.stdout.read())
    spent = [after[each] - before.get(each, 0.0) for each in after]
    of_loop = after[server.pid] - before[server.pid]
    return found | {"cpu_s": server.cpu_seconds - worked, "running": 1 - of_loop / sum(spent)}


def dawdle(server: Running, request: bytes) -> None:
    alone = steady(server, request)
    command = [sys.executable, str(HERE), "slow-sockets", str(server.port), "500"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as slow:
        assert slow.stdin is not None
        slow.stdin.write(request)
        slow.stdin.close()
        time.sleep(2)
        beside = steady(server, request)
        slow.terminate()
    times = beside["p99_s"] / alone["p99_s"]
    line(
        "overload/500_slow_sockets", f"p99 {times:.2f} x alone ({1e3 * alone['p99_s']:.1f} ms), "
        f"{beside['errors']:.0f} errors of {beside['requests']:.0f}", "<= 2 x, 0 errors",
        times <= 2 and not beside["errors"],
    )  # fmt: skip


def make_model(home: Path) -> dict[str, float]:
    from aias.client.train import train

    chance = random.Random(1)
    rows = {f"n{at}": [chance.random() for _ in range(400)] for at in range(14)}
    rows["y"] = ["high" if a + b > 1 else "low" for a, b in zip(rows["n0"], rows["n1"], strict=True)]  # type: ignore[misc]
    train(rows, target="y", name="m", learners=["boosted_trees"], time=20, home=home, inline=True).deploy()
    return {f"n{at}": 0.3 for at in range(14)}


def body_of(name: str, row: dict[str, float]) -> tuple[object, bytes]:
    rows = [row] * ROWS[name]
    return ({"dataframe_records": rows}, b"/invocations") if name == "invocations" else (rows, b"/predict/m")


def wire(secret: str, rows: object, path: bytes = b"/predict/m", *, other: int = 0) -> bytes:
    """`other`: a number that its head has to itself; 0: none."""
    body = json.dumps(rows).encode()
    passing = b"X-Forwarded-For: 10.0.1.%d\r\nTraceparent: 00-%032x-%016x-01\r\n" % (other % 255, other, other)
    return HEAD % (path, secret.encode(), passing if other else b"", len(body)) + body


def steady(server: Running, request: bytes) -> dict[str, float]:
    command = [sys.executable, str(HERE), "steady", str(server.port)]
    done = subprocess.run(command, input=request, stdout=subprocess.PIPE, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


async def run_steady(port: int, request: bytes) -> dict[str, float]:
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
    return {"p99_s": percentile(took), "errors": errors, "requests": len(took)}


async def run_slow(port: int, request: bytes, count: int) -> None:
    """They begin within a second, not all at once, which no 500 callers would."""
    secret = request.partition(b"Bearer ")[2].split(b"\r\n")[0]
    said = ((b"GET /", b"a"), (HEAD % (b"/predict/m", secret, b"", 10_000), b" "), (b"", b""))
    await asyncio.gather(*(dawdler(port, *said[at % 3], at / count) for at in range(count)))


async def dawdler(port: int, first: bytes, more: bytes, begins: float) -> None:
    """Sends a byte a second; when it is cut, it comes again."""
    await asyncio.sleep(begins)
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(first)
            said = b"?"
            while said:
                with contextlib.suppress(TimeoutError):
                    said = await asyncio.wait_for(reader.read(65_536), 1)
                writer.write(more)
            writer.close()
        await asyncio.sleep(1)


def percentile(took: list[float]) -> float:
    return sorted(took)[int(0.99 * len(took))] if took else 0.0


HEAD = b"POST %b HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %b\r\n%bContent-Length: %d\r\n\r\n"

if __name__ == "__main__":
    if sys.argv[1:2] == ["steady"]:
        other_core()
        print(json.dumps(asyncio.run(run_steady(int(sys.argv[2]), sys.stdin.buffer.read()))))
    elif sys.argv[1:2] == ["slow-sockets"]:
        other_core()
        asyncio.run(run_slow(int(sys.argv[2]), sys.stdin.buffer.read(), int(sys.argv[3])))
    else:
        asked = argparse.ArgumentParser()
        asked.add_argument("--keys", type=int, default=1)
        asked.add_argument("--traced", action="store_true")
        asked.add_argument("chosen", nargs="*", default=["model", "long", "middle", "invocations", "inline", "slow"])
        main(**vars(asked.parse_args()))
