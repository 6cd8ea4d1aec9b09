"""`aias serve`: one port, answered by this very process, until it is told to stop."""

import asyncio
import contextlib
import functools
import gc
import signal
import socket
import threading
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import Any, cast

from uvicorn import Config, Server

from aias.core.catalog import member, members
from aias.core.errors import UserError
from aias.core.events import Event, Watch, nobody
from aias.registry.values import Endpoint
from aias.serving.application import Application
from aias.serving.arrow import ArrowProcess
from aias.serving.bounds import Bounds, within_descriptors
from aias.serving.connection import Connection, sweep
from aias.serving.doors import Doors, Ring, is_loopback
from aias.serving.logs import log_accesses
from aias.serving.metrics import Metrics
from aias.serving.models import Answering
from aias.serving.probes import probes
from aias.serving.protocols.contract import House, WireProtocol
from aias.serving.router import Directory, Router


class PortInUse(UserError):
    code = "serving.port-in-use"


class OpenToAll(UserError):
    code = "serving.open-to-all"


class Gateway:
    """A server that has not started yet. `run` returns after `stop`, or after SIGTERM or SIGINT in the main thread."""

    def __init__(
        self,
        directory: Directory,
        load: Callable[[Endpoint], Answering],
        ring: Callable[[], Ring],
        *,
        hosts: Iterable[str] = (),
        unnamed: str | None = None,
        bounds: Bounds | None = None,
        watch: Watch = nobody,
    ) -> None:
        self.bounds, self.metrics, self.arrow = bounds or Bounds(), Metrics(), ArrowProcess()
        self._ring, self._watch = ring, watch
        self.doors = Doors(ring(), hosts)
        self.router = Router(directory, load, metrics=self.metrics, watch=watch, also=self._take_ring)
        self.metrics.loaded = self.router.loaded
        self.application = self._application(unnamed)
        self._server = _Server(self._config(), self.bounds.sweep_seconds)
        self.metrics.open_connections = lambda: len(self._server.server_state.connections)

    def run(self, listener: socket.socket, *, when_ready: Callable[[], None] = lambda: None) -> None:
        """Load every endpoint, then answer on `listener` until told to stop; finish what has begun."""
        import uvloop

        self.router.refresh()
        poller = threading.Thread(target=self.router.watch, args=(self.bounds.poll_seconds,), name="aias-router")
        poller.start()
        self._server.when_ready = when_ready
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._server.serve(sockets=[listener]))
        finally:
            self.router.stop()
            poller.join()
            self.application.close()
            self.arrow.close()

    def stop(self) -> None:
        """Begin to stop; safe to call from any thread."""
        self._server.should_exit = True

    @property
    def ready(self) -> bool:
        return self.router.ready and not self._server.should_exit

    def _application(self, unnamed: str | None) -> Application:
        router = self.router
        house = House(self.bounds, lambda: self.ready, self.arrow, router.find, router.deployed, unnamed)
        protocols: list[WireProtocol] = [
            member("serving.protocols", name)(house) for name in members("serving.protocols")
        ]
        envelope = member("serving.protocols", "native").envelope
        own = probes(ready=house.ready, metrics=self.metrics)
        return Application(
            [*own, *(route for protocol in protocols for route in protocol.routes())],
            router=self.router,
            doors=self.doors,
            metrics=self.metrics,
            bounds=self.bounds,
            envelopes={"": envelope} | {protocol.prefix: protocol.envelope for protocol in protocols},
        )

    def _config(self) -> Config:
        connection = functools.partial(Connection, bounds=self.bounds, note=self._note)
        return Config(
            cast("Any", self.application),
            http=cast("Any", connection),
            ws="none",
            interface="asgi3",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=cast("int", self.bounds.drain_seconds),
        )

    def _note(self, code: str) -> None:
        self.metrics.refusals[code] += 1

    def _take_ring(self) -> None:
        self.doors.ring = self._ring()


class _Server(Server):
    """uvicorn's, with a sweep over the connections, and an end that is not by the signal that asked for it."""

    def __init__(self, config: Config, sweep_seconds: float) -> None:
        super().__init__(config)
        self.when_ready: Callable[[], None] = lambda: None
        self._sweep_seconds = sweep_seconds

    async def _serve(self, sockets: list[socket.socket] | None = None) -> None:
        sweeper = asyncio.create_task(self._sweep())
        try:
            await super()._serve(sockets)
        finally:
            sweeper.cancel()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.when_ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {each: signal.signal(each, self.handle_exit) for each in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._sweep_seconds)
            sweep(self.server_state.connections, loop.time())


def serve(
    home: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    allowed_hosts: Iterable[str] = (),
    unnamed: str | None = None,
    insecure_http: bool = False,
    access_log: bool = False,
    bounds: Bounds | None = None,
    announce: Watch = nobody,
) -> None:
    """Serve every endpoint of a home until SIGTERM or SIGINT.

    `unnamed`: the endpoint that answers `/invocations`, where requests need not name one. `access_log` writes a line
    for each request to standard error. `announce` is told `serve.first-key` (once in a home's life, with the
    `secret`), `serve.loaded`, `serve.load-failed` and, with the `url`, `serve.ready`. Raises `PortInUse`, `OpenToAll`.
    """
    from aias.access.keys import Keys
    from aias.core.names import Ref
    from aias.registry.registry import Registry

    if not is_loopback(host) and not insecure_http:
        raise OpenToAll(
            f"{host} can be reached from other machines, and keys would travel in the clear",
            hint="put a proxy with TLS before 127.0.0.1, or say `insecure_http` and name the allowed hosts",
        )
    if access_log:
        log_accesses()
    listener = listen(host, port)
    with contextlib.closing(listener), Registry.open(home, watch=announce) as registry:
        keys = Keys(registry.database)
        url = f"http://{_in_url(host)}:{listener.getsockname()[1]}"
        if secret := keys.first():
            announce(Event("serve.first-key", "the first key, shown only now", facts={"secret": secret}))

        def load(endpoint: Endpoint) -> Answering:
            version = registry.version(Ref(endpoint.model, endpoint.number))
            manifest = registry.manifest(version)
            return cast("Answering", member("runtimes", "onnxruntime").load(registry.folder(version), manifest))

        hosts = [*allowed_hosts, *_own_name(host)]
        bounds = within_descriptors(bounds or Bounds())
        gateway = Gateway(registry, load, keys.ring, hosts=hosts, unnamed=unnamed, bounds=bounds, watch=announce)
        ready = Event("serve.ready", f"serving at {url}", facts={"url": url})

        def tell_ready() -> None:
            # What is loaded by now stays: the garbage collector need not look at it again, 20 ms at a time.
            gc.collect()
            gc.freeze()
            announce(ready)

        gateway.run(listener, when_ready=tell_ready)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens, so that a taken port is known before anything is loaded. Raises `PortInUse`.

    Bound alone is not taken: a second server could bind the port too, and would never hear of anyone.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen()
    except OSError as fault:
        listener.close()
        raise PortInUse(
            f"cannot listen on {host}:{port}: {fault.strerror}", hint="choose another port, or 0 for any free one"
        ) from None
    return listener


def _own_name(host: str) -> list[str]:
    return [] if host in ("0.0.0.0", "::") else [_in_url(host)]  # noqa: S104  compared, not bound


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
