"""A process that forks children which go on with a training until they are killed; spoken to as `publisher.py`."""

import hashlib
from pathlib import Path

# ruff: noqa: F401  what a child uses is imported here once, so that none spends its time on it
import alembic.command
import lightgbm
import numpy as np
import onnx.checker
import polars as pl
import scipy.optimize
import scipy.sparse
from forking import fork_for_each_line, say
from mixed_table import mixed_table

import aias.client.model
import aias.client.train
import aias.data.check
import aias.data.read
import aias.data.split
import aias.graph.compile
import aias.training.train
from aias.core.events import Event

ROWS = 500
LEARNERS = {"linear": {}, "boosted_trees": {"rounds": 150}, "extra_trees": {"trees": 100}}


def watch(event: Event) -> None:
    """Of units alone: which is begun, and which is ended."""
    if event.name == "train.unit":
        configuration = str(event.facts["configuration"]).replace(" ", "_")
        say("ended" if event.facts["ended"] else "begun", f"{configuration}/{event.facts['fold']}")


def work(home: Path, first_seed: int, rounds: int) -> None:
    """By worker processes, and without an end by time. The first training of a home finds nothing to go on with."""
    model = aias.client.train.train(
        mixed_table(ROWS, "abcdef"), target="y", name="model-0", time=600, folds=6, latency="1s", search=False,
        learners=LEARNERS, resume=True, home=home, watch=watch,
    )  # fmt: skip
    for each in (model.quality, model):
        say("version", each.ref, each.version.digest)
        say("graph", each.manifest.form, hashlib.sha256((each.folder / "model.onnx").read_bytes()).hexdigest())


if __name__ == "__main__":
    fork_for_each_line(work)
