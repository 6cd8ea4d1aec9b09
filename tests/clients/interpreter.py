"""Which Python has a client: this one, or the one that `CLIENTS_PYTHON` names, for clients that are heavy or whose
pins conflict with ours: `python -m venv clients && clients/bin/pip install kserve open-inference-openapi openai
langchain-openai litellm`, as CI makes it."""

import json
import os
import subprocess
import sys
from typing import Any, Final

import pytest

HAS: Final = "import importlib.util, sys; sys.exit(importlib.util.find_spec(sys.argv[1]) is None)"


def answers_of(script: str, *arguments: str, client: str) -> Any:
    """What `script` prints, as JSON, in an interpreter that has `client`; skips where none is named. One that is named
    has to have it: else CI would try nothing, and nobody would see it."""
    python = sys.executable
    if not _has(python, client):
        python = os.environ.get("CLIENTS_PYTHON", "")
        if not python:
            pytest.skip(f"{client} is not installed, and CLIENTS_PYTHON names no Python that has it")
        assert _has(python, client), f"{python}, which CLIENTS_PYTHON names, has no {client}"
    done = subprocess.run(
        [python, "-c", script, *arguments], env=_away(), capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


def _has(python: str, client: str) -> bool:
    return subprocess.run([python, "-c", HAS, client], env=_away(), capture_output=True, check=False).returncode == 0


def _away() -> dict[str, str]:
    return os.environ | {"HF_HUB_OFFLINE": "1", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "PYTHONPATH": ""}
