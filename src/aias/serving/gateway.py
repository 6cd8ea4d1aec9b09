"""The gateway: a server in one process, put together, run and stopped."""

import asyncio
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

from uvicorn import Config

from aias.access.keys import Keys
from aias.access.ledger import Ledger
from aias.core.atomic_files import read_cached, write_cached
from aias.core.catalog import member, members
from aias.core.cpus import cpus
from aias.core.errors import UserError
from aias.core.events import Watch, nobody
from aias.core.memory import private_bytes
from aias.registry.values import Endpoint
from aias.serving.admission.access_control import AccessControl, KeyVerifier
from aias.serving.admission.key_routes import KeyRoutes
from aias.serving.admission.quotas import Quotas
from aias.serving.application import Application
from aias.serving.batching.executor import Executor
from aias.serving.bounds import Bounds, SecondPort
from aias.serving.connections.busy_polling import BusyPolling
from aias.serving.connections.connection import Connection
from aias.serving.connections.connection_limit import ConnectionLimit
from aias.serving.connections.read_budget import ReadBudget
from aias.serving.connections.server import LoopServer, Second
from aias.serving.connections.write_buffers import WriteBuffers
from aias.serving.formats.arrow import ArrowProcess
from aias.serving.inference.repository import Control, Repository
from aias.serving.observability.metrics import Metrics
from aias.serving.observability.probes import probes
from aias.serving.observability.summed_metrics import WRITE_SECONDS, SummedMetrics
from aias.serving.observability.traces import open_spans
from aias.serving.processes.ports import in_url, taken
from aias.serving.protocols.contract import ServerContext, WireProtocol
from aias.serving.rollout.families import families, held_families
from aias.serving.rollout.routes import Endpoints
from aias.serving.rollout.stage import RolloutStore, Shadows
from aias.serving.survival.adoption import TransferReceiver
from aias.serving.survival.connections import KeptConnection, leave
from aias.serving.survival.isolated_versions import IsolatedVersions, Program
from aias.serving.survival.isolation_needs import SAMPLE_SECONDS, Growth
from aias.serving.survival.journal import Kept
from aias.serving.versions.directory import Directory
from aias.serving.versions.following import Following
from aias.serving.versions.model import Answering
from aias.serving.versions.residency import Residency
from aias.serving.versions.router import Router
from aias.serving.versions.warming import alone

NOTE_SECONDS: Final = 60.0
"""How often the order in which models were last used is saved; the next start loads the latest first."""


