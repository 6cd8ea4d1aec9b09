"""However many callers there are, the loop looks up between two turns."""

import asyncio
from contextlib import ExitStack

from aias.serving.connections.read_budget import ReadBudget
from live_server import live_server

MANY, ROUNDS = 40, 3
BODY = b'[{"age": 50}]'
REQUEST = (
    b"POST /predict/churn HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer all-key\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
)


class Line:
    """A caller who has something to say as long as it is listened to."""

    def __init__(self, budget: ReadBudget) -> None:
        self.budget, self.reads, self.reading, self.closing = budget, 0, True, False

    def is_reading(self) -> bool:
        return self.reading

    def is_closing(self) -> bool:
        return self.closing

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def talk(self, times: int) -> None:
        for _ in range(times):
            if self.reading:
                self.reads += 1
                self.budget.heard(self, self.resume_reading)


def test_who_has_had_its_turn_is_heard_again_in_the_next() -> None:
    async def two_turns() -> tuple[int, int]:
        line = Line(ReadBudget(reads_max=10))
        line.talk(1_000)
        first = line.reads
        await asyncio.sleep(0)
        line.talk(1_000)
        return first, line.reads

    assert asyncio.run(two_turns()) == (11, 22)


def test_a_line_that_closes_is_left_alone() -> None:
    async def turn() -> Line:
        line = Line(ReadBudget(reads_max=1))
        line.closing = True
        line.talk(5)
        return line

    line = asyncio.run(turn())
    assert (line.reads, line.reading) == (5, True)


def test_many_at_once_are_all_answered_and_in_each_round() -> None:
    with live_server() as server, ExitStack() as held:
        server.gateway._budget.reads_max = 4
        clients = [held.enter_context(server.socket()) for _ in range(MANY)]
        for _ in range(ROUNDS):
            for client in clients:
                client.sendall(REQUEST)
            assert all(client.recv(65_536).startswith(b"HTTP/1.1 200 ") for client in clients)
