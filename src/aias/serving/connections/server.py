"""The loop that answers: uvicorn's server, with a sweep, a second port, and two ways to end."""

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Final, Protocol

from uvicorn import Config, Server
from uvicorn.server import logger

from aias.serving.connections.accepting import Accepting, Limit
from aias.serving.connections.timeouts import Sweep

_SWEEPS_TO_HEAR: Final = 3
"""Half a second at least, for a word of who has started it."""

_DATE_SECONDS: Final = 1.0
"""How often the header `date` is written anew."""

_LOOK_SECONDS: Final = 0.01
"""Between two looks at who is still waited for, while the server stops."""


class Second(Protocol):
    """A server on another port of the same loop."""

    async def stop(self) -> None: ...


class LoopServer(Server):
    """uvicorn's, with a sweep over the connections, a second port, and an end that is not by the signal that asked."""

    def __init__(self, config: Config, sweep_seconds: float, expire: Callable[[], None]) -> None:
        self._wake: Callable[[], None] = lambda: None
        super().__init__(config)
        self.when_ready: Callable[[], None] = lambda: None
        self.limit: Limit
        self.newcomer: Callable[[], None] = lambda: None
        self.adopt: Callable[[], None] = lambda: None
        self.leave: Callable[[], Awaitable[None]] | None = None
        self.ends: Callable[[], bool] = lambda: True
        self._leaving, self._sweeps_left = False, 0
        self.open_second: Callable[[], Awaitable[Second]] | None = None
        self._second: Second | None = None
        self._sweep_seconds, self._expire = sweep_seconds, expire

    @property
    def should_exit(self) -> bool:
        return self._should_exit

    @should_exit.setter
    def should_exit(self, ends: bool) -> None:
        """Also from another thread, or the handler of a signal: the loop hears of it at once."""
        self._should_exit = ends
        self._wake()

    async def _serve(self, sockets: list[socket.socket] | None = None) -> None:
        loop, self._woken = asyncio.get_running_loop(), asyncio.Event()
        self._wake = lambda: _call(loop, self._woken.set)
        sweeper = asyncio.create_task(self._sweep())
        try:
            await super()._serve(sockets)
        finally:
            sweeper.cancel()

    async def main_loop(self) -> None:
        """As uvicorn's, which looks ten times a second whether it is to end."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), _DATE_SECONDS)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup([])
        self.servers = [Accepting(each, self._protocol, self.limit, self.newcomer) for each in sockets or ()]  # type: ignore[misc]
        if self.open_second is not None:
            self._second = await self.open_second()
        self.adopt()
        self.when_ready()

    def _protocol(self, accepted: socket.socket) -> asyncio.BaseProtocol:
        kind: Any = self.config.http_protocol_class
        made: asyncio.BaseProtocol = kind(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state, accepted=accepted
        )
        return made

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._leaving and self.leave is not None:
            for server in self.servers:
                server.close()
            if self._second is not None:
                await self._second.stop()
            await self.leave()
        ends = [self._finish(sockets or [])]
        if self._second is not None:
            ends.append(self._second.stop())
        await asyncio.gather(*ends)

    async def _finish(self, sockets: list[socket.socket]) -> None:
        """As uvicorn's, which waits a tenth of a second though nobody is there, and overlooks who has just come."""
        for server in self.servers:
            server.close()
        for each in sockets:
            each.close()
        state, told = self.server_state, set[object]()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.config.timeout_graceful_shutdown):
                while (state.connections or state.tasks or self._is_opening) and not self.force_exit:
                    for connection in state.connections - told:
                        connection.shutdown()
                    told |= state.connections
                    await asyncio.sleep(_LOOK_SECONDS)
        if state.tasks:
            logger.error("%d not answered in the time for stopping, and cut", len(state.tasks))
        for task in state.tasks:
            task.cancel()

    @property
    def _is_opening(self) -> bool:
        return any(each.opening for each in self.servers)  # type: ignore[attr-defined]

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {each: signal.signal(each, self.handle_exit) for each in (signal.SIGTERM, signal.SIGINT)}
        if self.leave is not None:
            before[signal.SIGHUP] = signal.signal(signal.SIGHUP, self._handle_leave)
            signal.signal(signal.SIGTERM, self._handle_end)
        elif signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            # Without a supervisor nobody could go on: its terminal is gone, and it ends well.
            before[signal.SIGHUP] = signal.signal(signal.SIGHUP, self.handle_exit)
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def _handle_leave(self, _signal: int, _frame: object) -> None:
        self._leaving = self.should_exit = True

    def _handle_end(self, which: int, frame: Any) -> None:
        """Who stops the whole server has said so, or says so in a moment, as systemd tells all processes at once. From
        anybody else it is meant for this one only: then another goes on with its connections."""
        if self.ends():
            self.handle_exit(which, frame)
        elif not self._sweeps_left:
            self._sweeps_left = _SWEEPS_TO_HEAR

    def _hear_end(self) -> None:
        if self._sweeps_left:
            self._sweeps_left -= 1
            if self.ends():
                self.should_exit, self._sweeps_left = True, 0
            elif not self._sweeps_left:
                self._leaving = self.should_exit = True

    async def _sweep(self) -> None:
        loop, sweep = asyncio.get_running_loop(), Sweep()
        while True:
            await asyncio.sleep(self._sweep_seconds)
            sweep(self.server_state.connections, loop.time())
            try:
                self._expire()
            except Exception:  # noqa: BLE001  others are looked after all the same
                # It is done again, and connections are looked after in any case.
                logger.exception("requests could not be looked after")
            self._hear_end()


def _call(loop: asyncio.AbstractEventLoop, what: Callable[[], None]) -> None:
    """In the loop, unless that is over."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(what)
