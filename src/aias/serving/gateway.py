"""`aias serve`: one port, answered by this very process, until it is told to stop."""

import asyncio
import contextlib
import gc
import math
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

from uvicorn import Config

from aias.access.ledger import Ledger
from aias.core.catalog import member, members
from aias.core.cpus import cpus
from aias.core.errors import UserError
from aias.core.events import Event, Watch, nobody
from aias.core.kept import keep
from aias.core.kept import kept as kept_in
from aias.core.limits import MEMORY_SHARE
from aias.core.memory import memory_bytes
from aias.registry.values import Endpoint
from aias.serving.application import Application
from aias.serving.arrow import ArrowProcess
from aias.serving.bounds import Bounds, SecondPort, within_descriptors
from aias.serving.connection import Connection
from aias.serving.doors import Doors, Ring, is_loopback
from aias.serving.executor import Executor
from aias.serving.inference.repository import Control, Repository
from aias.serving.logs import log_accesses
from aias.serving.metrics import Metrics
from aias.serving.models import Answering
from aias.serving.ports import bound, in_url, listen, taken
from aias.serving.probes import probes
from aias.serving.protocols.contract import House, WireProtocol
from aias.serving.quotas import Quotas
from aias.serving.residence import EVERY, Residence
from aias.serving.rollout.families import families
from aias.serving.rollout.routes import Endpoints
from aias.serving.rollout.shadow import shadows_of
from aias.serving.rollout.stage import Book, Shadows
from aias.serving.room import Room
from aias.serving.router import Directory, Router
from aias.serving.server import LoopServer, Second
from aias.serving.sums import WRITE_SECONDS, Sums
from aias.serving.supervisor import WORKERS_MAX, supervise
from aias.serving.survival.adoption import Adopter
from aias.serving.survival.connections import KeptConnection, leave
from aias.serving.survival.journal import Kept
from aias.serving.survival.suspects import Program, Suspects
from aias.serving.traces import open_spans
from aias.serving.turns import Turns
from aias.serving.unnamed import look_for

NOTE_SECONDS: Final = 60.0
"""Between two notes of which models were asked last; a start without one loads others first."""

