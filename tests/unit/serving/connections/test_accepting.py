"""New connections are accepted as they come, however many others the loop has to answer."""

import asyncio
import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import pytest
import uvloop

from aias.serving.connections.accepting import TURN_CONNECTIONS_MAX, Accepting

MANY = 100


@contextmanager
def callers(listener: socket.socket, count: int) -> Iterator[None]:
    with ExitStack() as held:
        for _ in range(count):
            held.enter_context(socket.create_connection(listener.getsockname()))
        yield


def turns_until_all_are_in(listener: socket.socket, count: int, *, turns_max: int) -> int | None:
    """How many turns of the loop it takes to have so many connections; None if more than that."""
    made, told = [], list[None]()

    class Caller(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            made.append(transport)

    async def count_turns() -> int | None:
        accepting = Accepting(listener, lambda _: Caller(), newcomer=partial(told.append, None))
        try:
            for turn in range(turns_max):
                if len(made) == count:
                    assert len(told) == count
                    return turn
                # The loop looks at its sockets between two turns.
                await asyncio.sleep(0)
            return None
        finally:
            accepting.close()
            await accepting.wait_closed()
            for each in made:
                each.abort()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(count_turns())


def test_all_who_have_come_are_let_in_within_a_few_turns_of_the_loop() -> None:
    assert MANY < TURN_CONNECTIONS_MAX
    with socket.create_server(("127.0.0.1", 0), backlog=MANY) as listener, callers(listener, MANY):
        assert turns_until_all_are_in(listener, MANY, turns_max=MANY // 2) is not None


class Full(socket.socket):
    """A machine that has no descriptor left, the first time that it is asked."""

    refused = 0

    def accept(self) -> tuple[socket.socket, object]:
        if not self.refused:
            self.refused += 1
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


def test_without_a_descriptor_nobody_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aias.serving.connections.accepting.PAUSE_SECONDS", 0.0)
    with Full(socket.AF_INET) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with callers(listener, 3):
            assert turns_until_all_are_in(listener, 3, turns_max=10_000) is not None
        assert listener.refused == 1
