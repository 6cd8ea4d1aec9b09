"""Kill a training at its named steps and at random moments: the versions before it stand, and nothing of it is left."""

import os
import random
import signal
from pathlib import Path

import pytest
from test_kills import HERE, Promises, Publisher, check

from aias.core.failpoints import STEPS

RANDOM_KILLS = int(os.environ.get("AIAS_TEST_TRAINING_KILLS", "20"))
LINES_MAX = 6
"""That a child says before it is killed; three trainings."""


@pytest.fixture(scope="module")
def trainer():
    process = Publisher(HERE / "trainer.py")
    yield process
    process.close()


@pytest.mark.parametrize("step", [step for step in STEPS if step.startswith("train.")])
def test_a_kill_at_this_step_of_a_training_leaves_what_was_there(tmp_path: Path, trainer: Publisher, step: str):
    promises = Promises()
    trainer.start(tmp_path / "home", step=f"{step}:kill:3", seed=0)
    assert trainer.until_gone(promises) == -signal.SIGKILL
    assert promises.versions, "a training before the kill was published"
    check(tmp_path / "home", promises)


def test_kills_at_random_moments_of_training_lose_no_promise(tmp_path: Path, trainer: Publisher):
    chance = random.Random(20_261_123)
    promises = Promises()
    for kill in range(RANDOM_KILLS):
        pid = trainer.start(tmp_path / "home", seed=kill * 50, rounds=10_000)
        trainer.kill_after(pid, promises, lines=chance.randrange(LINES_MAX), moment=chance.random())
        check(tmp_path / "home", promises)
    assert promises.versions, "kills among work that was never acknowledged would prove nothing"
