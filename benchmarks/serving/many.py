"""Many models deployed, few of them asked: what the others cost those few, and in memory."""

import http.client
import json
import re
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

from serving.model import Work
from serving.runs import measured, running
from serving.systems import named

FEW: Final = 10
MANY: Final = 500
COLD: Final = 20
"""Models that nobody has asked, asked once each."""

CONNECTIONS: Final = 8
SECONDS: Final = 4.0


class Asked(NamedTuple):
    """The median latency of ten models; megabytes of the server and how many models it then has in memory; how long it
    took to start, and the first answers of models that were not in memory."""

    p50_ms: float
    mb: float
    loaded: int
    ready_s: float
    cold_ms: list[float]


def measure(work: Work, *, environments: Path, many: int = MANY) -> dict[str, float]:
    few, lots = _asked(work, FEW, environments), _asked(work, many, environments)
    return {
        "deployed": many, "times_p50": lots.p50_ms / few.p50_ms, "few_p50_ms": few.p50_ms, "many_p50_ms": lots.p50_ms,
        "few_mb": few.mb, "many_mb": lots.mb, "few_loaded": few.loaded, "many_loaded": lots.loaded,
        "mb_a_loaded_model": (lots.mb - few.mb) / max(1, lots.loaded - few.loaded),
        "few_ready_s": few.ready_s, "many_ready_s": lots.ready_s, "cold_ms": median(lots.cold_ms or [0.0]),
        "cold_worst_ms": max(lots.cold_ms, default=0.0),
    }  # fmt: skip


def _asked(work: Work, deployed: int, environments: Path) -> Asked:
    with tempfile.TemporaryDirectory(prefix="serving-many-") as folder:
        home = Path(folder)
        key = _deploy(work.home, home, deployed)
        began = time.perf_counter()
        with running("aias", replace(work, home=home), environments=environments, key=key) as job:
            ready = time.perf_counter() - began
            paths = [f"/predict/{_name(at)}" for at in range(FEW)]
            found = measured(job | {"paths": paths}, connections=CONNECTIONS, seconds=SECONDS)
            here = _loaded(job)
            parked = [name for name in map(_name, range(deployed)) if name not in here]
            cold = [_first(job, name, work.rows[0]) for name in parked[:COLD]]
    return Asked(found["p50_ms"], found["memory_mb"], len(here), ready, cold)


def _loaded(job: dict[str, Any]) -> set[str]:
    told = _call(job, "GET", "/metrics").decode()
    return set(re.findall(r'^aias_loaded\{endpoint="([^"]*)"', told, re.MULTILINE))


def _first(job: dict[str, Any], name: str, row: list[float]) -> float:
    began = time.perf_counter()
    _call(job, "POST", f"/predict/{name}", json.dumps([named(row)]))
    return 1e3 * (time.perf_counter() - began)


def _call(job: dict[str, Any], method: str, path: str, body: str | None = None) -> bytes:
    client = http.client.HTTPConnection("127.0.0.1", job["port"], timeout=60)
    headers = {"Authorization": f"Bearer {job['key']}", "Content-Type": "application/json"}
    client.request(method, path, body, headers)
    answer = client.getresponse()
    held = answer.read()
    client.close()
    assert answer.status == 200, held
    return held


def _deploy(source: Path, home: Path, count: int) -> str:
    """The same trees under so many names: to the server they are different models."""
    from aias.access.keys import Keys
    from aias.core.names import Ref
    from aias.registry.registry import Registry

    with Registry.open(source) as registry:
        version = registry.version(Ref("trees"))
        held, manifest = registry.folder(version), registry.manifest(version)
        files = {each.path: (held / each.path).read_bytes() for each in manifest.files}
    with Registry.open(home) as registry:
        for at in range(count):
            name = _name(at)
            registry.deploy(name, registry.publish(name, files, replace(manifest, name=name)).ref)
    keys = Keys.open(home)
    _, secret = keys.create("bench", ["predict", "read"])
    keys.close()
    return secret


def _name(at: int) -> str:
    return f"trees_{at}" if at else "trees"
