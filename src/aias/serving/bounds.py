"""What a server allows, as one value: `core/limits.py` says why, a test passes smaller ones."""

import resource
import socket
from dataclasses import dataclass, replace
from typing import Final

from aias.core import limits

_OWN_DESCRIPTORS: Final = 64
"""Beside connections: the database, artifacts being loaded, pipes."""

_MAY_BE_NONE: Final = ("busy_poll_seconds", "cache_bytes", "memory_bytes")


@dataclass(frozen=True, slots=True)
class Bounds:
    """Seconds, bytes and counts, named as in `core/limits.py`."""

    header_seconds: float = limits.HEADER_SECONDS_MAX
    header_bytes: int = limits.HEADER_BYTES_MAX
    body_idle_seconds: float = limits.BODY_IDLE_SECONDS_MAX
    body_seconds: float = limits.BODY_SECONDS_MAX
    body_bytes: int = limits.BODY_BYTES_MAX
    bodies_bytes: int = limits.BODIES_BYTES_MAX
    unread_bytes: int = limits.UNREAD_BYTES_MAX
    unread_seconds: float = limits.UNREAD_SECONDS_MAX
    body_rows: int = limits.BODY_ROWS_MAX
    give_way_seconds: float = limits.GIVE_WAY_SECONDS
    keep_alive_seconds: float = limits.KEEP_ALIVE_SECONDS
    linger_seconds: float = limits.LINGER_SECONDS_MAX
    drain_seconds: float = limits.DRAIN_SECONDS_MAX
    connections: int = limits.CONNECTIONS_MAX
    waiting_requests: int = limits.WAITING_REQUESTS_MAX
    inline_seconds: float = limits.INLINE_SECONDS_MAX
    inline_row_seconds: float = limits.INLINE_ROW_SECONDS_MAX
    busy_poll_seconds: float = limits.BUSY_POLL_SECONDS
    objective_seconds: float = limits.OBJECTIVE_SECONDS
    answer_seconds: float = limits.ANSWER_SECONDS_MAX
    loop_seconds: float = limits.LOOP_SECONDS_MAX
    loading_seconds: float = limits.LOADING_SECONDS_MAX
    first_loads_seconds: float = limits.FIRST_LOADS_SECONDS_MAX
    batch_rows: int = limits.BATCH_ROWS_MAX
    hop_seconds: float = limits.HOP_SECONDS
    light_body_bytes: int = limits.LIGHT_BODY_BYTES
    large_body_bytes: int = limits.LARGE_BODY_BYTES
    light_seconds: float = limits.LIGHT_SECONDS
    grpc_calls: int = limits.GRPC_CALLS_MAX
    grpc_connections: int = limits.GRPC_CONNECTIONS_MAX
    grpc_idle_seconds: float = limits.GRPC_IDLE_SECONDS_MAX
    grpc_watchers: int = limits.GRPC_WATCHERS_MAX
    cache_bytes: int = limits.CACHE_BYTES_MAX
    cache_body_bytes: int = limits.CACHE_BODY_BYTES_MAX
    cache_runs_min: float = limits.CACHE_RUNS_MIN
    memory_bytes: int = 0
    """Of all loaded models; 0 where there is no bound, or half of what there is."""
    workers: int = 1
    """Processes that answer, among which what is mapped is shared."""
    sweep_seconds: float = 0.25
    poll_seconds: float = 0.2

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if getattr(self, name) < 0 or (getattr(self, name) == 0 and name not in _MAY_BE_NONE):
                raise ValueError(f"{name} must be more than 0")


@dataclass(frozen=True, slots=True)
class SecondPort:
    """Where gRPC is answered. `shared`: other processes of the same server listen there too."""

    host: str
    port: int
    shared: bool = False


def share_of(amount: float) -> int:
    """What of it one payer may have."""
    return max(1, int(limits.PAYER_SHARE * amount))


def whose(address: str) -> str:
    """Who is counted under an address. Of IPv6 that is a network of 64 bits: one machine may have all addresses of one
    (RFC 7934)."""
    if ":" not in address or address.startswith("::ffff:"):
        return address
    return socket.inet_pton(socket.AF_INET6, address.partition("%")[0])[:8].hex()


def within_descriptors(bounds: Bounds, *, second_port: bool = False) -> Bounds:
    """The same bounds with no more connections than this process may open; raises its soft limit as far as needed.

    Without it some thousand idle connections, the usual limit, would keep everybody else out.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    own = _OWN_DESCRIPTORS + (bounds.grpc_connections if second_port else 0)
    wanted = bounds.connections + own
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return bounds
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return replace(bounds, connections=max(1, most - own))
