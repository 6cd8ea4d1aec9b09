"""The load generator, in one thread.

    open     arrivals at random times ─▶ an idle connection, else a new one, else wait ─▶ answer ─▶ idle
    closed   every connection asks again as soon as it is answered

Latency counts from the moment for which a request was scheduled, not from when it was sent: a server that stalls for a
second delays every request that was due in that second ("coordinated omission", Gil Tene).
"""

import errno
import gc
import itertools
import math
import select
import selectors
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from threading import Event as Stop
from typing import Final

from aias.client.load.answer import BadAnswer
from aias.client.load.clock import exact_sleeps
from aias.client.load.connection import Connection
from aias.client.load.descriptors import room_for
from aias.client.load.result import Plan, Result
from aias.client.load.schedule import poisson
from aias.client.load.target import Target
from aias.core.errors import UserError

CONNECTIONS_MAX: Final = 1_024
"""Of an open loop. A request that finds all of them busy waits, and the wait counts."""

_READY: Final = 32
"""Connections that an open loop opens at the start; it opens others when these are busy."""

_LOOK_SECONDS: Final = 0.25
"""Between two checks for timeouts."""

_PAUSE_SECONDS: Final = 0.05
"""A pause of a closed loop after a failure: else a server that refuses at once would be asked without end."""

Tick = Callable[[Result, float], None]
"""Called once a second with the result so far and the seconds since the start."""


def put_load(
    target: Target,
    plan: Plan,
    *,
    stop: Stop | None = None,
    tick: Tick | None = None,
    connections_max: int | None = None,
) -> Result:
    """Send requests as planned and wait for the answers. Setting `stop` ends it early with the result so far. Raises
    `UserError` where there may not be so many connections."""
    most, least = (connections_max or CONNECTIONS_MAX, 1) if plan.rate is not None else (plan.connections,) * 2
    with ExitStack() as held:
        held.enter_context(exact_sleeps())
        room = held.enter_context(room_for(most))
        if room < least:
            said = f"{least:,} connections are wanted, and this process may open {room:,} more files"
            raise UserError(said, hint="ask for fewer, or allow more: `ulimit -n`")
        run = _Run(target, plan, stop or Stop(), tick or _nobody, room)
        held.callback(run.close)
        if gc.isenabled():
            held.callback(gc.enable)
            gc.disable()
        return run.go()


def _nobody(_result: Result, _elapsed: float) -> None:
    """A tick that does nothing."""


