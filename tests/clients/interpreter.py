"""Which Python has a client: this one, or the one that `CLIENTS_PYTHON` names, for clients that are heavy or whose
pins conflict with ours (`python -m venv clients && clients/bin/pip install openai langchain-openai litellm`)."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest


def answers_of(script: str, *arguments: str, client: str) -> Any:
    """What `script` prints, as JSON, in an interpreter that has `client`; skips where there is none."""
    for python in (sys.executable, os.environ.get("CLIENTS_PYTHON")):
        if (
            python
            and subprocess.run([python, "-c", f"import {client}"], capture_output=True, check=False).returncode == 0
        ):
            break
    else:
        pytest.skip(f"{client} is not installed, and CLIENTS_PYTHON names no Python that has it")
    away = {"HF_HUB_OFFLINE": "1", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "PYTHONPATH": ""}
    done = subprocess.run(
        [python, "-c", script, *arguments],
        env=os.environ | away,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.strip().splitlines()[-1])
