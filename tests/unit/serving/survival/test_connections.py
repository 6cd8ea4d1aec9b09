"""A connection is kept from the moment that it is accepted."""

import asyncio
import os
import socket

import pytest
import uvloop

from aias.serving.connections.accepting import Accepting
from aias.serving.survival.connections import KeptConnection
from aias.serving.survival.journal import TEXT_BYTES, Journal, Layout, Pages
from aias.serving.survival.keeper import can_keep

pytestmark = pytest.mark.skipif(not can_keep(), reason="this machine cannot keep connections")


class Silent(asyncio.Protocol):
    """Answers nothing, and says whether its transport is there."""

    slot, skip, at_rest, is_over, has_transport = None, 0, True, False, False

    def connection_made(self, _transport: object) -> None:
        self.has_transport = True


def test_a_connection_is_written_down_before_the_loop_has_a_transport_for_it() -> None:
    pages = Pages.make(Layout(threads=1, slots=4))
    journal, made, seen = Journal(pages), Silent(), list[tuple[int, bool]]()

    def keep(accepted: socket.socket) -> KeptConnection:
        kept = KeptConnection.of(accepted, lambda: made, journal)
        seen.extend((descriptor - accepted.fileno(), made.has_transport) for _, descriptor in pages.descriptors())
        return kept

    async def until_it_is_there(listener: socket.socket) -> None:
        accepting = Accepting(listener, keep)
        while not made.has_transport:
            await asyncio.sleep(0)
        accepting.close()

    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(until_it_is_there(listener))

    assert seen == [(0, False)]


class Refused(Silent):
    """What it reads after the first piece is for nothing."""

    at_rest, come_bytes = False, 0

    def data_received(self, data: bytes) -> None:
        self.come_bytes += len(data)
        self.is_over = True


def test_what_a_refused_client_goes_on_sending_takes_no_memory() -> None:
    pages, refused, sent = Pages.make(Layout(threads=1, slots=4)), Refused(), b"x" * TEXT_BYTES
    journal = Journal(pages)

    async def until_it_has_come(listener: socket.socket, client: socket.socket) -> None:
        accepting = Accepting(listener, lambda accepted: KeptConnection.of(accepted, lambda: refused, journal))
        sending = asyncio.ensure_future(asyncio.to_thread(client.sendall, sent))
        while refused.come_bytes < len(sent):
            await asyncio.sleep(0)
        await sending
        accepting.close()

    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as client,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(until_it_has_come(listener, client))

    assert refused.come_bytes == len(sent)
    assert 512 * os.fstat(pages.descriptor).st_blocks < TEXT_BYTES // 4


class Holding(Silent):
    """Wants nothing more read while it is at the first piece."""

    at_rest = False

    def __init__(self) -> None:
        self.pieces, self.ended, self.line = list[bytes](), asyncio.Event(), asyncio.Transport()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.line = transport

    def data_received(self, data: bytes) -> None:
        self.pieces.append(data)
        if len(self.pieces) == 1:
            self.line.pause_reading()

    def eof_received(self) -> None:
        self.ended.set()


def test_what_comes_behind_a_text_that_was_taken_over_is_not_read_while_its_connection_wants_no_more() -> None:
    pages, holding = Pages.make(Layout(threads=1, slots=4)), Holding()
    journal = Journal(pages)

    async def story(accepted: socket.socket) -> list[bytes]:
        slot, loop = journal.take(), asyncio.get_running_loop()
        assert slot is not None
        slot.text[:5], accepted_at = b"first", accepted.fileno()
        slot.open(accepted_at, start=0, written=0)
        await loop.connect_accepted_socket(lambda: KeptConnection(holding, journal, (slot, 5)), accepted)
        for _ in range(20):
            await asyncio.sleep(0.001)
        before = [*holding.pieces]
        holding.line.resume_reading()
        await holding.ended.wait()
        return before

    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as client,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        client.sendall(b"second")
        client.shutdown(socket.SHUT_WR)
        accepted, _ = listener.accept()
        accepted.setblocking(False)
        before = runner.run(story(accepted))

    assert b"".join(before) in (b"first", b"firstsecond")
    assert (len(before), b"".join(holding.pieces)) == (1, b"firstsecond")