ASKED: Final = "cache/asked.json"
"""In the home."""


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
        ledger: Callable[[], Ledger],
        hosts: Iterable[str] = (),
        unnamed: str | None = None,
        bounds: Bounds | None = None,
        watch: Watch = nobody,
        places: int | None = None,
        sums: Sums | None = None,
        control: Control | None = None,
        second: SecondPort | None = None,
        book: Book | None = None,
        shadow: Shadows | None = None,
        kept: Kept | None = None,
        program: Program | None = None,
        pinned: Iterable[str] = (),
        width: Callable[[Endpoint], int] | None = None,
        asked: Path | None = None,
    ) -> None:
        self.bounds, self.metrics, self.arrow = bounds or Bounds(), Metrics(), ArrowProcess()
        self._ring, self._watch, self._sums, self._wrote_at = ring, watch, sums, 0.0
        self._kept, self._writer = kept, ThreadPoolExecutor(1, "aias-sums")
        if sums is not None:
            sums.carry_on(self.metrics)
        self.doors = Doors(ring(), hosts, Quotas(ledger))
        suspects = None
        if kept is not None and program is not None:
            suspects = Suspects(program, bounds=self.bounds, watch=watch)
            suspects.set(quarantined=kept.quarantined, apart=kept.apart)
            load = suspects.marked(load, kept.journal.runs)
        self.router = Router(
            directory, load, metrics=self.metrics, watch=watch, bounds=self.bounds, also=self._take_ring,
            book=book, shadow=shadow, residence=Residence(self.bounds.memory_bytes, frozenset(pinned)),
            asked_before=kept_in(asked, list[str]) or (), width=width,
        )  # fmt: skip
        self._asked, self._noted_at = asked, time.monotonic()
        self.metrics.models_bytes = lambda: (self.router.held_bytes, self.router.residence.bytes_max)
        self.metrics.tiers = self.router.tiers
        self._turns = Turns()
        self.metrics.loaded = lambda: [*self.router.loaded(), *self.router.stage.loaded()]
        self.metrics.more = lambda: families(self.router.stage)
        runs = None if kept is None else kept.journal.runs
        self.executor = Executor(places=places or cpus(), bounds=self.bounds, metrics=self.metrics, runs=runs)
        self.endpoints = Endpoints(self.router, control, book)
        self.application = self._application(Repository(self.router, control), unnamed)
        self.application.suspects = suspects
        self._server = LoopServer(self._config(), self.bounds.sweep_seconds, self._tidy)
        self._server.room = Room(self._server.server_state.connections, self.bounds, self.metrics.refused)
        if kept is not None:
            adopter = Adopter(
                kept.channel, kept.journal, make=self._connection, note=self._adopted, suspect=self._suspect
            )
            self._server.adopt, self._server.leave = adopter.start, self._leave
        self.grpc_port: int | None = None
        if second is not None:
            self._server.open_second = partial(self._open_grpc, second)
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
            self._note_asked()
            self.router.stage.close()
            self.application.close()
            self._writer.shutdown()
            self.arrow.close()

    def stop(self) -> None:
        """Begin to stop; safe to call from any thread."""
        self._server.should_exit = True

    @property
    def ready(self) -> bool:
        return self.router.ready and not self._server.should_exit

    def _application(self, repository: Repository, unnamed: str | None) -> Application:
        router = self.router
        house = House(
            self.bounds, lambda: self.ready, self.arrow, repository, self._all_metrics,
            router.pointer, router.deployed, router.width, unnamed,
        )  # fmt: skip
        protocols: list[WireProtocol] = [
            member("serving.protocols", name)(house) for name in members("serving.protocols")
        ]
        envelope = member("serving.protocols", "native").envelope
        own = [*probes(ready=house.ready, metrics=self._all_metrics), *self.endpoints.routes()]
        return Application(
            [*own, *(route for protocol in protocols for route in protocol.routes())],
            router=self.router,
            doors=self.doors,
            metrics=self.metrics,
            bounds=self.bounds,
            envelopes={"": envelope} | {protocol.prefix: protocol.envelope for protocol in protocols},
            executor=self.executor,
            watch=self._watch,
            runs=None if self._kept is None else self._kept.journal.runs,
            spans=open_spans(self._watch),
        )

    async def _open_grpc(self, at: SecondPort) -> "Second":
        note, ready = self.metrics.refused, lambda: self.ready
        server = _grpc().GrpcServer(self.application, self.doors, self.bounds, ready=ready, note=note, shared=at.shared)
        try:
            self.grpc_port = await server.start(f"{in_url(at.host)}:{at.port}")
        except RuntimeError:
            raise taken(at.host, at.port, "gRPC could not have it") from None
        return cast("Second", server)

    def _connection(self, **given: Any) -> Connection:
        """As for one that was accepted; uvicorn gives of its own what a connection needs."""
        server = self._server
        given = given or {"config": server.config, "server_state": server.server_state, "app_state": {}}
        note, turns = self.metrics.refused, self._turns
        return Connection(**given, bounds=self.bounds, note=note, answers=self.application, turns=turns)

    def _config(self) -> Config:
        def connection(*, accepted: socket.socket, **given: Any) -> asyncio.BaseProtocol:
            make = partial(self._connection, **given)
            return make() if self._kept is None else KeptConnection.of(accepted, make, self._kept.journal)

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

    def _tidy(self) -> None:
        """What is done now and then."""
        self.application.tidy()
        now = time.monotonic()
        if now - self._noted_at >= NOTE_SECONDS:
            self._noted_at = now
            self._note_asked()
        if self._sums is not None and now - self._wrote_at >= WRITE_SECONDS:
            self._wrote_at = now
            self._writer.submit(self._sums.written(self.metrics))

    def _note_asked(self) -> None:
        """Which models the next start loads first."""
        keep(self._asked, self.router.by_last_asked())

    def _all_metrics(self) -> Callable[[], Metrics]:
        return self.metrics.later() if self._sums is None else self._sums.totalled(self.metrics)

    async def _leave(self) -> None:
        """Answer what has begun, read nothing more, and end without closing a connection: the next worker has them."""
        assert self._kept is not None
        open_ones = [each for each in self._server.server_state.connections if isinstance(each, Connection)]
        await leave(open_ones, self._kept.journal, seconds=self.bounds.drain_seconds)
        self._note_asked()
        if self._sums is not None:
            self._sums.end(self.metrics)
        # The loop, ending, would close them.
        os._exit(0)

    def _adopted(self, fate: str) -> None:
        self.metrics.adoptions[fate] += 1

    def _suspect(self, quarantined: frozenset[str], apart: frozenset[str]) -> None:
        if self.application.suspects is not None:
            self.application.suspects.set(quarantined=quarantined, apart=apart)

    def _take_ring(self) -> None:
        self.doors.ring = self._ring()


