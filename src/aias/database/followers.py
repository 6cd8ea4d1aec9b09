"""Processes that answer by what stands in the tables; and whoever has changed that, and goes on when all of them do.

    home/run/follows-<pid>-<n> ◀─ something has moved    a worker (`serving/versions/following.py`)
                               ─▶ .                      it answers by that

A connection each time. The socket of a process that has died is removed.
"""

import contextlib
import os
import secrets
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

from aias.core.events import Event, Watch, logged
from aias.core.unix_sockets import connect, listen_as, pid_of, user_of

FOLDER: Final = "run"
"""In a home."""

FOLLOW_SECONDS_MAX: Final = 60.0
"""What a change waits for those who follow it: they may have a model to load."""

ASK_SECONDS_MAX: Final = 1.0
"""Who has connected says at once what has moved."""

CROWD_SECONDS: Final = 0.01
"""Until who is not let in tries again."""

What = Literal["keys", "endpoints"]

SAID_BYTES_MAX: Final = 128
"""What has moved, and the name of an endpoint."""

_SAID: Final[dict[bytes, What]] = {b"k": "keys", b"e": "endpoints"}
_DONE: Final = b"."


class Waiter:
    """Somebody who waits until what has moved is followed here. `name`: of the endpoint, where one has."""

    def __init__(self, caller: socket.socket, what: What, name: str = "") -> None:
        self.what, self.name, self._caller = what, name, caller

    def tell(self) -> None:
        with self._caller, contextlib.suppress(OSError):
            self._caller.send(_DONE)

    def leave(self) -> None:
        """This process ends: it answers nobody any more."""
        self._caller.close()


class ChangeListener:
    """Where a process that follows is told. From `open` on whoever moves something waits until it is answered."""

    def __init__(self, home: Path) -> None:
        self._path = home / FOLDER / f"follows-{os.getpid()}-{secrets.token_hex(4)}"
        self._listener: socket.socket | None = None

    def open(self) -> None:
        """Raises `OSError`. Does nothing where the system has no such sockets: then what moves is seen by looking."""
        if sys.platform == "linux":
            self._listener = listen_as(self._path)

    def hear(self, tell: Callable[[Waiter], None]) -> None:
        """`tell` of each who asks, until it is closed."""
        listener = self._listener
        while listener is not None:
            try:
                caller = listener.accept()[0]
            except OSError:
                if self._listener is not listener:
                    return
                # There was no descriptor left for it.
                time.sleep(CROWD_SECONDS)
                continue
            caller.settimeout(ASK_SECONDS_MAX)
            said = b""
            with contextlib.suppress(OSError):
                said = caller.recv(SAID_BYTES_MAX) if user_of(caller) in (os.geteuid(), 0) else b""
            if (what := _SAID.get(said[:1])) is None:
                caller.close()
            else:
                tell(Waiter(caller, what, said[1:].decode(errors="replace")))

    def close(self) -> None:
        listener, self._listener = self._listener, None
        if listener is None:
            return
        self._path.unlink(missing_ok=True)
        # A thread that waits in `accept` is woken by this, and not by closing alone.
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def wait_for_all(
    home: Path, what: What, name: str = "", *, seconds: float = FOLLOW_SECONDS_MAX, watch: Watch = logged
) -> None:
    """Until every process that follows this home answers by what it holds now, for the endpoint that is named or for
    all. Those that take longer are told of."""
    until = time.monotonic() + seconds
    asked, late = list[socket.socket](), list[int]()
    for path in (home / FOLDER).glob("follows-*"):
        try:
            asked += filter(None, [_ask(path, what, name, until)])
        except OSError:
            late.append(int(path.name.split("-")[1]))
    late += [pid for caller in asked if (pid := _late(caller, until)) is not None]
    for pid in late:
        said = f"process {pid} has not followed within {seconds:g} s, and goes by what was before; its log may say why"
        watch(Event("database.not-followed", said, "warning", {"pid": pid}))


def _ask(path: Path, what: What, name: str, until: float) -> socket.socket | None:
    """None where nobody is there that counts. Raises `OSError` for whoever does not hear in time."""
    caller = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    caller.settimeout(max(0.01, until - time.monotonic()))
    try:
        _join(caller, path, until)
        if user_of(caller) in (os.geteuid(), 0, path.parent.parent.stat().st_uid):
            caller.send(next(said for said, each in _SAID.items() if each == what) + name.encode())
            return caller
    except ConnectionRefusedError:
        # It has died. Another that has changed something may have found that out before.
        path.unlink(missing_ok=True)
    except (FileNotFoundError, BrokenPipeError, ConnectionResetError):
        # It has ended meanwhile.
        pass
    except OSError:
        caller.close()
        raise
    caller.close()
    return None


def _join(caller: socket.socket, path: Path, until: float) -> None:
    """As `connect`; who finds too many before him tries again."""
    while True:
        try:
            return connect(caller, path)
        except BlockingIOError:
            if time.monotonic() > until:
                raise
            time.sleep(CROWD_SECONDS)


def _late(caller: socket.socket, until: float) -> int | None:
    """The process, where it does not follow in time; None where it does, or is no more."""
    with caller, contextlib.suppress(OSError):
        caller.settimeout(max(0.01, until - time.monotonic()))
        try:
            caller.recv(8)
        except TimeoutError:
            return pid_of(caller)
    return None
