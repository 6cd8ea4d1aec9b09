"""The sockets that a server listens on, and what it says when it cannot have one."""

import socket
from typing import Final

from aias.core.errors import UserError

_BACKLOG: Final = 2_048
"""Callers that the kernel keeps until they are accepted; it may allow fewer."""


class PortInUse(UserError):
    """The server cannot listen on the address."""

    code = "serving.port-in-use"


def listen(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A socket that listens, so that a taken port is known before anything is loaded. `shared`: with others of ours.

    Bound alone is not taken: a second server could bind the port too, and would never hear of anyone. Raises
    `PortInUse`.
    """
    listener = bound(host, port, shared=shared)
    try:
        listener.listen(_BACKLOG)
    except OSError as fault:
        listener.close()
        raise taken(host, port, fault.strerror) from None
    return listener


def bound(host: str, port: int, *, shared: bool) -> socket.socket:
    """One that does not listen yet. Raises `PortInUse`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((host, port))
    except OSError as fault:
        listener.close()
        raise taken(host, port, fault.strerror) from None
    return listener


def taken(host: str, port: int, why: str | None) -> PortInUse:
    """Why a port cannot be had."""
    return PortInUse(f"cannot listen on {host}:{port}: {why}", hint="choose another port, or 0 for any free one")


def in_url(host: str) -> str:
    """An address as URLs have it."""
    return f"[{host}]" if ":" in host else host
