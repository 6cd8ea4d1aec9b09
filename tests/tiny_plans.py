"""A table that fits in no time, and plans over it."""

import time
from pathlib import Path

import numpy as np

from aias.core.events import Event
from aias.core.schema import Field
from aias.core.task import Task
from aias.encoders.rows import RowEncoder
from aias.training.ledger import Ledger
from aias.training.processes.memory import PROCESS_BYTES, Memory
from aias.training.processes.workers import InlineWorkers, Workers
from aias.training.selection.configuration import Configuration
from aias.training.selection.members import Member
from aias.training.selection.plan import Plan
from aias.training.table import Part, Table

TASK = Task("y", "binary", "roc_auc", ("a", "b"))
LINEAR = Configuration("linear", "linear")
STRONG = Configuration("strong", "linear", {"C": 0.1})
STRONGER = Configuration("stronger", "linear", {"C": 2.0})  # not what LINEAR chooses: that would be the same fit


def table(rows: int = 240, folds: int = 3) -> Table:
    chance = np.random.default_rng(0)
    values = {name: chance.normal(size=rows) for name in "pqr"}
    judged = np.arange(rows) % folds if folds > 1 else np.arange(rows) % 2 - 1
    y = (values["p"] + chance.normal(size=rows) > 0).astype(np.int64)
    encoder = RowEncoder.fit([Field(name, "number") for name in "pqr"], values)
    return Table(TASK, encoder, Part(encoder.columns(values, rows), y), judged.astype(np.int16))


class Little(Memory):
    """As much as a worker takes for nothing, and `bytes` for rows."""

    bytes: float = 0.0

    @property
    def available_bytes(self) -> float:
        return PROCESS_BYTES + self.bytes


def plan(
    held: Table, workers: Workers | InlineWorkers, folder: Path, told: list[Event], seconds: float = 600,
    memory: Memory | None = None,
) -> Plan:  # fmt: skip
    ends_at = time.monotonic() + seconds
    return Plan(
        held, Ledger(folder), workers, seed=0, fit_ends_at=lambda: ends_at, memory=memory or Memory(),
        watch=told.append,
    )  # fmt: skip


def run(made: Plan, *configurations: Configuration, enough: int = 99) -> list[Member]:
    members: list[Member] = []

    def take(member: Member) -> bool:
        members.append(member)
        return len(members) < enough

    made.run(configurations, take)
    return members
