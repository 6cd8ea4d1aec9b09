"""One request on one connection, with whatever headers and bytes a check wants to send."""

import http.client
import json
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from aias.testing.inference_v2.checks import Failed

Headers = Iterable[tuple[str, str]]

ANSWER_BYTES_MAX: Final = 256 << 20
"""Far more than any that a check asks for."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`headers` by lower-case name; the body as it came."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON in the strict sense: no NaN, no Infinity."""
        return strict_json(self.body)

    @property
    def error(self) -> str:
        """The words of a refusal. Raises `Failed` unless it is a 4xx or 501 with `{"error": "..."}`."""
        if not 400 <= self.status < 500 and self.status != 501:
            raise Failed(f"expected a refusal (4xx); came {self}")
        found = self.json
        if not isinstance(found, dict) or not isinstance(found.get("error"), str) or not found["error"]:
            raise Failed(f'expected the body {{"error": "<text>"}}; came {self}')
        return str(found["error"])

    def __str__(self) -> str:
        return f"{self.status} {self.body[:200].decode('utf-8', 'replace')!r}"


def strict_json(body: bytes) -> Any:
    try:
        return json.loads(body, parse_constant=_refuse)
    except (ValueError, RecursionError) as fault:
        raise Failed(f"the body is no JSON ({fault}): {body[:200]!r}") from None


class Wire:
    """`headers` go with every request: the key, most often. Raises `ValueError` for what is no address of a server."""

    def __init__(self, url: str, headers: Headers = (), *, timeout_seconds: float = 30.0) -> None:
        parts = urlsplit(url if "//" in url else f"http://{url}")
        # Asking for the port looks whether it is one.
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.port == 0:
            raise ValueError(f"{url!r} is no address: write http://host:port, or https; a key goes with --header")
        self._kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._address, self._root = parts.netloc, parts.path.rstrip("/")
        self._headers, self._timeout_seconds = tuple(headers), timeout_seconds

    def connect(self) -> http.client.HTTPConnection:
        return self._kind(self._address, timeout=self._timeout_seconds)

    def ask(self, method: str, path: str, body: bytes | None = None, headers: Headers = ()) -> Answer:
        """Raises `Failed` when there is no whole answer."""
        connection = self.connect()
        try:
            return self.ask_on(connection, method, path, body, headers)
        finally:
            connection.close()

    def ask_on(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Headers = (),
    ) -> Answer:
        sent = [*self._headers, *headers]
        names = {name.lower() for name, _ in sent}
        if body is not None and not names & {"content-length", "transfer-encoding"}:
            sent.append(("Content-Length", str(len(body))))
        if body is not None and "content-type" not in names:
            binary = "inference-header-content-length" in names
            sent.append(("Content-Type", "application/octet-stream" if binary else "application/json"))
        late = threading.Event()
        try:
            if connection.sock is None:
                connection.connect()
            with _cut(connection.sock, self._timeout_seconds, late):
                connection.putrequest(method, self._root + path, skip_accept_encoding=True)
                for name, value in sent:
                    connection.putheader(name, value)
                connection.endheaders()
                if body:
                    _send(connection, body)
                response = connection.getresponse()
                found = _whole(response)
        except (OSError, http.client.HTTPException) as fault:
            if not late.is_set():
                raise Failed(f"no answer to {method} {path[:100]}: {type(fault).__name__}: {fault}") from None
        if late.is_set():
            raise Failed(f"no whole answer to {method} {path[:100]} within {self._timeout_seconds:g} s")
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, found)


@contextmanager
def _cut(connection: socket.socket, seconds: float, late: threading.Event) -> Iterator[None]:
    """End it when its time is over, however steadily an answer trickles, or goes on."""

    def cut() -> None:
        late.set()
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _whole(response: http.client.HTTPResponse) -> bytes:
    parts, left = list[bytes](), ANSWER_BYTES_MAX
    while part := response.read(min(left + 1, 1 << 20)):
        parts.append(part)
        left -= len(part)
        if left < 0:
            raise http.client.HTTPException(f"more than {ANSWER_BYTES_MAX:,} bytes")
    return b"".join(parts)


def _send(connection: http.client.HTTPConnection, body: bytes) -> None:
    try:
        connection.send(body)
    except (BrokenPipeError, ConnectionResetError):
        # Refused before all of it was read; the answer may be there all the same.
        return


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
