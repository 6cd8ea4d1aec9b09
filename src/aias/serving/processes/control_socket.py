"""The supervisor's control socket: in the home, for whoever may write into the home.

    home/run/serve-127.0.0.1-8000 ◀─ `aias serve --replace`: I take your place      succession.py
                                  ◀─ `aias endpoints`: what is quarantined?         supervisor.py
                                  ◀─ `aias release`: let it run again

One question a connection, one JSON message each way. A socket of a server that was killed is found deaf, and replaced.
"""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Literal

import msgspec

from aias.core.errors import AiasError, StorageFailed
from aias.core.unix_sockets import connect, listen_as, user_of

FOLDER: Final = "run"
MESSAGE_BYTES_MAX: Final = 64 << 10

FAILED_MAX: Final = 50
"""Versions that could not be loaded, of which one reply tells; each in a KiB at most."""

ANSWER_SECONDS_MAX: Final = 10.0
"""The supervisor looks up every half second. Who has connected asks at once, unless the machine is busy."""


_PAUSE_SECONDS: Final = 0.1


class Deaf(AiasError):
    """A server is there, but its supervisor does not answer"""

    code = "serving.deaf"


class Question(msgspec.Struct, omit_defaults=True):
    """`format`: of the journals that a successor can read."""

    verb: Literal["succeed", "isolated", "release"]
    version: str = ""
    format: int = 0


class Reply(msgspec.Struct, omit_defaults=True):
    """`sockets` come after it; `folder`: where counts are kept. `refused` says why, and then there is nothing else.
    `failed`: endpoints, versions that do not answer for them, and why."""

    refused: str = ""
    pid: int = 0
    sockets: int = 0
    second: int = 0
    folder: str = ""
    quarantined: list[str] = []
    apart: list[str] = []
    released: bool = False
    failed: list[tuple[str, str, str]] = []


class ControlSocket:
    """`open` it, `hear` in a thread until it is closed."""

    def __init__(self, home: Path, host: str, port: int) -> None:
        self._folder, self._name = home / FOLDER, name_of(host, port)
        self._listener: socket.socket | None = None
        self._inode = 0

    def open(self) -> None:
        """From now on whoever asks asks us, whoever was asked before. Raises `StorageFailed`."""
        self.close()
        path = self._folder / self._name
        try:
            listener = listen_as(path)
            self._inode = path.stat().st_ino
        except OSError as fault:
            raise StorageFailed(f"cannot listen in {self._folder}: {fault.strerror}", hint="check the disk") from fault
        self._listener = listener

    def hear(self, tell: Callable[[socket.socket, Question], None]) -> None:
        """`tell` who asks, and what, until it is closed; whoever is told closes the connection. Each is heard in a
        thread: who is slow to ask keeps nobody waiting."""
        listener = self._listener
        while listener is not None and listener is self._listener:
            try:
                caller = listener.accept()[0]
            except OSError:
                # Closed, or no descriptor is free: then whoever calls waits until there is one.
                time.sleep(_PAUSE_SECONDS)
                continue
            try:
                threading.Thread(target=_hear, args=(caller, tell), daemon=True).start()
            except RuntimeError:
                # No thread is to be had: who calls is told nothing, and may call again.
                caller.close()

    def close(self) -> None:
        """Also its name, where that is still ours."""
        listener, self._listener = self._listener, None
        if listener is None:
            return
        # A thread that waits in `accept` is woken by this, and not by closing alone.
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        path = self._folder / self._name
        with contextlib.suppress(OSError):
            if path.stat().st_ino == self._inode:
                path.unlink()


def name_of(host: str, port: int) -> str:
    return f"serve-{host}-{port}"


def call(path: Path) -> socket.socket | None:
    """A connection to the supervisor that listens there; None where nobody does."""
    caller = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    caller.settimeout(ANSWER_SECONDS_MAX)
    try:
        connect(caller, path)
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
        caller.close()
        return None
    except OSError as fault:
        caller.close()
        raise deaf(path, fault.strerror or str(fault)) from fault
    if user_of(caller) not in (os.geteuid(), 0, path.parent.parent.stat().st_uid):
        # Others may be able to write into this home; they do not get to be its server.
        caller.close()
        raise deaf(path, "it runs as another user than the home's")
    return caller


def ask(path: Path, question: Question) -> Reply | None:
    """What the supervisor answers that listens there; None where nobody does. Raises `Deaf`."""
    caller = call(path)
    if caller is None:
        return None
    with caller:
        return exchange(caller, question, path)


def exchange(caller: socket.socket, question: Question, path: Path) -> Reply:
    """Raises `Deaf`."""
    try:
        caller.send(msgspec.json.encode(question))
        if said := caller.recv(MESSAGE_BYTES_MAX):
            return msgspec.json.decode(said, type=Reply)
    except (OSError, msgspec.MsgspecError) as fault:
        raise deaf(path, str(fault)) from fault
    raise deaf(path, "it has closed the connection")


def addresses_of(home: Path) -> Iterator[str]:
    """Where supervisors of a home listen at this moment: `127.0.0.1:8000`."""
    for path in servers_of(home):
        with contextlib.suppress(Deaf):
            if caller := call(path):
                caller.close()
                host, _, port = path.name.removeprefix("serve-").rpartition("-")
                yield f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def servers_of(home: Path) -> list[Path]:
    """Where supervisors of a home listen, or have listened."""
    return sorted((home / FOLDER).glob("serve-*"))


def _hear(caller: socket.socket, tell: Callable[[socket.socket, Question], None]) -> None:
    asked = _heard(caller)
    if asked is None:
        caller.close()
    else:
        tell(caller, asked)


def _heard(caller: socket.socket) -> Question | None:
    """None from another user, from who says nothing, and from who says what we do not know."""
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        if user_of(caller) not in (os.geteuid(), 0):
            return None
        caller.settimeout(ANSWER_SECONDS_MAX)
        return msgspec.json.decode(caller.recv(MESSAGE_BYTES_MAX), type=Question)
    return None


def deaf(path: Path, why: str) -> Deaf:
    return Deaf(f"the server behind {path} does not answer: {why}", hint="look at its log, or end its process")
