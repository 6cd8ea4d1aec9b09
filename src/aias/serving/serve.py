"""`aias serve`: what it needs is looked for first, then one process answers, or several that are watched over."""

import contextlib
import math
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Final

from aias.access.ledger import Ledger
from aias.core.cpus import cpus
from aias.core.errors import UserError
from aias.core.events import Event, Watch, nobody
from aias.core.limits import MEMORY_SHARE
from aias.core.memory import memory_bytes
from aias.serving.admission.access_control import is_loopback
from aias.serving.bounds import Bounds, SecondPort, within_descriptors
from aias.serving.gateway import Gateway, grpc_server
from aias.serving.observability.logs import log_accesses
from aias.serving.observability.summed_metrics import SummedMetrics
from aias.serving.processes.control_socket import FOLDER, ControlSocket, name_of
from aias.serving.processes.garbage import collect_by_time
from aias.serving.processes.notify import notify_ready
from aias.serving.processes.orders import Orders
from aias.serving.processes.ports import PortInUse, bound, in_url, listen, taken
from aias.serving.processes.succession import Predecessor
from aias.serving.processes.supervisor import WORKERS_MAX, Supervisor
from aias.serving.rollout.shadow import shadows_of
from aias.serving.survival.journal import Kept
from aias.serving.survival.keeper import can_keep
from aias.serving.versions.named_endpoints import look_for
from aias.serving.versions.residency import EVERY

SWITCH_SECONDS: Final = 0.0005
"""How long a thread keeps the interpreter while another waits for it; of itself Python says 5 ms. A body of megabytes
is read for 50 ms, and the event loop wants the interpreter anew in each of its turns."""

ASKED: Final = "cache/asked.json"
"""In the home."""


