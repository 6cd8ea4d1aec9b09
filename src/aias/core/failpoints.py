"""Named steps at which a test can kill the process or make it fail: `AIAS_FAILPOINT=publish.after_commit:kill`.

The form is `step:action[:pass]`: `kill` sends SIGKILL to this very process, `error` raises an input/output error;
`pass` counts from 1 and says at which passing of the step it happens. Unarmed, a step costs one comparison.
"""

import errno
import os
import signal
from typing import Final

STEPS: Final = (
    "database.after_file",
    "database.before_migration",
    "database.inside_migration",
    "database.after_migration",
    "seal.after_folder",
    "seal.after_file",
    "seal.before_rename",
    "seal.after_rename",
    "seal.after_sync",
    "publish.before_seal",
    "publish.before_commit",
    "publish.after_commit",
    "deploy.before_commit",
    "deploy.after_commit",
    "undeploy.before_commit",
    "undeploy.after_commit",
    "remove.before_commit",
    "remove.after_commit",
    "collect.before_move",
    "collect.after_move",
    "keys.before_commit",
    "keys.after_commit",
    "train.after_candidate",
    "train.after_compile",
    "train.after_proof",
)
"""Every step there is. `test_kills.py` and `test_training_kills.py` walk them all, so a new one is tested at once."""

_armed: str | None = None
_action = ""
_passes_left = 0


def arm(text: str) -> None:
    """Set the step that fails from now on; the empty string sets none."""
    global _armed, _action, _passes_left
    step, _, rest = text.partition(":")
    action, _, number = rest.partition(":")
    if text and (step not in STEPS or action not in ("kill", "error")):
        raise ValueError(f"AIAS_FAILPOINT={text!r}: expected `step:kill` or `step:error`, with a step of {STEPS}")
    _armed, _action, _passes_left = step or None, action, int(number or 1)


def failpoint(step: str) -> None:
    """Do nothing, unless a test has armed this step."""
    if _armed == step:
        _fail(step)


def _fail(step: str) -> None:
    global _passes_left  # noqa: PLW0603
    _passes_left -= 1
    if _passes_left:
        return
    if _action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    raise OSError(errno.EIO, f"failpoint {step}")


arm(os.environ.get("AIAS_FAILPOINT", ""))
