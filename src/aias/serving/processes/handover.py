"""A supervisor's part in being replaced, and in replacing: who is to come, and who was there before."""

import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import msgspec

from aias.core.errors import StorageFailed
from aias.core.events import Event, Watch
from aias.serving.processes.control_socket import ControlSocket, Question, Reply
from aias.serving.processes.succession import Predecessor, Successor


class Handover:
    """`tell` is called from threads: `asked` with a caller and what it asks, `take` and `gone` with a successor,
    `transfer` with what a predecessor leaves, and `inherited` when that has gone. All else is for the supervisor's own
    thread."""

    def __init__(
        self, control_socket: ControlSocket | None, predecessor: Predecessor | None, *, announce: Watch,
        tell: Callable[..., None],
    ) -> None:  # fmt: skip
        self._control_socket, self._predecessor = control_socket, predecessor
        self._announce, self._tell = announce, tell
        self._successor: Successor | None = None
        self._leave_by: float | None = None
        self._began = False
        self.inherits = predecessor is not None
        """Whether who was there before has not left yet."""

    @property
    def leaving(self) -> bool:
        """Whether another server answers already."""
        return self._leave_by is not None

    @property
    def understood(self) -> bool:
        """Whether it can go on with our connections."""
        return self._successor is not None and self._successor.understands

    def channels(self) -> list[socket.socket]:
        """Where transfers go that the successor can read."""
        return [self._successor.channel] if self._successor is not None and self._successor.understands else []

    def is_late(self) -> bool:
        return self._leave_by is not None and time.monotonic() > self._leave_by

    def begin(self) -> None:
        """All are ready: from now on who asks for the supervisor asks this one, and who was there before leaves."""
        self._began = True
        self._open_control_socket()
        if self._predecessor is not None:
            self._predecessor.take()
            threading.Thread(target=self._read_letters, args=(self._predecessor,), daemon=True).start()

    def answer(
        self, caller: socket.socket, asked: Question, sockets: Sequence[socket.socket], *, second: int, folder: str
    ) -> None:
        """Somebody wants to take our place."""
        if self._successor is not None:
            with caller, suppress(OSError):
                caller.send(msgspec.json.encode(Reply(refused="another process is taking over already")))
            return
        successor = Successor(caller, asked)
        try:
            successor.give(sockets, second=second, folder=folder, tell=lambda said: self._tell(said, successor))
        except OSError:
            successor.close()
        else:
            self._successor = successor

    def leave(self, successor: Successor, seconds: float) -> bool:
        """It is ready; whether it is the one that we know of. `seconds`: what leaving may take."""
        if successor is not self._successor or self.leaving:
            return False
        self._announce(Event("serve.leaving", "another process takes over; this one finishes what it has begun"))
        self._leave_by = time.monotonic() + seconds
        return True

    def forget(self, successor: Successor) -> bool:
        """It has gone; whether its work is ours again."""
        if successor is not self._successor:
            return False
        successor.close()
        self._successor = None
        if self._leave_by is None:
            return False
        self._leave_by = None
        self._announce(Event("serve.left-alone", "who had taken over has died; this one goes on", "warning"))
        self._open_control_socket()
        return True

    def close(self) -> None:
        if self._control_socket is not None:
            self._control_socket.close()
        if self._successor is not None:
            self._successor.close()
        if self._predecessor is not None and not self._began:
            self._predecessor.close()

    def _open_control_socket(self) -> None:
        if self._control_socket is None:
            return
        try:
            self._control_socket.open()
        except StorageFailed as fault:
            said = f"{fault.message}: this server answers, but cannot be asked what it holds up, nor be replaced"
            self._announce(Event("serve.deaf", said, "warning"))
            return
        threading.Thread(target=self._control_socket.hear, args=(partial(self._tell, "asked"),), daemon=True).start()

    def _read_letters(self, predecessor: Predecessor) -> None:
        connections = 0
        for transfer, descriptors in predecessor.transfers():
            connections += len(descriptors) - (transfer.layout is not None)
            self._tell("transfer", transfer, descriptors)
        self._tell("inherited", predecessor)
        said = f"process {predecessor.pid} has left; its {connections} open connections are answered here"
        facts: dict[str, Any] = {"pid": predecessor.pid, "connections": connections}
        self._announce(Event("serve.took-over", said, facts=facts))