class OpenToAll(UserError):
    """The address can be reached from other machines, and keys would travel unencrypted."""

    code = "serving.open-to-all"


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
    replacing: bool = False,
    bounds: Bounds | None = None,
    announce: Watch = nobody,
) -> None:
    """Serve every endpoint of a home until SIGTERM or SIGINT, with as many processes as there are `workers`.

    `supervised`: also a single worker is watched by another process, so that it may die and its connections stay.
    `grpc_port` opens a second port, for gRPC; 0 takes any that is free. `unnamed`: the endpoint that answers
    `/invocations`, where requests need not name one. `access_log`: the share of requests of which standard error gets
    a line. `pinned`: endpoints that are always in memory, `*` for all; of the others as many as `bounds.memory_bytes`
    hold, half of what there is where that is 0. `replacing`: the supervised server of this home on this port, if there
    is one, leaves its place and its connections to this one. `announce` is told `serve.first-key` (once in a home's
    life, with the `secret`), `serve.loaded`, `serve.load-failed` and `serve.ready`, with the `url` and, where there is
    one, the address of `grpc`. Raises `PortInUse`, `OpenToAll`, `WorkerFailed`, `Deaf`, `Succeeding`, and `UserError`
    when gRPC is not installed.
    """
    alone = workers == 1 and not supervised
    _check(host, port, workers, insecure_http=insecure_http, alone=alone, replacing=replacing)
    hosts, pinned = [*allowed_hosts, *_own_name(host)], [*pinned]
    bounds = bounds or Bounds()
    if not bounds.memory_bytes and not math.isinf(there := memory_bytes()):
        bounds = replace(bounds, memory_bytes=int(there * MEMORY_SHARE))
    with contextlib.ExitStack() as held:
        before = Predecessor.find(home, host, port) if replacing else None
        if before is not None:
            held.callback(before.close)
        second = None
        if grpc_port is not None:
            second = _second(host, grpc_port, shared=not alone, ours=before is not None and before.second == grpc_port)
        first = contextlib.nullcontext() if before is not None else _taken(home, host, port)
        with first as listener:
            port = port if listener is None else listener.getsockname()[1]
            if second is not None and second.port == port:
                # The kernel would let sockets that share a port have it both, and give every caller to one of them.
                raise taken(host, port, "HTTP and gRPC need a port each")
            _look_at_home(home, unnamed, pinned, announce)
            ready = partial(_tell_ready, announce, f"http://{in_url(host)}:{port}", workers, second)
            if alone and listener is not None:
                if access_log:
                    log_accesses(access_log)
                answer_on(
                    [listener], home, hosts=hosts, unnamed=unnamed, bounds=bounds, announce=announce,
                    when_ready=ready, second=second, pinned=pinned,
                )  # fmt: skip
                return
        # Its port was free a moment ago, which sockets that share a port could not have told.
        for each in (port, *([second.port] if second else [])):
            held.enter_context(contextlib.closing(bound(host, each, shared=True)))
        orders = Orders(
            os.fspath(home), hosts, access_log, asdict(_shared_out(bounds, workers)), max(1, cpus() // workers),
            second=second, unnamed=unnamed, pinned=pinned,
        )  # fmt: skip
        _supervise(orders, host, port, workers=workers, before=before, announce=announce, ready=ready)


def answer_on(
    listeners: Sequence[socket.socket],
    home: Path,
    *,
    hosts: Iterable[str],
    bounds: Bounds,
    announce: Watch,
    when_ready: Callable[[], None],
    unnamed: str | None = None,
    places: int | None = None,
    sums: SummedMetrics | None = None,
    second: SecondPort | None = None,
    folder: Path | None = None,
    first: bool = True,
    kept: Kept | None = None,
    pinned: Iterable[str] = (),
) -> None:
    """Answer for every endpoint of a home in this very process, until told to stop."""
    sys.setswitchinterval(SWITCH_SECONDS)
    from aias.access.keys import Keys
    from aias.registry.registry import Registry
    from aias.serving.versions.loading import loader, width_in

    # A worker that comes later, when the disk of the home has gone, would find in a new one no key of its callers.
    with Registry.open(home, watch=announce, make=False) as registry:
        keys = Keys(registry.database)
        gateway = Gateway(
            registry, loader(registry, home, announce), keys.ring, keys=keys, ledger=partial(Ledger.open, home),
            hosts=hosts, unnamed=unnamed, watch=announce, places=places, sums=sums, second=second,
            control=registry,
            bounds=within_descriptors(bounds, second_port=second is not None), rollouts=(rollouts := registry.rollouts),
            shadow=shadows_of(home, rollouts, folder=folder, first=first), kept=kept,
            program=lambda version: ("-m", "aias.serving.survival.isolated_process", os.fspath(home), version),
            pinned=pinned, width=partial(width_in, registry), asked=home / ASKED, home=home,
        )  # fmt: skip

        def tell_ready() -> None:
            collect_by_time()
            when_ready()

        gateway.run(*listeners, when_ready=tell_ready)


def _check(host: str, port: int, workers: int, *, insecure_http: bool, alone: bool, replacing: bool) -> None:
    """Raises `OpenToAll`, `UserError`."""
    if not is_loopback(host) and not insecure_http:
        raise OpenToAll(
            f"{host} can be reached from other machines, and keys would travel in the clear",
            hint="put a proxy with TLS in front of 127.0.0.1, or insist: --insecure-http and --allowed-host NAME",
        )
    if not 1 <= workers <= WORKERS_MAX:
        raise UserError(
            f"{workers} workers; at least 1 and at most {WORKERS_MAX} can serve", hint="auto: one per processor"
        )
    if replacing and (alone or not port or not can_keep()):
        raise UserError(
            "replacing another server needs a port, a supervisor (not `--workers 0`) and Linux",
            hint="name the port of the server that is there",
        )


def _look_at_home(home: Path, unnamed: str | None, pinned: Iterable[str], announce: Watch) -> None:
    """Whether what is named is there; and its first key, where there is none yet."""
    from aias.access.keys import Keys

    with contextlib.closing(Keys.open(home)) as keys:
        look_for(unnamed, keys.database, announce)
        for name in sorted({*pinned} - {EVERY}):
            look_for(name, keys.database, announce, what="to be kept in memory")
        if secret := keys.first():
            announce(Event("serve.first-key", "the first key, shown only now", facts={"secret": secret}))


def _supervise(
    orders: Orders, host: str, port: int, *, workers: int, before: Predecessor | None, announce: Watch,
    ready: Callable[[], None],
) -> None:  # fmt: skip
    """Watch over workers, who keep their counts where the server `before` them did, if that lets them."""
    given = before is not None and _is_ours(before.folder)
    folder = before.folder if before is not None and given else tempfile.mkdtemp(prefix="aias-")
    supervisor = Supervisor(
        replace(orders, folder=folder), workers=workers, listen=lambda: listen(host, port, shared=True),
        announce=announce, control_socket=ControlSocket(Path(orders.home), host, port) if can_keep() else None,
        predecessor=before,
    )  # fmt: skip
    try:
        supervisor.run(ready)
    finally:
        # Whoever goes on keeps the counts: another that has come, or the one before, which has not gone yet.
        if not supervisor.handover.leaving and not (given and supervisor.handover.inherits):
            shutil.rmtree(folder, ignore_errors=True)


def _taken(home: Path, host: str, port: int) -> "contextlib.closing[socket.socket]":
    """The first socket. Raises `PortInUse`."""
    try:
        return contextlib.closing(listen(host, port))
    except PortInUse as fault:
        if (home / FOLDER / name_of(host, port)).exists():
            hint = "choose another port; or `--replace` takes the place of the server that is there"
            raise PortInUse(fault.message, hint=hint) from None
        raise


def _shared_out(bounds: Bounds, workers: int) -> Bounds:
    """What one of several may have of what a machine has."""
    return replace(
        bounds,
        bodies_bytes=max(bounds.body_bytes, bounds.bodies_bytes // workers),
        unread_bytes=max(bounds.body_bytes, bounds.unread_bytes // workers),
        cache_bytes=bounds.cache_bytes // workers,
        memory_bytes=bounds.memory_bytes // workers,
        workers=workers,
    )


def _second(host: str, port: int, *, shared: bool, ours: bool) -> SecondPort:
    """Where gRPC will be, when the port is free, or `ours`, and gRPC is there."""
    grpc_server()
    if ours:
        return SecondPort(host, port, shared)
    with contextlib.closing(listen(host, port)) as free:
        return SecondPort(host, free.getsockname()[1], shared)


def _is_ours(folder: str) -> bool:
    """Whether counts may go on in a folder that another server has told."""
    path = Path(folder)
    return bool(folder) and path.is_dir() and path.stat().st_uid == os.geteuid()


def _tell_ready(announce: Watch, url: str, workers: int, second: SecondPort | None) -> None:
    facts: dict[str, object] = {"url": url, "workers": workers}
    said = f"serving at {url}"
    if second is not None:
        facts["grpc"] = address = f"{in_url(second.host)}:{second.port}"
        said += f", and over gRPC at {address}"
    announce(Event("serve.ready", said, facts=facts))
    notify_ready()


def _own_name(host: str) -> list[str]:
    return [] if host in ("0.0.0.0", "::") else [in_url(host)]  # noqa: S104  compared, not bound
