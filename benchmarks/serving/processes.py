"""Processes on their cores: started, watched with all that they start, and ended."""

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

SERVER_CORE, CLIENT_CORE = {0}, {1}
MARK: Final = "AIAS_BENCHMARK"
"""In the environment of a server and of whatever it starts, so that all of it is found and counted."""

STOP_SECONDS: Final = 15


class Family:
    """A server's process and its descendants, whoever is their parent by now."""

    def __init__(self, token: str) -> None:
        self._mark = f"{MARK}={token}".encode()

    def pids(self) -> list[int]:
        found = []
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                with contextlib.suppress(OSError):
                    if self._mark in (folder / "environ").read_bytes().split(b"\0"):
                        found.append(int(folder.name))
        return found

    def seconds(self) -> float:
        """Processor time so far, of all threads that live; the scheduler counts it by the nanosecond."""
        spent = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                spent += sum(
                    int((each / "schedstat").read_text().split()[0]) for each in Path(f"/proc/{pid}/task").iterdir()
                )
        return spent / 1e9

    def megabytes(self) -> float:
        """Memory; what several share is counted once among them."""
        kilobytes = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
                kilobytes += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        return kilobytes / 1024

    def kill(self) -> None:
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@contextmanager
def pinned(cores: set[int]) -> Iterator[None]:
    """Processes started inside stay on these cores, with all their threads."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores & before or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def server(command: list[str], *, folder: Path, log: Path, environment: dict[str, str]) -> Iterator[str]:
    """A server on its core; the token of its family."""
    token = secrets.token_hex(8)
    # Threads of libraries as many as cores: one, or a peer is slowed down by its own.
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    with pinned(SERVER_CORE), log.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
            env=os.environ | one | environment | {MARK: token}, process_group=0,
        )  # fmt: skip
    try:
        yield token
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        Family(token).kill()
        process.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def answers_on(port: int, request: bytes, *, seconds: float) -> bool:
    """Whether a server comes up in time and answers this with 200."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            client.sendall(request)
            if client.recv(65_536)[9:12] == b"200":
                return True
        time.sleep(0.1)
    return False