class _Run:
    def __init__(self, target: Target, plan: Plan, stop: Stop, tick: Tick, connections_max: int) -> None:
        # Before all sockets: `select` takes low numbers only, and it alone sleeps for less than a millisecond.
        self._selector = selectors.DefaultSelector()
        self._target, self._plan, self._stop, self._tick = target, plan, stop, tick
        self._requests = itertools.cycle(target.requests)
        self._closed_loop = plan.rate is None
        self._most = connections_max
        self._connections: set[Connection] = set()
        self._idle: deque[Connection] = deque()
        self._waiting: deque[float] = deque()
        self._paused: deque[float] = deque()
        self._underway = 0
        self.result = Result(plan)

    def go(self) -> Result:
        for _ in range(self._most if self._closed_loop else min(self._most, _READY)):
            self._open(math.inf)
        began = looked = ticked = time.perf_counter()
        computed = time.thread_time()
        self._from = began + self._plan.warm_up
        self._end = self._from + self._plan.seconds
        arrivals = self._arrivals(began)
        due = next(arrivals)
        while True:
            now = time.perf_counter()
            while due <= now:
                self._arrive(due, now)
                due = next(arrivals)
            while self._paused and self._paused[0] <= now < self._end:
                self._arrive(self._paused.popleft(), now)
            if now >= self._end and not self._underway and not self._waiting:
                break
            if now - looked >= _LOOK_SECONDS:
                looked = now
                self._expire(now)
                if self._stop.is_set():
                    self._interrupt(now)
                    break
                if now - ticked >= 1.0:
                    ticked = now
                    self._tick(self._so_far(now), now - began)
            until = min(due, self._end, self._paused[0] if self._paused else math.inf) if now < self._end else math.inf
            for connection, mask in self._events(until, now):
                self._ready(connection, mask)
        self.result.busy = (time.thread_time() - computed) / max(now - began, 1e-9)
        return self._so_far(now)

    def close(self) -> None:
        for connection in list(self._connections):
            self._drop(connection)
        self._selector.close()

    def _arrivals(self, began: float) -> Iterator[float]:
        """When each request is due; after the last one, never."""
        plan = self._plan
        if plan.rate is None:
            yield from itertools.repeat(began, self._most)
        else:
            for at in poisson(plan.rate, plan.warm_up + plan.seconds, seed=plan.seed):
                yield began + at
        yield from itertools.repeat(math.inf)

    def _events(self, until: float, now: float) -> Iterator[tuple[Connection, int]]:
        """Events of the sockets until then, or until the next check for timeouts."""
        seconds = min(until - now, _LOOK_SECONDS)
        if seconds > 0.02:
            found = self._selector.select(seconds - 0.01)
        else:
            if seconds > 0:
                select.select([self._selector], [], [], seconds)
            found = self._selector.select(0)
        return ((key.data, mask) for key, mask in found)

    # One request

    def _arrive(self, intended: float, now: float) -> None:
        if intended >= self._from:
            self.result.sent += 1
            if not self._closed_loop:
                self.result.late.add(now - intended)
        if self._idle:
            self._send(self._idle.popleft(), intended)
        elif len(self._connections) < self._most:
            self._open(intended)
        else:
            self.result.waited += not self._closed_loop
            self._waiting.append(intended)

    def _send(self, connection: Connection, intended: float) -> None:
        if not connection.busy:
            self._underway += 1
        try:
            left = connection.send(next(self._requests), intended)
        except OSError as fault:
            self._fail(connection, _named(fault))
            return
        if left:
            self._selector.modify(connection.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, connection)

    def _ready(self, connection: Connection, mask: int) -> None:
        if connection not in self._connections:
            return
        try:
            if mask & selectors.EVENT_WRITE and not self._write(connection):
                return
            if mask & selectors.EVENT_READ:
                self._read(connection)
        except BadAnswer:
            self._fail(connection, "no HTTP")
        except OSError as fault:
            self._fail(connection, _named(fault))

    def _write(self, connection: Connection) -> bool:
        """Go on with what could not be done at once; whether the connection is still there, and all is sent."""
        if connection.connecting:
            connection.connected()
            self._selector.modify(connection.socket, selectors.EVENT_READ, connection)
            connection.busy = False
            self._underway -= 1
            if math.isinf(connection.intended):
                self._rest(connection)
            else:
                self._send(connection, connection.intended)
        elif connection.left and not connection.send_left():
            self._selector.modify(connection.socket, selectors.EVENT_READ, connection)
        return connection in self._connections and not connection.left

    def _read(self, connection: Connection) -> None:
        data = connection.socket.recv(1 << 16)
        if not data:
            if not connection.busy:
                self._drop(connection)
            elif connection.answer.ended():
                connection.answer.closes = True
                self._answered(connection)
            else:
                self._fail(connection, "closed")
        elif not connection.busy:
            self._drop(connection)
        elif connection.answer.feed(data):
            self._answered(connection)

    def _answered(self, connection: Connection) -> None:
        now = time.perf_counter()
        answer, intended = connection.answer, connection.intended
        connection.busy = False
        self._underway -= 1
        if intended >= self._from and now - connection.since > self._plan.timeout:
            # It would have been given up, had anybody looked.
            self.result.failures["timeout"] += 1
        elif intended >= self._from:
            self._count(now - intended, answer.status, answer.code if answer.status >= 300 else "")
        if answer.closes:
            self._drop(connection)
            self._replace(now)
        else:
            self._rest(connection, now)

    def _count(self, seconds: float, status: int, code: str) -> None:
        result = self.result
        if 200 <= status < 300:
            result.answered.add(seconds)
            if seconds <= self._plan.objective:
                result.good += 1
        else:
            result.refused.add(seconds)
            result.failures[f"{status} {code}".strip()] += 1

    def _rest(self, connection: Connection, now: float | None = None) -> None:
        """What an idle connection does: take who waits, or in a closed loop ask again, or wait itself."""
        if self._waiting:
            self._send(connection, self._waiting.popleft())
        elif self._closed_loop and now is not None and now < self._end:
            if now >= self._from:
                self.result.sent += 1
            self._send(connection, now)
        else:
            self._idle.append(connection)

    def _fail(self, connection: Connection, why: str) -> None:
        intended, busy = connection.intended, connection.busy
        self._drop(connection)
        if not busy:
            return
        self._underway -= 1
        if math.isinf(intended):
            # It had nothing to send yet; who waits for it has nobody else to wait for.
            if not self._waiting:
                return
            intended = self._waiting.popleft()
        if intended >= self._from:
            self.result.failures[why] += 1
        self._replace(time.perf_counter(), failed=True)

    def _replace(self, now: float, *, failed: bool = False) -> None:
        """Of a connection that is gone: who waits gets a new one; in a closed loop its request is asked again."""
        if self._waiting:
            self._open(self._waiting.popleft())
        elif self._closed_loop and now < self._end:
            self._paused.append(now + (_PAUSE_SECONDS if failed else 0.0))

    # Connections

    def _open(self, intended: float) -> None:
        """A new connection, which sends as soon as it can; with no moment for a request it waits for one."""
        connection = Connection(self._target, intended)
        self._connections.add(connection)
        self._underway += 1
        self.result.connections = max(self.result.connections, len(self._connections))
        self._selector.register(connection.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, connection)

    def _drop(self, connection: Connection) -> None:
        if connection in self._connections:
            self._connections.remove(connection)
            self._selector.unregister(connection.socket)
            connection.socket.close()
        if connection in self._idle:
            self._idle.remove(connection)

    def _expire(self, now: float) -> None:
        """Give up what takes too long."""
        latest = now - self._plan.timeout
        for connection in [each for each in self._connections if each.busy and each.since < latest]:
            self._fail(connection, "timeout")
        while self._waiting and self._waiting[0] < latest:
            if self._waiting.popleft() >= self._from:
                self.result.failures["timeout"] += 1

    def _interrupt(self, now: float) -> None:
        """What is still under way does not count."""
        result = self.result
        result.interrupted, result.sent = True, result.answered.count + result.failed
        self._end = min(self._end, now)

    def _so_far(self, now: float) -> Result:
        self.result.seconds = max(0.0, min(now, self._end) - self._from)
        return self.result


def _named(fault: OSError) -> str:
    known = {errno.ECONNREFUSED: "refused", errno.ECONNRESET: "reset", errno.EPIPE: "reset"}
    return known.get(fault.errno or 0, errno.errorcode.get(fault.errno or 0, "failed").lower())
