"""The headers of a request by name: some once only, of others every line."""

import re
from typing import Final

from aias.serving.admission.urgency import DEADLINE, PRIORITY
from aias.serving.refusals import BadRequest, NotSupported
from aias.serving.rollout.split import STICKY

HEADERS_MAX: Final = 100
"""Lines; browsers send 20."""

_ONLY_ONCE: Final = frozenset(
    (
        *(b"host", b"origin", b"authorization", b"content-type", b"content-encoding", b"content-length"),
        *(b"x-request-id", b"inference-header-content-length", DEADLINE, PRIORITY, STICKY, b"sec-fetch-site"),
        *(b"idempotency-key", b"x-amzn-sagemaker-target-model", b"x-amzn-sagemaker-target-variant"),
    )
)
"""Said twice they could mean two things, to us and to a proxy before us."""

_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")


def read_headers(pairs: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Raises `BadRequest`, `NotSupported`."""
    headers = dict(pairs)
    if len(headers) < len(pairs):
        names = [name for name, _ in pairs]
        twice = sorted(name.decode() for name in _ONLY_ONCE if names.count(name) > 1)
        if twice:
            raise BadRequest(f"the header `{twice[0]}` came twice", hint="send it once; two could mean two things")
        # Of the others several lines are one list (RFC 9110, 5.3), and none is lost.
        for name in {each for each in names if names.count(each) > 1}:
            headers[name] = b", ".join(value for each, value in pairs if each == name)
    if headers.get(b"transfer-encoding", b"chunked").lower() != b"chunked":
        # The parser undoes the last coding only, and a proxy before us may undo all.
        raise NotSupported(
            "of transfer codings only `chunked` is understood", hint="name what packs the body in Content-Encoding"
        )
    return headers


def given_id(headers: dict[bytes, bytes]) -> str:
    """The caller's own name for its request, if it can be shown in headers and logs; else nothing."""
    given = headers.get(b"x-request-id", b"")
    return given.decode() if _REQUEST_ID.fullmatch(given) else ""
