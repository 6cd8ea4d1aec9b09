"""A process that forks children which train, publish and deploy until they are killed; spoken to as `publisher.py`."""

from pathlib import Path

# ruff: noqa: F401  what a child uses is imported here once, so that none spends its time on it
import alembic.command
import lightgbm
import onnx.checker
import polars as pl
import scipy.optimize
import scipy.sparse
from forking import fork_for_each_line, say

import aias.client.model
import aias.client.train
import aias.data.check
import aias.data.read
import aias.data.split
import aias.graph.compile
import aias.training.train

WORDS = ("free", "win", "home", "you", "later", "cash", "see")


def table(seed: int) -> dict[str, list[object]]:
    rows = range(60)
    notes = [" ".join(WORDS[(seed + i * k) % 7] for k in (1, 2, 3, 5)) for i in rows]
    label: list[object] = ["yes" if "free" in note else "no" for note in notes]
    return {"n": [float((seed + 7 * i) % 13) for i in rows], "note": [*notes], "y": label}


def work(home: Path, first_seed: int, rounds: int) -> None:
    for seed in range(first_seed, first_seed + rounds):
        model = aias.client.train.train(
            table(seed), target="y", name=f"model-{seed % 2}", time=600, folds=2, home=home, inline=True
        )
        say("version", model.ref, model.version.digest)
        endpoint = model.deploy()
        say("endpoint", endpoint.name, endpoint.ref, endpoint.revision)


if __name__ == "__main__":
    fork_for_each_line(work)
