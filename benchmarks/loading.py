"""What it costs to verify and load a version, beside reading and hashing its bytes.

    python benchmarks/loading.py

Two versions: a text model of some megabytes (ten classes, tens of thousands of terms) and a small table. The baseline
reads every file of the version and hashes it, which no verified load can do without.
"""

import hashlib
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import aias
from aias.registry.registry import Registry
from aias.runtimes.onnxruntime import OnnxRuntime

RUNS = 15
COMMAND = "python benchmarks/loading.py"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        for name, rows in (("text", texts()), ("table", numbers())):
            model = aias.train(rows, target="y", name=name, time=60, learners=("linear",), home=home)
            report(name, model, Registry.open(home))


def report(name: str, model: aias.Model, registry: Registry) -> None:
    def load() -> None:
        OnnxRuntime.load(registry.folder(model.version), registry.manifest(model.version))

    def read() -> None:
        for entry in model.manifest.files:
            hashlib.sha256((model.folder / entry.path).read_bytes()).hexdigest()

    loading, reading = median_ms(load), median_ms(read)
    beyond = loading - reading
    verdict = "ok" if beyond <= 100 else "MISS"
    print(
        f"loading/{name}_ms  {loading / reading:.1f} x reading and hashing its {model.version.size_bytes / 1e6:.1f} MB "
        f"({reading:.0f} ms); {beyond:.0f} ms beyond it  <= 100 ms beyond  {verdict}  ({COMMAND})"
    )


def median_ms(work: Callable[[], None]) -> float:
    took = []
    for _ in range(RUNS):
        began = time.perf_counter()
        work()
        took.append((time.perf_counter() - began) * 1e3)
    return statistics.median(took)


def texts() -> dict[str, list[object]]:
    """3,000 texts of invented words: many terms, since it is they that make a version large."""
    rng = random.Random(0)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(3, 9))) for _ in range(25_000)]
    return {
        "text": [" ".join(rng.choices(words, k=40)) for _ in range(5_000)],
        "y": [f"class {i % 10}" for i in range(5_000)],
    }


def numbers() -> dict[str, list[object]]:
    rng = random.Random(0)
    columns: dict[str, list[object]] = {f"x{i}": [rng.random() for _ in range(2_000)] for i in range(20)}
    return columns | {"y": ["yes" if rng.random() > 0.5 else "no" for _ in range(2_000)]}


if __name__ == "__main__":
    main()
