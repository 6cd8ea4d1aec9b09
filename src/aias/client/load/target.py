"""What is sent, and where to: whole requests as bytes, made before the first one goes out."""

import http.client
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import urlsplit

from aias.client.load.errors import NoServer
from aias.core.errors import UserError

_SECONDS: Final = 10.0
"""For one question before the load."""


@dataclass(frozen=True, slots=True)
class Address:
    """`host` as sockets take it, `name` as the Host header has it, `prefix` what comes before every path."""

    host: str
    port: int
    name: str
    prefix: str

    @classmethod
    def parse(cls, url: str) -> "Address":
        """Raises `UserError` on all that is not `http://host[:port][/prefix]`."""
        hint = "write http://127.0.0.1:8000" if "//" in url else f"write http://{url}"
        try:
            parts = urlsplit(url)
            port = parts.port or 80
        except ValueError:
            raise UserError(f"{url!r} is no address", hint=hint) from None
        if parts.scheme == "https":
            raise UserError("load is put on plain HTTP only, TLS would be measured too", hint="name the server itself")
        if parts.scheme != "http" or not parts.hostname or parts.query or parts.username:
            raise UserError(f"{url!r} is no address", hint=hint)
        return cls(parts.hostname, port, parts.netloc, parts.path.rstrip("/"))

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Status and body of one request on a connection of its own. Raises `NoServer`."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=_SECONDS)
        try:
            connection.request(method, self.prefix + path, body, {"Host": self.name, **(headers or {})})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except http.client.RemoteDisconnected as fault:
            raise self._silent(fault) from None
        except (http.client.BadStatusLine, http.client.LineTooLong, http.client.UnknownProtocol):
            said = f"what answers at {self.name} does not speak HTTP/1.1"
            raise NoServer(said, hint="gRPC and TLS have ports of their own") from None
        except (OSError, http.client.HTTPException) as fault:
            raise self._silent(fault) from None
        finally:
            connection.close()

    def found(self) -> tuple[socket.AddressFamily, tuple[object, ...]]:
        """Which of the addresses behind the name somebody listens at. Raises `NoServer`."""
        try:
            with socket.create_connection((self.host, self.port), timeout=_SECONDS) as tried:
                return tried.family, tried.getpeername()
        except OSError as fault:
            raise self._silent(fault) from None

    def _silent(self, fault: Exception) -> NoServer:
        said = str(fault) or type(fault).__name__
        return NoServer(f"{self.name} does not answer: {said}", hint="`aias serve` starts a server")


@dataclass(frozen=True, slots=True)
class Target:
    """`requests` are sent in turn, again and again, to `peer`, the socket's address of a server that is there."""

    family: socket.AddressFamily
    peer: tuple[object, ...]
    requests: tuple[bytes, ...]

    def __post_init__(self) -> None:
        assert self.requests, "something is to be sent"

    @classmethod
    def of(cls, address: Address, path: str, bodies: Iterable[bytes], headers: Mapping[str, str]) -> Self:
        """Raises `NoServer`."""
        head = f"POST {address.prefix}{path} HTTP/1.1\r\nHost: {address.name}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        requests = (f"{head}Content-Length: {len(body)}\r\n\r\n".encode("latin-1") + body for body in bodies)
        return cls(*address.found(), tuple(requests))
