"""A load generator on bare sockets: 10 us a request, so that on a core of its own it asks more than any server answers.

    closed: as many requests as connections, each sent when the one before it is answered
    open:   requests at their times (Poisson), answered or not, each on a free connection or else on a new one

Whoever is not answered in time gives up, and hangs up, as clients do. A request that the generator itself could not
send within 10 ms of its time is not sent, and counted: so what is late is the server's doing, and what was asked is
told as it was.
"""

import contextlib
import itertools
import json
import random
import resource
import select
import socket
import sys
import time
from collections import deque
from typing import Final

from own_server import other_core

CONNECTIONS_MAX: Final = 6_000
"""Three times as many as the server has."""

FILL_SECONDS: Final = 1.0
"""In which the queues of a server fill up, as far as its objective lets them."""

LATE_SECONDS_MAX: Final = 0.01
LAST_SECONDS: Final = 3.0
"""For what is still to be answered after the last request."""


BETWEEN: Final = b"\0"
"""Requests that are asked in turn."""


class Caller:
    """Connections to one port, and what became of their requests; each is given up after `patience` seconds."""

    def __init__(self, port: int, requests: bytes, patience: float = 60.0) -> None:
        self.port, self.patience, self.poll = port, patience, select.epoll()
        self.requests = itertools.cycle(requests.split(BETWEEN))
        self.sockets: dict[int, socket.socket] = {}
        self.began: dict[int, float] = {}
        """In the order of their times."""
        self.held: dict[int, bytes] = {}
        self.free: deque[int] = deque()
        self.answers: list[tuple[int, float, float]] = []
        """Of each its status, how long it took, and when it came."""
        self.failed = self.given_up = 0

    def connect(self) -> None:
        opened = socket.socket()
        opened.setblocking(False)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.connect_ex(("127.0.0.1", self.port))
        self.sockets[opened.fileno()] = opened
        self.free.append(opened.fileno())
        self.poll.register(opened, select.EPOLLIN)

    def ask(self) -> None:
        number = self.free.popleft()
        self.began[number] = time.perf_counter()
        self._send(number)

    def listen(self, seconds: float) -> None:
        """Take in what is answered; wait for so long if nothing is."""
        for number, event in self.poll.poll(seconds):
            if event & select.EPOLLOUT:
                self.poll.modify(number, select.EPOLLIN)
                self._send(number)
                continue
            try:
                data = self.sockets[number].recv(65_536)
            except OSError:
                data = b""
            if not data:
                self._lose(number)
                continue
            data = self.held.pop(number, b"") + data
            head, blank, body = data.partition(b"\r\n\r\n")
            head = head.lower()
            if not blank or len(body) < int(head.partition(b"content-length: ")[2].split(b"\r\n")[0]):
                self.held[number] = data
                continue
            if number in self.began:
                now = time.perf_counter()
                self.answers.append((int(head[9:12]), now - self.began.pop(number), now))
            if b"connection: close" in head:
                self._lose(number)
            else:
                self.free.append(number)
        soonest = time.perf_counter() - self.patience
        while self.began and self.began[number := next(iter(self.began))] < soonest:
            del self.began[number]
            self.given_up += 1
            self._lose(number)

    def _send(self, number: int) -> None:
        try:
            self.sockets[number].sendall(next(self.requests))
        except BlockingIOError:
            # Not connected yet.
            self.poll.modify(number, select.EPOLLOUT)
        except OSError:
            self._lose(number)

    def _lose(self, number: int) -> None:
        self.failed += number in self.began
        self.began.pop(number, None)
        self.held.pop(number, None)
        self.poll.unregister(number)
        self.sockets.pop(number).close()
        with contextlib.suppress(ValueError):
            self.free.remove(number)


def closed(caller: Caller, connections: float, seconds: float) -> dict[str, float]:
    for _ in range(int(connections)):
        caller.connect()
    began, worked = time.perf_counter(), time.process_time()
    while (now := time.perf_counter()) < began + seconds:
        while caller.free:
            caller.ask()
        caller.listen(0.05)
    # A server that others have kept from its processor may think of itself as slower than it is, and refuse some.
    good = sum(status == 200 for status, _, _ in caller.answers)
    assert good, caller.answers[-1]
    return {"per_s": good / (now - began), "busy": (time.process_time() - worked) / (now - began)}


def opened(caller: Caller, per_s: float, seconds: float, in_time: float, objective: float) -> dict[str, float]:
    """`in_time`: within how many seconds an answer is of use; nobody waits for longer. `objective`: within how many it
    is wished for. What is answered in a second is counted from when queues are full to when nobody asks any more:
    before and after, there is less to refuse."""
    caller.patience = in_time
    chance = random.Random(3)
    sent = unsent = late = 0
    began = due = time.perf_counter()
    worked = time.process_time()
    while (now := time.perf_counter()) < began + seconds:
        while due <= now:
            if now - due > LATE_SECONDS_MAX:
                late += 1
            elif caller.free or len(caller.sockets) < CONNECTIONS_MAX:
                if not caller.free:
                    caller.connect()
                caller.ask()
                sent += 1
            else:
                unsent += 1
            due += chance.expovariate(per_s)
            # Nobody waits for long until the answers that are there are seen.
            if sent % 16 == 0:
                break
        caller.listen(max(0.0, due - time.perf_counter()))
    busy, full = (time.process_time() - worked) / seconds, seconds - FILL_SECONDS
    ends = time.perf_counter() + LAST_SECONDS
    while caller.began and time.perf_counter() < ends:
        caller.listen(0.05)
    good = sorted(took for status, took, _ in caller.answers if status == 200)
    refused = sorted(took for status, took, _ in caller.answers if status in (429, 503))
    counted = [took for status, took, at in caller.answers if status == 200 and 0 <= at - began - FILL_SECONDS < full]
    return {
        "good_per_s": sum(took <= in_time for took in counted) / full,
        "within_objective_per_s": sum(took <= objective for took in counted) / full,
        "sent_per_s": sent / seconds, "unsent": unsent,
        "late": late, "failed": caller.failed + len(caller.answers) - len(good) - len(refused), "busy": busy,
        "given_up": caller.given_up, "connections": len(caller.sockets),
        "answer_p50_s": _at(good, 0.5), "answer_p99_s": _at(good, 0.99), "refused": len(refused),
        "refusal_p50_s": _at(refused, 0.5), "refusal_p99_s": _at(refused, 0.99), "open": len(caller.began),
    }  # fmt: skip


def _at(took: list[float], share: float) -> float:
    return took[int(share * len(took))] if took else 0.0


if __name__ == "__main__":
    other_core()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    verb, where, *numbers = sys.argv[1:]
    put = {"closed": closed, "open": opened}[verb]
    print(json.dumps(put(Caller(int(where), sys.stdin.buffer.read()), *map(float, numbers))))
