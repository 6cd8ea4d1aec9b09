"""One request to a service, and its answer, both within bounds. Nobody is followed elsewhere.

The key is that of `AIAS_TEACHER_KEY`; it goes into one header, over TLS or to this very machine, and nowhere else.
"""

import http.client
import os
import socket
import ssl
import threading
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from aias.teaching.teachers.contract import BadTeacher, Busy, TeacherRefused, Unanswered

KEY: Final = "AIAS_TEACHER_KEY"

SECONDS_MAX: Final = 60.0
"""For one call, however steadily it trickles; a label is a few words."""

REPLY_BYTES_MAX: Final = 16 << 20
"""Of one answer: the probabilities of a batch of rows are a hundredth."""

SHOWN_MAX: Final = 160

_HERE: Final = ("localhost", "127.0.0.1", "::1")

Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Wire:
    """`url` is the address that was named, checked."""

    url: urllib.parse.SplitResult
    key: str | None = None
    seconds: float = SECONDS_MAX
    bytes_max: int = REPLY_BYTES_MAX

    @classmethod
    def to(cls, source: str) -> "Wire":
        """Raises `BadTeacher` where a key would be seen."""
        try:
            url = urllib.parse.urlsplit(source)
            url.port  # noqa: B018  raises
        except ValueError as fault:
            raise BadTeacher(f"the teacher's address cannot be read: {fault}") from None
        if url.scheme not in ("http", "https") or not url.hostname:
            raise BadTeacher(f"a teacher cannot be reached by `{url.scheme}`", hint="https://HOST/v1")
        if url.username or url.password or url.query or url.fragment:
            raise BadTeacher(
                "the teacher's address holds more than a place, such as a key",
                hint=f"keys come from {KEY} in the environment, where neither `ps` nor a version shows them",
            )
        return cls(url, _key(url))

    def under(self, ending: str) -> str:
        """The path of something below the address."""
        return f"{self.url.path.rstrip('/')}{ending}"

    @property
    def place(self) -> str:
        """The address as people know it."""
        return urllib.parse.urlunsplit(self.url)

    def get(self, path: str) -> Any:
        return self._decoded(*self._call("GET", path, None))

    def post(self, path: str, body: object) -> Any:
        """What the JSON of the answer holds. Raises `Busy`, `Unanswered`, `TeacherRefused`, `Declined`."""
        return self._decoded(*self._call("POST", path, msgspec.json.encode(body, enc_hook=str)))

    def _call(self, method: str, path: str, body: bytes | None) -> tuple[int, Headers, bytes]:
        connection, given_up = self._connection(), threading.Event()
        headers = {"Accept": "application/json", "User-Agent": "aias", "Connection": "close"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        clock = threading.Timer(self.seconds, _give_up, (connection, given_up))
        clock.daemon = True
        clock.start()
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            body = self._read(response)
            if given_up.is_set() or response.length:
                raise http.client.IncompleteRead(body)
            return response.status, dict(response.getheaders()), body
        except (OSError, http.client.HTTPException) as fault:
            what = f"gave no answer in {self.seconds:g} s" if given_up.is_set() else f"broke off: {_told(fault)}"
            raise Busy(f"{self.place} {what}", hint="is it there, and does it speak HTTP?") from None
        finally:
            clock.cancel()
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        host, port = self.url.hostname, self.url.port
        assert host is not None, "`to` has looked"
        if self.url.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=self.seconds)
        return http.client.HTTPSConnection(host, port, timeout=self.seconds, context=ssl.create_default_context())

    def _read(self, response: http.client.HTTPResponse) -> bytes:
        body = response.read(self.bytes_max + 1)
        if len(body) > self.bytes_max:
            raise Unanswered(f"{self.place} answers with more than {self.bytes_max:,} bytes")
        return body

    def _decoded(self, status: int, headers: Headers, body: bytes) -> Any:
        if status != 200:
            raise self._fault(status, headers, body)
        try:
            return msgspec.json.decode(body)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            raise Unanswered(
                f"{self.place} answers with what is no JSON: {self.shown(body)}", hint="is the address right?"
            ) from None

    def _fault(self, status: int, headers: Headers, body: bytes) -> Exception:
        said = f"{self.place} answers {status}: {self.shown(body)}"
        if status in (408, 425, 429) or status >= 500:
            return Busy(said, seconds=_seconds(headers))
        if status in (401, 403):
            return TeacherRefused(said, hint=f"put a key that it knows into {KEY}")
        if status in (404, 405):
            return TeacherRefused(said, hint="is there such a model, and is the address right?")
        if 300 <= status < 400:
            return TeacherRefused(said, hint="nobody is followed elsewhere: name the address that it points at")
        return Declined(said, _asked_for(body))

    def shown(self, body: bytes) -> str:
        """The beginning of what came, without the key should it be repeated there."""
        text = body[: 4 * SHOWN_MAX].decode("utf-8", "replace")
        text = text.replace(self.key, "***") if self.key else text
        return "".join(each if each.isprintable() else " " for each in text)[:SHOWN_MAX].strip() or "nothing"


class Declined(Unanswered):
    """The service does not accept the request.

    `about`: the setting that it names, if it names one.
    """

    code = "teaching.declined"

    def __init__(self, message: str, about: str = "") -> None:
        super().__init__(message)
        self.about = about


def _key(url: urllib.parse.SplitResult) -> str | None:
    key = os.environ.get(KEY)
    if not key:
        return None
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise BadTeacher(f"what {KEY} holds is no key", hint="letters, digits and signs, without spaces or line ends")
    if url.scheme == "http" and url.hostname not in _HERE:
        raise BadTeacher(
            f"the key in {KEY} would go to {url.hostname} unencrypted", hint="use https://, or unset the variable"
        )
    return key


def _give_up(connection: http.client.HTTPConnection, given_up: threading.Event) -> None:
    given_up.set()
    if connection.sock is not None:
        try:
            socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)  # also of TLS, which would wait for the other end
        except OSError:
            return


def _seconds(headers: Headers) -> float | None:
    """Of `Retry-After`, where it is a number."""
    said = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    return float(said) if said.isdigit() and len(said) < 6 else None


def _asked_for(body: bytes) -> str:
    """The setting that an error in OpenAI's form is about."""
    try:
        found = msgspec.json.decode(body)["error"]["param"]
    except (msgspec.MsgspecError, KeyError, TypeError, RecursionError, UnicodeDecodeError):
        return ""
    return found if isinstance(found, str) else ""


def _told(fault: Exception) -> str:
    return (str(fault) or type(fault).__name__)[:SHOWN_MAX]
