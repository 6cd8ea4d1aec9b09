import os
import signal
import subprocess
import sys

import pytest

from aias.core import failpoints
from aias.core.failpoints import failpoint


@pytest.fixture(autouse=True)
def _disarmed():
    yield
    failpoints.arm("")


def test_a_step_that_is_not_armed_does_nothing():
    failpoints.arm("seal.after_file:error")

    failpoint("seal.after_sync")


def test_an_armed_step_fails_once_at_the_passing_that_was_asked_for():
    failpoints.arm("seal.after_file:error:2")

    failpoint("seal.after_file")
    with pytest.raises(OSError, match=r"seal\.after_file"):
        failpoint("seal.after_file")
    failpoint("seal.after_file")


@pytest.mark.parametrize("text", ["no.such_step:kill", "seal.after_file:explode", "seal.after_file"])
def test_a_step_or_an_action_that_is_none_is_refused(text: str):
    with pytest.raises(ValueError, match="AIAS_FAILPOINT"):
        failpoints.arm(text)


def test_the_environment_arms_a_process_at_its_start():
    program = "from aias.core.failpoints import failpoint; failpoint('seal.after_file')"

    died = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | {"AIAS_FAILPOINT": "seal.after_file:kill"}, check=False
    )

    assert died.returncode == -signal.SIGKILL
