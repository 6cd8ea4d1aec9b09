"""One connection of the load generator; it never blocks."""

import errno
import os
import socket
import time

from aias.client.load.answer import Answer
from aias.client.load.target import Target


class Connection:
    """`intended`: when its request was due; `since`: when it was sent. Raises `OSError`."""

    __slots__ = ("answer", "busy", "connecting", "intended", "left", "since", "socket")

    def __init__(self, target: Target, intended: float) -> None:
        self.socket = socket.socket(target.family)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # A failure at once is reported with all others, when the socket is checked.
        self.socket.connect_ex(target.peer)
        self.answer, self.intended, self.since = Answer(), intended, time.perf_counter()
        self.busy = self.connecting = True
        self.left: memoryview | None = None

    def connected(self) -> None:
        """Called when the socket becomes writable, which tells whether connecting worked."""
        fault = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if fault:
            raise OSError(fault, os.strerror(fault))
        self.connecting = False

    def send(self, request: bytes, intended: float) -> bool:
        """Whether some of it could not be sent at once."""
        self.busy, self.intended, self.since = True, intended, time.perf_counter()
        self.answer.begin()
        return self._push(memoryview(request))

    def send_left(self) -> bool:
        assert self.left is not None
        return self._push(self.left)

    def _push(self, data: memoryview) -> bool:
        try:
            sent = self.socket.send(data)
        except OSError as fault:
            if fault.errno not in (errno.EAGAIN, errno.EWOULDBLOCK):
                raise
            sent = 0
        self.left = data[sent:] if sent < len(data) else None
        return self.left is not None