class Gateway:
    """A server that has not started yet. `run` returns after `stop`, or after SIGTERM or SIGINT in the main thread.

    - `directory`: the endpoints that are deployed; `load`: loads the model of one
    - `ring`: gives the current keys; `ledger`: gives the quotas that are spent; `hosts`: host names that are accepted
    - `unnamed`: the endpoint for requests that name none
    - `places`: threads for models; `width`: the width of an endpoint's vectors, before it is loaded
    - `sums`: metrics of all workers; `control`: how endpoints are changed; `second`: the port of gRPC
    - `rollouts`, `shadow`: versions on trial, and the process of a shadow
    - `kept`, `program`: the journal of a worker that has a supervisor, and how an isolated process is started
    - `pinned`: models that stay in memory; `asked`: the file of their last use
    - `keys`: the store of keys, to manage them over HTTP
    """

    def __init__(
        self,
        directory: Directory,
        load: Callable[[Endpoint], Answering],
        ring: Callable[[], KeyVerifier],
        *,
        ledger: Callable[[], Ledger],
        hosts: Iterable[str] = (),
        unnamed: str | None = None,
        bounds: Bounds | None = None,
        watch: Watch = nobody,
        places: int | None = None,
        sums: SummedMetrics | None = None,
        control: Control | None = None,
        second: SecondPort | None = None,
        rollouts: RolloutStore | None = None,
        shadow: Shadows | None = None,
        kept: Kept | None = None,
        program: Program | None = None,
        pinned: Iterable[str] = (),
        width: Callable[[Endpoint], int] | None = None,
        asked: Path | None = None,
        keys: Keys | None = None,
        home: Path | None = None,
    ) -> None:
        self.bounds, self.metrics, self.arrow = bounds or Bounds(), Metrics(), ArrowProcess()
        self._ring, self._watch, self._sums, self._wrote_at = ring, watch, sums, 0.0
        self._taking = threading.Lock()
        self._home, self._kept, self._writer = home, kept, ThreadPoolExecutor(1, "aias-sums")
        self.access = AccessControl(ring(), hosts, Quotas(ledger))
        isolated, attended = None, alone
        if kept is not None and program is not None:
            isolated = IsolatedVersions(program, bounds=self.bounds, watch=watch)
            isolated.set(quarantined=kept.quarantined, apart=kept.apart)
            attended = isolated.attended(kept.journal.runs)
        self.router = Router(
            directory, load, metrics=self.metrics, watch=watch, bounds=self.bounds, also=self._take_ring,
            rollouts=rollouts, shadow=shadow, residency=Residency(self.bounds.memory_bytes, frozenset(pinned)),
            asked_before=read_cached(asked, list[str]) or (), width=width,
            attended=attended, suspects=frozenset() if kept is None else kept.suspects,
        )  # fmt: skip
        self._asked, self._noted_at = asked, time.monotonic()
        self._growth, self._sampled_at = Growth(), 0.0
        self._budget = ReadBudget()
        self._unread = WriteBuffers(self.bounds.unread_bytes, self.bounds.unread_seconds, self.metrics.refused)
        runs = None if kept is None else kept.journal.runs
        self.executor = Executor(places=places or cpus(), bounds=self.bounds, metrics=self.metrics, runs=runs)
        self._polling = BusyPolling(self.bounds.busy_poll_seconds, lambda: self.executor.is_running)
        self.callers = KeyRoutes(keys, watch, self._take_ring)
        self.endpoints = Endpoints(self.router, control, rollouts, isolated)
        self.application = self._application(
            Repository(self.router, control, lambda: isolated.quarantined if isolated else ()), unnamed
        )
        self.application.isolated = isolated
        self.grpc_port: int | None = None
        self._server = self._loop_server(kept, second)
        self._fill_metrics(isolated)

    def run(self, *listeners: socket.socket, when_ready: Callable[[], None] = lambda: None) -> None:
        """Load every endpoint, answer on `listeners` until told to stop, then finish the requests that have begun."""
        import uvloop

        following = Following(self.router, watch=self._watch, seconds=self.bounds.poll_seconds, home=self._home)
        following.open()
        self._server.when_ready = when_ready
        try:
            following.begin(self.bounds.first_loads_seconds)
            following.start()
            following.settle()
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._server.serve(sockets=[*listeners]))
        finally:
            following.stop()
            self._note_asked()
            self.router.stage.close()
            if self.application.isolated is not None:
                self.application.isolated.close()
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
        context = ServerContext(
            self.bounds, lambda: self.ready, self.arrow, repository, self._all_metrics,
            router.pointer, router.deployed, router.width, unnamed, router.stage.numbers,
        )  # fmt: skip
        protocols: list[WireProtocol] = [
            member("serving.protocols", name)(context) for name in members("serving.protocols")
        ]
        envelope = member("serving.protocols", "native").envelope
        own = [
            *probes(ready=context.ready, metrics=self._all_metrics),
            *self.endpoints.routes(),
            *self.callers.routes(),
        ]
        return Application(
            [*own, *(route for protocol in protocols for route in protocol.routes())],
            router=self.router,
            access=self.access,
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
        server = grpc_server().GrpcServer(
            self.application,
            self.access,
            self.bounds,
            ready=ready,
            note=note,
            last_words=self.application.last_words,
            look=self.application.catching_up.look,
            step=self.executor.step,
            shared=at.shared,
        )
        try:
            self.grpc_port = await server.start(f"{in_url(at.host)}:{at.port}")
        except RuntimeError:
            raise taken(at.host, at.port, "gRPC could not have it") from None
        return cast("Second", server)

    def _connection(self, **given: Any) -> Connection:
        """A connection, accepted by uvicorn with its own settings, or adopted from another worker."""
        server = self._server
        given = given or {"config": server.config, "server_state": server.server_state, "app_state": {}}
        note, budget, unread = self.metrics.refused, self._budget, self._unread
        return Connection(
            **given, bounds=self.bounds, note=note, answers=self.application, budget=budget, unread=unread,
            polling=self._polling,
        )  # fmt: skip

    def _loop_server(self, kept: Kept | None, second: SecondPort | None) -> LoopServer:
        server = LoopServer(self._config(), self.bounds.sweep_seconds, self._tidy)
        server.newcomer = self.application.newcomer
        server.limit = ConnectionLimit(server.server_state.connections, self.bounds, self.application.last_words)
        if kept is not None:
            receiver = TransferReceiver(
                kept.channel, kept.journal, make=self._connection, note=self._adopted, isolate=self._isolate
            )
            server.adopt, server.leave = receiver.start, self._leave
            server.ends = lambda: kept.journal.pages.ends
        if second is not None:
            server.open_second = partial(self._open_grpc, second)
        return server

    def _fill_metrics(self, isolated: IsolatedVersions | None) -> None:
        """Sources of the metrics that are computed when they are read."""
        metrics, router, connections = self.metrics, self.router, self._server.server_state.connections
        metrics.models_bytes = lambda: (router.held_bytes, router.residency.bytes_max)
        metrics.tiers = lambda: _tiers(router, isolated)
        metrics.loaded = lambda: [*router.loaded(), *router.stage.loaded()]
        metrics.more = lambda: [*families(router.stage), *held_families(isolated.all_held() if isolated else ())]
        metrics.open_connections = lambda: len(connections)

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
        """Periodic work."""
        if self._kept is not None:
            self._kept.journal.runs.beat()
        self.application.tidy()
        self._unread.tidy()
        now = time.monotonic()
        if now - self._noted_at >= NOTE_SECONDS:
            self._noted_at = now
            self._note_asked()
        if (isolated := self.application.isolated) is not None and now - self._sampled_at >= SAMPLE_SECONDS:
            self._sampled_at = now
            self._look_at_memory(isolated)
        if self._sums is not None and now - self._wrote_at >= WRITE_SECONDS:
            self._wrote_at = now
            self._writer.submit(self._sums.written(self.metrics))

    def _look_at_memory(self, isolated: IsolatedVersions) -> None:
        rows: Counter[str] = Counter()
        for (_, version), work in self.metrics.work.items():
            rows[version] += work.rows
        for version in self._growth.look(private_bytes() - self.router.held_bytes, rows):
            if isolated.held(version) is None:
                isolated.move(version, "memory grows with what it answers, and does not stop growing")

    def _note_asked(self) -> None:
        """Save which models the next start loads first."""
        write_cached(self._asked, self.router.by_last_asked())

    def _all_metrics(self) -> Callable[[], Metrics]:
        return self.metrics.later() if self._sums is None else self._sums.totalled(self.metrics)

    async def _leave(self) -> None:
        """Answer the requests that have begun, read no more, and exit without closing connections: others keep them."""
        assert self._kept is not None
        open_ones = [each for each in self._server.server_state.connections if isinstance(each, Connection)]
        await leave(open_ones, self._kept.journal, seconds=self.bounds.drain_seconds)
        self._note_asked()
        if self._sums is not None:
            self._sums.end(self.metrics)
        # An orderly end of the loop would close them.
        os._exit(0)

    def _adopted(self, fate: str) -> None:
        self.metrics.adoptions[fate] += 1

    def _isolate(self, quarantined: frozenset[str], apart: frozenset[str]) -> None:
        self.router.stage.quarantined = quarantined
        if self.application.isolated is not None:
            self.application.isolated.set(quarantined=quarantined, apart=apart)

    def _take_ring(self) -> None:
        # Without the lock an older reading could replace a newer one.
        with self._taking:
            self.access.ring = self._ring()


def _tiers(router: Router, isolated: IsolatedVersions | None) -> list[tuple[str, str]]:
    """Each endpoint in memory, and where its model runs: a version apart, or in quarantine, runs in no tier here."""
    if isolated is None:
        return router.tiers()
    versions = dict(router.loaded())
    return [(name, isolated.held(versions.get(name, "")) or tier) for name, tier in router.tiers()]


def grpc_server() -> Any:
    """The module of the gRPC server. Raises `UserError` if its extra is not installed."""
    try:
        from aias.serving.grpc import server
    except ModuleNotFoundError as missing:
        raise UserError(f"gRPC needs `{missing.name}`", hint="pip install 'aias[grpc]'") from None
    return server
