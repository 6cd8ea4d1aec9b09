"""Frames between two processes, over pipes or sockets: a length, and so many bytes.

A side that gives and takes them by a time never waits beyond it, whatever the other does: that one may stop, or end, in
the midst of a frame.
"""

import os
import select
import struct
import subprocess
import time
from contextlib import suppress
from typing import IO, Final

_LENGTH: Final = struct.Struct("<Q")

HEAD: Final = _LENGTH.size
"""Bytes that say how long a frame is."""

_PIECE_BYTES: Final = 1 << 16
"""What a pipe holds."""


class TimeUp(Exception):
    """The other side did not take a frame, or give one, in time."""


class TooLong(Exception):
    """The other side gives a frame of more bytes than are taken: `size`."""

    def __init__(self, size: int) -> None:
        super().__init__(f"{size:,} bytes")
        self.size = size


def framed(body: bytes) -> bytes:
    return _LENGTH.pack(len(body)) + body


def size_of(head: bytes | bytearray) -> int:
    """How many bytes come behind this head."""
    return int(_LENGTH.unpack(head)[0])


def read_frame(pipe: IO[bytes]) -> bytes | None:
    """The next frame, however long it takes; None at the end."""
    head = pipe.read(HEAD)
    if len(head) < HEAD:
        return None
    size = size_of(head)
    frame = pipe.read(size)
    return frame if len(frame) == size else None


def write_frame(pipe: IO[bytes], frame: bytes) -> None:
    """Likewise."""
    pipe.write(_LENGTH.pack(len(frame)))
    pipe.write(frame)
    pipe.flush()


def give_frame(pipe: IO[bytes], frame: bytes, *, until: float) -> None:
    """Write a frame to an unbuffered pipe by a time of the monotonic clock. Raises `TimeUp`, `OSError`."""
    os.set_blocking(pipe.fileno(), False)
    left = memoryview(framed(frame))
    while left:
        _wait(pipe, select.POLLOUT, until)
        left = left[os.write(pipe.fileno(), left) :]


def take_frame(pipe: IO[bytes], *, until: float, bytes_max: int = 1 << 62) -> bytes | None:
    """The frame that is next in an unbuffered pipe; None if it ends before. Raises `TimeUp`, `TooLong`, `OSError`."""
    os.set_blocking(pipe.fileno(), False)
    held, size = bytearray(), HEAD
    while len(held) < size:
        _wait(pipe, select.POLLIN, until)
        piece = os.read(pipe.fileno(), max(_PIECE_BYTES, size - len(held)))
        if not piece:
            return None
        held += piece
        if len(held) >= HEAD:
            size = HEAD + size_of(held[:HEAD])
            if size - HEAD > bytes_max:
                raise TooLong(size - HEAD)
    return bytes(memoryview(held)[HEAD:size])


def end(process: "subprocess.Popen[bytes]") -> int:
    """Kill the other side, and close the pipes to it; its exit status."""
    process.kill()
    status = process.wait()
    for pipe in (process.stdin, process.stdout):
        with suppress(OSError):
            if pipe is not None:
                pipe.close()
    return status


def _wait(pipe: IO[bytes], event: int, until: float) -> None:
    # Unlike `select` it takes descriptors beyond 1,023, which a server with many connections has.
    poll = select.poll()
    poll.register(pipe, event)
    left = until - time.monotonic()
    if not poll.poll(max(0.0, 1000 * left)):
        raise TimeUp
