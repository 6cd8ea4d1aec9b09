"""A server that was started where few files may be open: no connection is lost with a worker for that."""

import http.client
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import artifacts
from aias.serving.survival.keeper import can_keep
from live_server import PATIENCE, eventually
from ports import free_port

pytestmark = pytest.mark.skipif(not can_keep(), reason="this machine cannot keep connections")

FEW, CONNECTIONS = 60, 80


def is_live(connection: http.client.HTTPConnection) -> bool:
    connection.request("GET", "/health/live")
    with connection.getresponse() as response:
        response.read()
        return response.status == 200


def answers(port: int) -> bool:
    try:
        return is_live(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE))
    except OSError:
        return False


def test_a_worker_that_dies_with_more_connections_than_its_supervisor_was_allowed_leaves_them_all(
    tmp_path: Path,
) -> None:
    port = free_port()
    command = f'ulimit -Sn {FEW}; exec "$0" -m aias serve --port {port}'
    with subprocess.Popen(
        ["/bin/sh", "-c", command, sys.executable], env=artifacts.importable() | {"AIAS_HOME": str(tmp_path)},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as server:  # fmt: skip
        try:
            eventually(lambda: answers(port) or server.poll() is not None, PATIENCE)
            connections = []
            for _ in range(CONNECTIONS):
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
                assert is_live(connection)
                connection.auto_open = 0
                connections.append(connection)
            [worker] = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
            os.kill(int(worker), signal.SIGKILL)

            assert [is_live(each) for each in connections] == [True] * CONNECTIONS
        finally:
            server.terminate()
    assert server.returncode == 0
