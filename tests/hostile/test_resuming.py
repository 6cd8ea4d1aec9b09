"""Kill a training by worker processes at random moments and go on with it: what was fitted is not fitted again, and the
models are those of a training that was let alone."""

import os
import random
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from test_kills import HERE, Promises, Publisher, check

from aias.core.cpus import cpus

KILLS = 3
ENDED_MAX = 5
"""Units that are ended before a kill, so that of some twenty there are always some left."""


@dataclass
class Told(Promises):
    """What one child said."""

    begun: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    graphs: dict[str, str] = field(default_factory=dict)

    def hear(self, line: str) -> None:
        match line.split():
            case ["begun", unit]:
                self.begun.append(unit)
            case ["ended", unit]:
                self.ended.append(unit)
            case ["graph", form, digest]:
                self.graphs[form] = digest
            case _:
                super().hear(line)


@pytest.fixture(scope="module")
def trainer():
    process = Publisher(HERE / "long_trainer.py")
    yield process
    process.close()


def killed(trainer: Publisher, home: Path, *, ended: int, moment: float) -> Told:
    """Once so many units are ended, within what is done for the next: `moment` of the time that one took so far."""
    told, pid = Told(), trainer.start(home, seed=0)
    told.hear(trainer.line())
    began = time.monotonic()
    while len(told.ended) < ended:
        line = trainer.line()
        assert line and not line.startswith("gone"), "a child that neither works nor waits to be killed"
        told.hear(line)
    until = time.monotonic() + moment * (time.monotonic() - began) / ended
    while line := trainer.line(max(0.0, until - time.monotonic())):
        told.hear(line)
    os.kill(pid, signal.SIGKILL)
    assert trainer.until_gone(told) == -signal.SIGKILL
    return told


def whole(trainer: Publisher, home: Path) -> Told:
    told = Told()
    trainer.start(home, seed=0)
    assert trainer.until_gone(told) == 0
    check(home, told)
    return told


def test_a_training_that_is_killed_and_gone_on_with_repeats_a_unit_of_each_worker_and_ends_as_if_nothing_had_been(
    tmp_path: Path, trainer: Publisher
) -> None:
    alone = whole(trainer, tmp_path / "alone")
    assert len(set(alone.begun)) == len(alone.begun) > KILLS * ENDED_MAX
    chance, runs = random.Random(20_261_130), list[Told]()
    for _ in range(KILLS):
        runs.append(killed(trainer, tmp_path / "home", ended=chance.randint(1, ENDED_MAX), moment=chance.random()))
    runs.append(whole(trainer, tmp_path / "home"))

    for number, run in enumerate(runs):
        before = runs[:number]
        assert not {unit for each in before for unit in each.ended} & set(run.begun)
        assert len({unit for each in before for unit in each.begun} & set(run.begun)) <= cpus()
    assert {unit for each in runs for unit in each.begun} == set(alone.begun)
    assert runs[-1].graphs == alone.graphs
    assert {*alone.graphs} == {"quality", "serving"}
