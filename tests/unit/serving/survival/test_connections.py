"""A connection is kept from the moment that it is accepted."""

import asyncio
import socket

import pytest
import uvloop

from aias.serving.accepting import Accepting
from aias.serving.survival.connections import KeptConnection
from aias.serving.survival.journal import Journal, Layout, Pages
from aias.serving.survival.keeper import can_keep

pytestmark = pytest.mark.skipif(not can_keep(), reason="this machine cannot keep connections")


class Silent(asyncio.Protocol):
    """Answers nothing, and says whether its transport is there."""

    slot, skip, at_rest, has_transport = None, 0, True, False

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
