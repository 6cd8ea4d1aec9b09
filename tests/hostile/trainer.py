"""A process that forks children which train, publish and deploy until they are killed; spoken to as `publisher.py`."""

import os
import sys
from pathlib import Path

import alembic.command
import lightgbm
import onnx.checker
import polars as pl
import scipy.optimize
import scipy.sparse

import aias.client.model
from aias.core import failpoints
from aias.data import check, read, split
from aias.graph import compile as compile_
from aias.training import train

LOADED = (
    alembic.command,
    lightgbm,
    onnx.checker,
    pl,
    scipy.optimize,
    scipy.sparse,
    check,
    read,
    split,
    compile_,
    train,
)
"""Imported here once, so that no child spends its time on it."""

WORDS = ("free", "win", "home", "you", "later", "cash", "see")


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def table(seed: int) -> dict[str, list[object]]:
    rows = range(60)
    notes = [" ".join(WORDS[(seed + i * k) % 7] for k in (1, 2, 3, 5)) for i in rows]
    label: list[object] = ["yes" if "free" in note else "no" for note in notes]
    return {"n": [float((seed + 7 * i) % 13) for i in rows], "note": [*notes], "y": label}


def work(home: Path, first_seed: int, rounds: int) -> None:
    for seed in range(first_seed, first_seed + rounds):
        model = aias.client.model.train(table(seed), target="y", name=f"model-{seed % 2}", time=20, home=home)
        say("version", model.ref, model.version.digest)
        endpoint = model.deploy()
        say("endpoint", endpoint.name, endpoint.ref, endpoint.revision)


def main() -> None:
    for line in sys.stdin:
        home, step, seed, rounds = line.split()
        child = os.fork()
        if child == 0:
            failpoints.arm("" if step == "-" else step)
            try:
                say("pid", os.getpid())
                work(Path(home), int(seed), int(rounds))
            except BaseException as fault:
                say("fault", type(fault).__name__, fault)
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        say("gone", os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
