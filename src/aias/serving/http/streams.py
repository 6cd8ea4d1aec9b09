"""An answer that comes in pieces: made in a thread, sent from the event loop, a few pieces ahead at most.

The thread that makes it keeps its place in the batcher until the last piece is made, or until the caller has gone.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Final

from aias.serving.http.bodies import Receive
from aias.serving.http.messages import Reply

AHEAD_MAX: Final = 16
"""Pieces that are made and not yet sent; a caller that reads slowly slows down what makes them."""


class Stream:
    """`head` is the reply as soon as its first piece can come; `pieces` are then sent as they are made."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.head: asyncio.Future[Reply] = self._loop.create_future()
        self._made: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()
        self._room, self._gone = threading.Semaphore(AHEAD_MAX), False

    def work(self, answer: Callable[[], Reply]) -> Reply:
        """In a thread: answer, and when the answer comes in pieces, make all of them before this is over."""
        reply = answer()
        if reply.pieces is not None:
            self._tell(self._begin, reply)
            self._make(reply.pieces)
        return reply

    async def pieces(self) -> AsyncIterator[bytes]:
        """Raises what the making of them has raised."""
        while (made := await self._made.get()) is not None:
            if isinstance(made, Exception):
                raise made
            yield made
            self._room.release()

    def leave(self) -> None:
        """Nobody listens any more: what makes the pieces is closed at its next one."""
        self._gone = True
        self._room.release()

    def end(self, running: "asyncio.Future[Any]") -> None:
        """What made the pieces is over, by itself or because its time was."""
        if not running.cancelled() and (fault := running.exception()) is not None:
            self._made.put_nowait(fault if isinstance(fault, Exception) else None)
        self.leave()

    def _make(self, pieces: Iterator[bytes]) -> None:
        try:
            for piece in pieces:
                self._room.acquire()
                if self._gone:
                    break
                self._tell(self._made.put_nowait, piece)
        except Exception as fault:  # noqa: BLE001  it is raised again where the pieces are sent
            self._tell(self._made.put_nowait, fault)
        finally:
            if (close := getattr(pieces, "close", None)) is not None:
                close()
            self._tell(self._made.put_nowait, None)

    def _begin(self, reply: Reply) -> None:
        if not self.head.done():
            self.head.set_result(reply)

    def _tell(self, what: Callable[..., None], fact: object) -> None:
        # A server that ends has no loop any more, and nobody listens.
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(what, fact)


async def send_pieces(
    stream: Stream, begin: Callable[[], Awaitable[None]], receive: Receive, send: Callable[[Any], Awaitable[None]]
) -> None:
    """Send them as they come. A caller that hangs up ends the making of them; a fault ends the answer in the middle,
    which a client sees as a body that was cut off."""

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        stream.leave()

    await begin()
    watcher = asyncio.ensure_future(watch())
    try:
        async for piece in stream.pieces():
            if piece:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    finally:
        watcher.cancel()
        stream.leave()
