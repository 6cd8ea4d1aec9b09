"""Loads of more connections than a process may open files, upon somebody who listens and never answers."""

import json
import resource
import subprocess
import sys
from typing import Any

SOFT, MANY = 64, 96

LOADS = """
import json, resource, socket
from aias.client.load.generator import put_load
from aias.client.load.result import Plan
from aias.client.load.target import Target
from aias.core.errors import UserError

with socket.create_server(("127.0.0.1", 0), backlog=1_024) as listener:
    target = Target(socket.AF_INET, listener.getsockname(), (b"POST / HTTP/1.1\\r\\nContent-Length: 0\\r\\n\\r\\n",))
    told = []
    for plan in (Plan(0.05, connections=96, warm_up=0.0, timeout=0.05), Plan(0.2, rate=1e3, warm_up=0.0, timeout=0.05)):
        try:
            result = put_load(target, plan)
            told.append([result.connections, result.waited, result.failed == result.sent, list(result.failures)])
        except UserError as fault:
            told.append(fault.message)
print(json.dumps([*told, resource.getrlimit(resource.RLIMIT_NOFILE)[0]]))
"""


def loads(hard: int) -> tuple[Any, Any, int]:
    """What comes of a closed and of an open loop, and the limit afterwards."""
    closed, opened, after = json.loads(
        subprocess.run(
            [sys.executable, "-c", LOADS], check=True, stdout=subprocess.PIPE,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (SOFT, hard)),
        ).stdout
    )  # fmt: skip
    return closed, opened, after


def test_a_load_asks_for_as_many_files_as_it_has_connections() -> None:
    closed, opened, after = loads(resource.getrlimit(resource.RLIMIT_NOFILE)[1])

    assert closed == [MANY, 0, True, ["timeout"]]
    assert opened[2:] == [True, ["timeout"]]
    assert after == SOFT


def test_callers_for_whom_there_may_be_no_file_are_refused_or_wait() -> None:
    closed, opened, _ = loads(SOFT)

    assert closed.startswith("96 connections are wanted, and this process may open")
    assert 0 < opened[0] < SOFT
    assert opened[1] > 0
    assert opened[2:] == [True, ["timeout"]]