def serve(
    home: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    workers: int = 1,
    supervised: bool = False,
    grpc_port: int | None = None,
    allowed_hosts: Iterable[str] = (),
    unnamed: str | None = None,
    insecure_http: bool = False,
    access_log: float = 0.0,
    pinned: Iterable[str] = (),
    bounds: Bounds | None = None,
    announce: Watch = nobody,
) -> None:
    """Serve every endpoint of a home until SIGTERM or SIGINT, with as many processes as there are `workers`.

    `supervised`: also a single worker is watched by another process, so that it may die and its connections stay.
    `grpc_port` opens a second port, for gRPC; 0 takes any that is free. `unnamed`: the endpoint that answers
    `/invocations`, where requests need not name one. `access_log`: the share of requests of which standard error gets
    a line. `pinned`: endpoints that are always in memory, `*` for all; of the others as many as `bounds.memory_bytes`
    hold, half of what there is where that is 0. `announce` is told `serve.first-key` (once in a home's life, with the
    `secret`), `serve.loaded`, `serve.load-failed` and `serve.ready`, with the `url` and, where there is one, the
    address of `grpc`. Raises `PortInUse`, `OpenToAll`, `WorkerFailed`, and `UserError` when gRPC is not installed.
    """
    from aias.access.keys import Keys

    if not is_loopback(host) and not insecure_http:
        raise OpenToAll(
            f"{host} can be reached from other machines, and keys would travel in the clear",
            hint="put a proxy with TLS before 127.0.0.1, or say `insecure_http` and name the allowed hosts",
        )
    if not 1 <= workers <= WORKERS_MAX:
        raise UserError(f"{workers} workers; at least 1 and at most {WORKERS_MAX} can serve", hint="one a processor")
    hosts, pinned = [*allowed_hosts, *_own_name(host)], [*pinned]
    bounds = bounds or Bounds()
    if not bounds.memory_bytes and not math.isinf(there := memory_bytes()):
        bounds = replace(bounds, memory_bytes=int(there * MEMORY_SHARE))
    second = None if grpc_port is None else _second(host, grpc_port, shared=supervised or workers > 1)
    with contextlib.closing(listen(host, port)) as listener:
        port = listener.getsockname()[1]
        if second is not None and second.port == port:
            # The kernel would let sockets that share a port have it both, and give every caller to one of them.
            raise taken(host, port, "HTTP and gRPC need a port each")
        with contextlib.closing(Keys.open(home)) as keys:
            look_for(unnamed, keys.database, announce)
            for name in sorted({*pinned} - {EVERY}):
                look_for(name, keys.database, announce, what="to be kept in memory")
            if secret := keys.first():
                announce(Event("serve.first-key", "the first key, shown only now", facts={"secret": secret}))
        ready = _ready(f"http://{in_url(host)}:{port}", workers, second)
        if workers == 1 and not supervised:
            if access_log:
                log_accesses(access_log)
            answer_on(
                listener, home, hosts=hosts, unnamed=unnamed, bounds=bounds, announce=announce,
                when_ready=lambda: announce(ready), second=second, pinned=pinned,
            )  # fmt: skip
            return
    # Its port was free a moment ago, which sockets that share a port could not have told.
    with contextlib.ExitStack() as held:
        for each in (port, *([second.port] if second else [])):
            held.enter_context(contextlib.closing(bound(host, each, shared=True)))
        supervise(
            home, workers=workers, hosts=hosts, unnamed=unnamed, access_log=access_log, bounds=bounds,
            announce=announce, listen=lambda: listen(host, port, shared=True), when_ready=lambda: announce(ready),
            second=second, pinned=pinned,
        )  # fmt: skip


def answer_on(
    listener: socket.socket,
    home: Path,
    *,
    hosts: Iterable[str],
    bounds: Bounds,
    announce: Watch,
    when_ready: Callable[[], None],
    unnamed: str | None = None,
    places: int | None = None,
    sums: Sums | None = None,
    second: SecondPort | None = None,
    folder: Path | None = None,
    first: bool = True,
    kept: Kept | None = None,
    pinned: Iterable[str] = (),
) -> None:
    """Answer for every endpoint of a home in this very process, until told to stop."""
    from aias.access.keys import Keys
    from aias.registry.registry import Registry
    from aias.serving.loading import loader, width_in

    with Registry.open(home, watch=announce) as registry:
        gateway = Gateway(
            registry, loader(registry, home, announce), Keys(registry.database).ring, ledger=partial(Ledger.open, home),
            hosts=hosts, unnamed=unnamed, watch=announce, places=places, sums=sums, control=registry, second=second,
            bounds=within_descriptors(bounds, second_port=second is not None), book=(book := registry.rollouts),
            shadow=shadows_of(home, book, folder=folder, first=first), kept=kept,
            program=lambda version: ("-m", "aias.serving.survival.apart_process", os.fspath(home), version),
            pinned=pinned, width=partial(width_in, registry), asked=home / ASKED,
        )  # fmt: skip

        def tell_ready() -> None:
            # What is loaded by now stays: the garbage collector need not look at it again, 20 ms at a time.
            gc.collect()
            gc.freeze()
            when_ready()

        gateway.run(listener, when_ready=tell_ready)


def _second(host: str, port: int, *, shared: bool) -> SecondPort:
    """Where gRPC will be, when the port is free and gRPC is there."""
    _grpc()
    with contextlib.closing(listen(host, port)) as free:
        return SecondPort(host, free.getsockname()[1], shared)


def _grpc() -> Any:
    """The module of the second port. Raises `UserError` without its extra."""
    try:
        from aias.serving.grpc import server
    except ModuleNotFoundError as missing:
        raise UserError(f"gRPC needs `{missing.name}`", hint="pip install 'aias[grpc]'") from None
    return server


def _ready(url: str, workers: int, second: SecondPort | None) -> Event:
    facts: dict[str, object] = {"url": url, "workers": workers}
    if second is None:
        return Event("serve.ready", f"serving at {url}", facts=facts)
    address = f"{in_url(second.host)}:{second.port}"
    return Event("serve.ready", f"serving at {url}, and over gRPC at {address}", facts=facts | {"grpc": address})


def _own_name(host: str) -> list[str]:
    return [] if host in ("0.0.0.0", "::") else [in_url(host)]  # noqa: S104  compared, not bound
