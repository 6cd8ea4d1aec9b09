"""Kill a training at its named steps and at random moments: the versions before it stand, and nothing of it is left."""

import os
import random
import signal
import time
from pathlib import Path

import pytest
from test_kills import HERE, Promises, Publisher, check

from aias.core.failpoints import STEPS

RANDOM_KILLS = int(os.environ.get("AIAS_TEST_TRAINING_KILLS", "20"))
LIFE_SECONDS_MAX = 1.2
"""Some three trainings."""


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
        deadline = time.monotonic() + chance.uniform(0, LIFE_SECONDS_MAX)
        while (line := trainer.line(max(0.0, deadline - time.monotonic()))) and time.monotonic() < deadline:
            promises.hear(line)
        promises.hear(line)
        os.kill(pid, signal.SIGKILL)
        assert trainer.until_gone(promises) == -signal.SIGKILL
        check(tmp_path / "home", promises)
    assert promises.versions, "kills among work that was never acknowledged would prove nothing"
