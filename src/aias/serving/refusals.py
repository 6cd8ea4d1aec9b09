"""Why a request is turned away, and with which status of HTTP."""

import math
import re
from typing import ClassVar, Final

from aias.core.errors import (
    AiasError,
    BadValue,
    Conflict,
    Damaged,
    DatabaseBusy,
    NotFound,
    Refused,
    StorageFailed,
    UserError,
)

_FOLDERS: Final = re.compile(r"""(?<![\w/:.~])~?/(?:[^\n:;,()`'"]*/)?""")


def without_folders(said: str) -> str:
    """What is told over the network: of a file its name, and not where this machine keeps it."""
    return _FOLDERS.sub("", said)


_SOON: Final = ((b"retry-after", b"1"), (b"retry-after-ms", b"1000"))


class Refusal(AiasError):
    """A request is refused, for a reason that has no code of its own.

    `status` is of HTTP; `headers` go out with the answer.
    """

    code = "serving.refused"
    exit_status = 2
    status: ClassVar[int] = 400
    headers: tuple[tuple[bytes, bytes], ...] = ()
    retry_seconds: float | None = None
    """When it is worth trying again."""

    def come_again(self, seconds: float) -> None:
        """Say when, in whole seconds for everybody and in milliseconds for who reads them, such as OpenAI's clients."""
        self.retry_seconds = seconds
        whole, ms = max(1, math.ceil(seconds)), max(1, math.ceil(seconds * 1000))
        self.headers = (*type(self).headers, (b"retry-after", b"%d" % whole), (b"retry-after-ms", b"%d" % ms))


class BadRequest(Refusal):
    """The request's headers break a rule."""

    code = "serving.bad-request"


def not_http(message: str) -> BadRequest:
    return BadRequest(
        message, hint="send plain HTTP/1.1; TLS and newer versions end at a proxy in front of this server"
    )


class BadRequestTarget(Refusal):
    """The request's target is neither a path nor an http URL."""

    code = "serving.bad-target"


def bad_target() -> BadRequestTarget:
    message = "the request's target must be a path or an http URL"
    return BadRequestTarget(message, hint="ask for a path such as /predict/NAME")


class HeadersTooLarge(Refusal):
    """The headers, with the target, are larger or more than the limit."""

    code = "serving.headers-too-large"
    status = 431


def headers_too_large(bytes_max: int, lines_max: int) -> HeadersTooLarge:
    hint = f"at most {bytes_max:,} bytes with the target, in {lines_max} lines"
    return HeadersTooLarge("the headers are too large", hint=hint)


class HeadersTooSlow(Refusal):
    """The headers did not come in time."""

    code = "serving.headers-too-slow"
    status = 408


class BodyTooSlow(Refusal):
    """The body did not come in time."""

    code = "serving.body-too-slow"
    status = 408


class BadBody(Refusal):
    """The body is not what its type says, or not what this route reads."""

    code = "serving.bad-body"


