"""`aias serve`: one port, answered by this very process, until it is told to stop."""

import asyncio
import contextlib
import functools
import gc
import signal
import socket
import threading
from collections.abc import Awaitable, Callable, Generator, Iterable
from pathlib import Path
from typing import Any, Protocol, cast

from uvicorn import Config, Server

from aias.core.catalog import member, members
from aias.core.errors import UserError
from aias.core.events import Event, Watch, nobody
from aias.registry.values import Endpoint
from aias.serving.application import Application
from aias.serving.arrow import ArrowProcess
from aias.serving.bounds import Bounds, SecondPort, within_descriptors
from aias.serving.connection import Connection, sweep
from aias.serving.doors import Doors, Ring, is_loopback
from aias.serving.inference.repository import Control, Repository
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
        bounds: Bounds | None = None,
        watch: Watch = nobody,
        control: Control | None = None,
        second: SecondPort | None = None,
    ) -> None:
        self.bounds, self.metrics, self.arrow = bounds or Bounds(), Metrics(), ArrowProcess()
        self._ring, self._watch = ring, watch
        self.doors = Doors(ring(), hosts)
        self.router = Router(directory, load, metrics=self.metrics, watch=watch, also=self._take_ring)
        self.metrics.loaded = self.router.loaded
        self.application = self._application(Repository(self.router, control))
        self._server = _Server(self._config(), self.bounds.sweep_seconds)
        self.grpc_port: int | None = None
        if second is not None:
            self._server.open_second = functools.partial(self._open_grpc, second)
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

    def _application(self, repository: Repository) -> Application:
        house = House(self.bounds, lambda: self.ready, self.arrow, repository, lambda: self.metrics.statistics)
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

    async def _open_grpc(self, at: SecondPort) -> "Second":
        server = _grpc().GrpcServer(
            self.application, self.doors, self.bounds, ready=lambda: self.ready, note=self._note, shared=at.shared
        )
        try:
            self.grpc_port = await server.start(f"{_in_url(at.host)}:{at.port}")
        except RuntimeError:
            raise _taken(at.host, at.port, "gRPC could not have it") from None
        return cast("Second", server)

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


class Second(Protocol):
    """A server on another port of the same loop."""

    async def stop(self) -> None: ...


class _Server(Server):
    """uvicorn's, with a sweep over the connections, a second port, and an end that is not by the signal that asked."""

    def __init__(self, config: Config, sweep_seconds: float) -> None:
        super().__init__(config)
        self.when_ready: Callable[[], None] = lambda: None
        self.open_second: Callable[[], Awaitable[Second]] | None = None
        self._second: Second | None = None
        self._sweep_seconds = sweep_seconds

    async def _serve(self, sockets: list[socket.socket] | None = None) -> None:
        sweeper = asyncio.create_task(self._sweep())
        try:
            await super()._serve(sockets)
        finally:
            sweeper.cancel()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.open_second is not None:
            self._second = await self.open_second()
        self.when_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        ends = [super().shutdown(sockets)]
        if self._second is not None:
            ends.append(self._second.stop())
        await asyncio.gather(*ends)

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
    grpc_port: int | None = None,
    allowed_hosts: Iterable[str] = (),
    insecure_http: bool = False,
    access_log: bool = False,
    bounds: Bounds | None = None,
    announce: Watch = nobody,
) -> None:
    """Serve every endpoint of a home until SIGTERM or SIGINT.

    `grpc_port` opens a second port, for gRPC; 0 takes any that is free. `access_log` writes a line for each request to
    standard error. `announce` is told `serve.first-key` (once in a home's life, with the `secret`), `serve.loaded`,
    `serve.load-failed` and `serve.ready`, with the `url` and, where there is one, the address of `grpc`. Raises
    `PortInUse`, `OpenToAll`, and `UserError` when gRPC is not installed.
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
    if grpc_port is not None:
        _grpc()
        listen(host, grpc_port).close()
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
        bounds = within_descriptors(bounds or Bounds(), second_port=grpc_port is not None)
        gateway = Gateway(
            registry, load, keys.ring, hosts=hosts, bounds=bounds, watch=announce, control=registry,
            second=None if grpc_port is None else SecondPort(host, grpc_port),
        )  # fmt: skip

        def tell_ready() -> None:
            # What is loaded by now stays: the garbage collector need not look at it again, 20 ms at a time.
            gc.collect()
            gc.freeze()
            announce(_ready(url, host, gateway.grpc_port))

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
        raise _taken(host, port, fault.strerror) from None
    return listener


def _taken(host: str, port: int, why: str | None) -> PortInUse:
    return PortInUse(f"cannot listen on {host}:{port}: {why}", hint="choose another port, or 0 for any free one")


def _grpc() -> Any:
    """The module of the second port. Raises `UserError` without its extra."""
    try:
        from aias.serving.grpc import server
    except ModuleNotFoundError as missing:
        raise UserError(f"gRPC needs `{missing.name}`", hint="pip install 'aias[grpc]'") from None
    return server


def _ready(url: str, host: str, grpc_port: int | None) -> Event:
    if grpc_port is None:
        return Event("serve.ready", f"serving at {url}", facts={"url": url})
    address = f"{_in_url(host)}:{grpc_port}"
    return Event("serve.ready", f"serving at {url}, and over gRPC at {address}", facts={"url": url, "grpc": address})


def _own_name(host: str) -> list[str]:
    return [] if host in ("0.0.0.0", "::") else [_in_url(host)]  # noqa: S104  compared, not bound


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
