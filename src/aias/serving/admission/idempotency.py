"""Requests that must not be done twice: each has a name, that stays the same when it comes again.

    Idempotency-Key ─▶ its caller's name: for one that heard no answer, and asks again
    none            ─▶ its place on its connection: a worker died in it, and another worker reads it again, unseen

`Idempotency-Key` is as draft-ietf-httpapi-idempotency-key-header has it, with or without its quotes.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar, Final

from aias.access import idempotency
from aias.access.idempotency import IdempotencyKey
from aias.serving.http.messages import Request
from aias.serving.refusals import BadRequest, Refusal
from aias.serving.survival.kernel import name_of

HEADER: Final = b"idempotency-key"

_NAME: Final = re.compile(rb"[!-~]{1,255}")
"""Longer than any that is drawn by chance, and short enough to be read in a log."""


class AskedOtherwise(Refusal):
    """An `Idempotency-Key` was already used for a different request"""

    code = "serving.asked-otherwise"
    status: ClassVar[int] = 422


def take_name(request: Request) -> None:
    """On the loop, where its connection is as it came. Raises `BadRequest`."""
    given = request.headers.get(HEADER)
    if given is not None:
        if not _NAME.fullmatch(given):
            raise BadRequest(
                "Idempotency-Key must be 1 to 255 visible characters", hint="send a new random one for each request"
            )
        request.name = b"key " + given
    elif (slot := request.slot) is not None:
        request.name = b"place %b %d %d" % (name_of(slot.descriptor), slot.start, slot.completed)


def once_of(request: Request, asked: bytes) -> IdempotencyKey | None:
    """What is `asked`, once; None where the request has no name."""
    if not request.name:
        return None
    _, _, secret = request.headers.get(b"authorization", b"").partition(b" ")
    return IdempotencyKey(request.tenant, request.name, asked, secret.strip())


@contextmanager
def asked_once() -> Iterator[None]:
    """While something is done `once`. Raises `AskedOtherwise`."""
    try:
        yield
    except idempotency.AskedOtherwise as fault:
        raise AskedOtherwise(fault.message, hint=fault.hint) from None
