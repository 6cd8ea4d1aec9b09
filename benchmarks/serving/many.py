"""Many models deployed, few of them asked: what the others cost those few, and in memory."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Final

from serving.model import Work
from serving.runs import measured, running

FEW, MANY = 10, 500
CONNECTIONS: Final = 8
SECONDS: Final = 4.0


def measure(work: Work, *, environments: Path, many: int = MANY) -> dict[str, float]:
    few_p50, few_mb = _asked(work, FEW, environments)
    many_p50, many_mb = _asked(work, many, environments)
    return {
        "deployed": many, "times_p50": many_p50 / few_p50, "few_p50_ms": few_p50, "many_p50_ms": many_p50,
        "few_mb": few_mb, "many_mb": many_mb, "mb_a_model": (many_mb - few_mb) / (many - FEW),
    }  # fmt: skip


def _asked(work: Work, deployed: int, environments: Path) -> tuple[float, float]:
    """The median latency of ten models, and the megabytes of a server that has so many."""
    with tempfile.TemporaryDirectory(prefix="serving-many-") as folder:
        home = Path(folder)
        key = _deploy(work.home, home, deployed)
        with running("aias", replace(work, home=home), environments=environments, key=key) as job:
            paths = [f"/predict/{_name(at)}" for at in range(FEW)]
            found = measured(job | {"paths": paths}, connections=CONNECTIONS, seconds=SECONDS)
    return found["p50_ms"], found["memory_mb"]


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
    _, secret = keys.create("bench", ["predict"])
    keys.close()
    return secret


def _name(at: int) -> str:
    return f"trees_{at}" if at else "trees"
