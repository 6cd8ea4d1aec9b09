"""A server whose terminal goes: it ends well, or under `nohup` goes on; a SIGHUP that somebody sends renews it."""

import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import artifacts
from aias.serving.survival.keeper import can_keep
from live_server import eventually

pytestmark = pytest.mark.skipif(not can_keep(), reason="this machine cannot renew workers")

PATIENCE = 120
TAKE_TERMINAL = """
import fcntl, os, signal, sys, termios
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # these tests may themselves run under nohup
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""


class Seat:
    """`aias serve`, the leader of a session on a terminal of its own; `leave` takes the terminal away."""

    def __init__(self, home: Path, *before: str) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", TAKE_TERMINAL, *before, sys.executable, "-m", "aias", "serve", "--port", "0"],
            stdin=theirs, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
            env=artifacts.importable() | {"AIAS_HOME": str(home)},
        )  # fmt: skip
        os.close(theirs)
        self.said: list[bytes] = []
        threading.Thread(target=self._listen, daemon=True).start()
        eventually(lambda: any(b"serving at" in line for line in self.said) or self.process.poll(), PATIENCE)

    def workers(self) -> list[int]:
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(each) for each in listed.split()]

    def leave(self) -> None:
        ours, self._ours = self._ours, -1
        if ours >= 0:
            os.close(ours)

    def _listen(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as lines:
            self.said.extend(iter(lines.readline, b""))


@contextmanager
def seat(home: Path, *before: str) -> Iterator[Seat]:
    taken = Seat(home, *before)
    try:
        yield taken
    finally:
        taken.leave()
        taken.process.terminate()
        taken.process.wait(PATIENCE)


def test_a_signal_renews_a_server_that_has_a_terminal_and_one_whose_terminal_goes_ends_well(tmp_path: Path) -> None:
    with seat(tmp_path) as server:
        before = server.workers()
        server.process.send_signal(signal.SIGHUP)
        eventually(lambda: (now := server.workers()) and not {*now} & {*before}, PATIENCE)
        renewed = server.workers()

        server.leave()

        assert server.process.wait(PATIENCE) == 0
        assert not [pid for pid in renewed if Path(f"/proc/{pid}/cmdline").exists()]


def test_under_nohup_it_outlives_its_terminal_and_is_renewed_by_the_next_signal(tmp_path: Path) -> None:
    with seat(tmp_path, "nohup") as server:
        before = server.workers()
        server.leave()
        # The kernel tells the session's leader, which looks away this once.
        eventually(lambda: _is_gone(server.process.pid), PATIENCE)
        assert server.process.poll() is None and server.workers() == before
        server.process.send_signal(signal.SIGHUP)
        eventually(lambda: (now := server.workers()) and not {*now} & {*before}, PATIENCE)


def _is_gone(pid: int) -> bool:
    """Whether the process has no terminal any more: it lets go of what it held open."""
    held = [str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir() if each.is_symlink()]
    return not any(each.startswith("/dev/tty") for each in held)
