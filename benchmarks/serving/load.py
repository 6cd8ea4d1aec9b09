"""Closed loop: every connection asks again as soon as it has its answer, and every answer must be the right one.

Raw sockets, one thread, requests whose bytes are made beforehand: some 10 µs of a core for each. What share of its core
the generator needed is told with the result; near 1 it, and not the server, was the bound.
"""

import json
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any, Final

from serving.processes import CLIENT_CORE, Family, pinned

WRONG_BY: Final = 2e-4
"""Between the probability told and that of the graph: some peers round."""

WARM_SECONDS: Final = 0.5
SAID_MAX: Final = 64
"""Of the bodies that were right for a row, so many are remembered: most servers say the same bytes each time."""

Read = Callable[[bytes], float]


class WrongAnswer(Exception):
    """A server under load that answers wrongly has no speed."""


class Connection:
    def __init__(self, address: tuple[str, int], at: int) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.at, self.held, self.began = at, b"", 0.0


class Load:
    def __init__(self, requests: list[bytes], answers: list[float], read: Read) -> None:
        self._requests, self._answers, self._read = requests, answers, read
        self._said: list[set[bytes]] = [set() for _ in requests]

    def run(self, address: tuple[str, int], *, connections: int, seconds: float, token: str) -> dict[str, float]:
        clients = [Connection(address, at % len(self._requests)) for at in range(connections)]
        by_number = {each.socket.fileno(): each for each in clients}
        poll = select.epoll()
        for number in by_number:
            poll.register(number, select.EPOLLIN)
        family = Family(token)
        for each in clients:
            self._ask(each)
        self._until(poll, by_number, time.perf_counter() + WARM_SECONDS)
        spent, own, began = family.seconds(), time.process_time(), time.perf_counter()
        took = self._until(poll, by_number, began + seconds)
        lasted, used = time.perf_counter() - began, time.process_time() - own
        spent = family.seconds() - spent
        for each in clients:
            each.socket.close()
        took.sort()
        return {
            "per_s": len(took) / lasted,
            "p50_ms": 1e3 * took[len(took) // 2],
            "p99_ms": 1e3 * took[len(took) * 99 // 100],
            "cpu_us": 1e6 * spent / len(took),
            "server_share": spent / lasted,
            "client_share": used / lasted,
            "requests": len(took),
            "memory_mb": family.megabytes(),
        }

    def _ask(self, client: Connection) -> None:
        client.at = (client.at + 1) % len(self._requests)
        client.began = time.perf_counter()
        client.socket.sendall(self._requests[client.at])

    def _until(self, poll: "select.epoll", clients: dict[int, Connection], end: float) -> list[float]:
        took: list[float] = []
        now = 0.0
        while now < end:
            for number, _ in poll.poll(10):
                client = clients[number]
                data = client.socket.recv(65_536)
                if not data:
                    raise WrongAnswer("the server hung up")
                body = whole(client.held + data if client.held else data)
                if body is None:
                    client.held += data
                    continue
                client.held = b""
                now = time.perf_counter()
                took.append(now - client.began)
                if body not in self._said[client.at]:
                    self._check(client.at, body)
                self._ask(client)
        return took

    def _check(self, at: int, body: bytes) -> None:
        if not abs(self._read(body) - self._answers[at]) <= WRONG_BY:
            raise WrongAnswer(f"{body[:300]!r} is not {self._answers[at]}")
        if len(self._said[at]) < SAID_MAX:
            self._said[at].add(body)


def whole(data: bytes) -> bytes | None:
    """The body of a response with the status 200; None where it is not all there yet."""
    head, blank, body = data.partition(b"\r\n\r\n")
    if not blank:
        return None
    if head[9:12] != b"200":
        raise WrongAnswer(f"{data[:600]!r}")
    _, _, rest = (low := head.lower()).partition(b"\r\ncontent-length:")
    if rest:
        return body if len(body) == int(rest.partition(b"\r\n")[0]) else None
    assert b"chunked" in low, head
    return _joined(body) if body.endswith(b"0\r\n\r\n") else None


def _joined(body: bytes) -> bytes:
    found = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        found, body = found + body[: int(size, 16)], body[int(size, 16) + 2 :]
    return found


def request(address: tuple[str, int], path: str, body: object, *, key: str = "") -> bytes:
    held = json.dumps(body).encode()
    lines = [f"POST {path} HTTP/1.1", f"Host: {address[0]}:{address[1]}", "Content-Type: application/json"]
    lines += [f"Authorization: Bearer {key}"] if key else []
    return "\r\n".join([*lines, f"Content-Length: {len(held)}", "", ""]).encode() + held


def ask(job: dict[str, Any]) -> dict[str, float]:
    """What `Load.run` found, in a process of its own on the clients' core."""
    with pinned(CLIENT_CORE):
        done = subprocess.run(
            [sys.executable, "-m", "serving.load"], input=json.dumps(job).encode(), stdout=subprocess.PIPE, check=False,
            cwd=Path(__file__).parents[1],
        )  # fmt: skip
    if done.returncode:
        raise WrongAnswer("the load generator gave up; what it said stands above")
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    from serving.systems import SYSTEMS

    job = json.load(sys.stdin)
    system, address = SYSTEMS[job["system"]], ("127.0.0.1", job["port"])
    paths = cycle(job.get("paths", [system.path]))
    requests = [request(address, next(paths), system.body(row), key=job["key"]) for row in job["rows"]]
    load = Load(requests, job["answers"], system.read)
    found = load.run(address, connections=job["connections"], seconds=job["seconds"], token=job["token"])
    print(json.dumps(found))


if __name__ == "__main__":
    main()
