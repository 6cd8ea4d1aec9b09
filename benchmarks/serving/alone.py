"""Ours alone: how soon it is ready, what it holds, and what HTTP adds to a call of the model in a loop."""

import json
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

from serving.load import request
from serving.model import Work
from serving.processes import SERVER_CORE, Family, pinned
from serving.runs import measured, running
from serving.systems import SYSTEMS, named

ASKED: Final = 5_000
FIRST_SECONDS, MORE_SECONDS = 1.0, 15.0
STARTS: Final = 3


def measure(work: Work, *, environments: Path, key: str) -> dict[str, Any]:
    ready = []
    for _ in range(STARTS):
        began = time.perf_counter()
        with running("aias", work, environments=environments, key=key):
            ready.append(time.perf_counter() - began)
    with running("aias", work, environments=environments, key=key) as job:
        idle = Family(job["token"]).megabytes()
        early = measured(job, connections=32, seconds=FIRST_SECONDS)["memory_mb"]
        late = measured(job, connections=32, seconds=MORE_SECONDS)
        told = json.dumps({"port": job["port"], "key": key, "row": work.rows[0], "home": str(work.home)})
        with pinned(SERVER_CORE):
            done = subprocess.run(
                [sys.executable, "-m", "serving.alone"], input=told.encode(), stdout=subprocess.PIPE, check=True,
                cwd=Path(__file__).parents[1],
            )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout)
    return found | {
        "ready_s": statistics.median(ready), "idle_mb": idle, "early_mb": early, "late_mb": late["memory_mb"],
        "between": late["requests"],
    }  # fmt: skip


def main() -> None:
    """On the server's own core, so that no wake-up of another is counted."""
    told = json.load(sys.stdin)
    print(json.dumps({"call_us": of_calls(Path(told["home"]), told["row"]), "http_us": of_requests(told)}))


def of_calls(home: Path, row: list[float]) -> float:
    from aias.core.names import Ref
    from aias.registry.registry import Registry
    from aias.runtimes.onnxruntime import OnnxRuntime

    with Registry.open(home) as registry:
        version = registry.version(Ref("trees"))
        runtime = OnnxRuntime.load(registry.folder(version), registry.manifest(version))
    rows, took = [named(row)], []
    for _ in range(ASKED):
        began = time.perf_counter()
        runtime.predict(rows)
        took.append(time.perf_counter() - began)
    return 1e6 * statistics.median(took)


def of_requests(told: dict[str, Any]) -> float:
    address, took = ("127.0.0.1", told["port"]), []
    asked = request(address, SYSTEMS["aias"].path, named(told["row"]), key=told["key"])
    with socket.create_connection(address) as client:
        client.settimeout(10)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(ASKED):
            began = time.perf_counter()
            client.sendall(asked)
            answer = client.recv(65_536)  # small, and written at once
            took.append(time.perf_counter() - began)
            assert answer.startswith(b"HTTP/1.1 200 "), answer
    return 1e6 * statistics.median(took)


if __name__ == "__main__":
    main()