class BadParameter(Refusal):
    """A field of the request has a value that it cannot have.

    `param`: the field, where it is one.
    """

    code = "serving.bad-parameter"

    def __init__(self, message: str, *, param: str | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.param = param


class UnnamedEndpoint(Refusal):
    """Several endpoints could answer, and the request names none."""

    code = "serving.unnamed-endpoint"


class NoKey(Refusal):
    """The request has no key, and the route needs one."""

    code = "serving.no-key"
    status = 401
    headers = ((b"www-authenticate", b'Bearer realm="aias"'),)


class BadKey(Refusal):
    """The key is unknown, revoked or expired."""

    code = "serving.bad-key"
    status = 401
    headers = ((b"www-authenticate", b'Bearer realm="aias", error="invalid_token"'),)
    may_be_new = False
    """Whether another process may have made it since this one has looked."""


class MissingScope(Refusal):
    """The key lacks the scope that the route needs."""

    code = "serving.missing-scope"
    status = 403
    headers = ((b"www-authenticate", b'Bearer realm="aias", error="insufficient_scope"'),)
    key = ""
    """Its name, for the access log."""


class ForeignOrigin(Refusal):
    """A page of another site called this server from a browser."""

    code = "serving.foreign-origin"
    status = 403


def foreign_origin() -> ForeignOrigin:
    hint = "have your own server call it, where the key is not shown to whoever looks at the page"
    return ForeignOrigin("pages of other sites may not call this server", hint=hint)


class UnknownHost(Refusal):
    """The Host header names a host that this server does not answer for."""

    code = "serving.unknown-host"
    status = 421


class UnknownPath(Refusal):
    """No route has this path."""

    code = "serving.unknown-path"
    status = 404


class UnknownEndpoint(Refusal):
    """No endpoint has this name."""

    code = "serving.unknown-endpoint"
    status = 404


class WrongMethod(Refusal):
    """The path exists, but not for this method."""

    code = "serving.wrong-method"
    status = 405


def wrong_method(methods: str) -> WrongMethod:
    """`methods`: those that the path takes."""
    fault = WrongMethod(f"this path takes {methods}", hint="use one of these; docs/http.md has every route")
    fault.headers = ((b"allow", methods.encode()),)
    return fault


class NotAcceptable(Refusal):
    """None of the types in `Accept` can be written."""

    code = "serving.not-acceptable"
    status = 406


class BodyTooLarge(Refusal):
    """The body, packed or unpacked, is larger than the limit."""

    code = "serving.body-too-large"
    status = 413


def chunks_too_large() -> BodyTooLarge:
    message = "what stands around the chunks of the body is too large"
    return BodyTooLarge(message, hint="send larger chunks, without extensions")


class TooManyRows(Refusal):
    """The request has more rows than the limit."""

    code = "serving.too-many-rows"
    status = 413


def too_many_rows(rows_max: int) -> TooManyRows:
    return TooManyRows(f"more than {rows_max:,} rows", hint="send them in several requests")


class UnsupportedType(Refusal):
    """The body's media type, charset or packing is not supported here."""

    code = "serving.unsupported-type"
    status = 415


class NotSupported(Refusal):
    """This server does not do that; the hint names another way"""

    code = "serving.not-supported"
    status = 501


def follows() -> NotSupported:
    return NotSupported("this server does not deploy", hint="`aias deploy` does, and it follows")


class NotReady(Refusal):
    """The endpoint has no model in memory that can answer yet."""

    code = "serving.not-ready"
    status = 503
    retry_seconds = 1.0
    headers = _SOON


class Busy(Refusal):
    """The server has no room for the request right now."""

    code = "serving.busy"
    status = 503
    retry_seconds = 1.0
    headers = _SOON


class TooManyConnections(Refusal):
    """The server has as many connections as it may have, and none of them idles"""

    code = "serving.too-many-connections"
    status = 503
    retry_seconds = 1.0
    headers = _SOON


class Overloaded(Refusal):
    """Too much is waiting already for the request to be answered in time"""

    code = "serving.overloaded"
    status = 503

    def __init__(self, message: str = "too much is waiting", *, retry_seconds: float = 1.0) -> None:
        super().__init__(message, hint=f"try again in {max(1, math.ceil(retry_seconds))} s")
        self.come_again(retry_seconds)


class QuotaSpent(Refusal):
    """The key's quota, or its tenant's, is used up for now"""

    code = "serving.quota-spent"
    status = 429

    def __init__(
        self, message: str = "the key's quota is spent", *, retry_seconds: float | None = None, hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        if retry_seconds is not None:
            self.come_again(retry_seconds)


class TooManyAtOnce(Refusal):
    """A key or tenant, or without a key an address, has as much under way as one may have at a time"""

    code = "serving.too-many-at-once"
    status = 429
    retry_seconds = 1.0
    headers = _SOON

    def __init__(self, what: str) -> None:
        super().__init__(f"too many {what} of yours are under way", hint="let some of them end first")


class TooLate(Refusal):
    """The request's deadline passed before it could be answered"""

    code = "serving.too-late"
    status = 504


def too_late() -> TooLate:
    return TooLate("the answer would have come after its deadline", hint="try again in a moment, or allow more time")


class RunEnded(Refusal):
    """The process that ran the request ended, and so did the next one that tried"""

    code = "serving.run-ended"
    status = 500


class Quarantined(Refusal):
    """The version has ended its process several times, and is not run any more"""

    code = "serving.quarantined"
    status = 503
    retry_seconds = 60.0
    headers = ((b"retry-after", b"60"), (b"retry-after-ms", b"60000"))


def quarantined(version: str) -> Quarantined:
    return Quarantined(
        f"{version} has ended its process several times, and is not run any more",
        hint=f"deploy another version, or have it tried again: `aias release {version}`",
    )


_STATUS: Final[tuple[tuple[type[AiasError], int], ...]] = (
    (BadValue, 422),
    (UserError, 400),
    (NotFound, 404),
    (Refused, 403),
    (Conflict, 409),
    (Damaged, 503),
    (StorageFailed, 507),
)


def status_of(fault: Exception) -> int:
    """The status that a fault is answered with."""
    if isinstance(fault, Refusal):
        return fault.status
    return next((status for kind, status in _STATUS if isinstance(fault, kind)), 500)


def for_caller(fault: Exception) -> AiasError | None:
    """What its caller may read of a fault; None where its words name files and insides of this server."""
    if isinstance(fault, Refusal | UserError | NotFound | Refused):
        return fault
    if isinstance(fault, DatabaseBusy):
        return Busy("another program has held the database for too long", hint="try again in a moment")
    if isinstance(fault, StorageFailed):
        return StorageFailed("the server's disk is full or failing, so this was not done", hint="its log has more")
    return None
