"""A response that shares its beginning with others says what one that was written out would."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from aias.serving.admission.quotas import Charge
from aias.serving.connections.transport import Repeated, written
from aias.serving.http.messages import JSON, Reply, Request
from aias.serving.http.responses import headers_of, response_of

DATES = [(b"date", b"now")], [(b"date", b"later")]


def request(version: str | None, name: str) -> Request:
    found = Request("POST", "/predict/churn", name, {}, {"endpoint": "churn"})
    found.model = cast("Any", None if version is None else SimpleNamespace(version=version))
    return found


def parts(response: bytes) -> tuple[bytes, list[bytes], bytes]:
    head, _, body = response.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    return first, sorted(lines), body


def test_it_says_the_same_for_every_version_status_type_and_date() -> None:
    repeated = Repeated()
    for date in (*DATES, *DATES):
        for version in ("churn@1", "churn@2", None):
            for status, media_type in ((200, JSON), (503, JSON), (200, b"text/csv")):
                asked, reply = request(version, f"r-{status}"), Reply(b"[1]", status, media_type)
                whole = written(status, Repeated().lines(date), headers_of(asked, reply), reply.body)

                assert parts(response_of(asked, reply, date, repeated)) == parts(whole)


@pytest.mark.parametrize("own", ["headers", "charge"])
def test_what_a_reply_or_a_bill_says_beside_is_never_anothers(own: str) -> None:
    repeated, reply = Repeated(), Reply(b"[1]")
    asked = request("churn@1", "r-1")
    plain = parts(response_of(asked, reply, DATES[0], repeated))
    if own == "headers":
        reply = Reply(b"[1]", headers=((b"retry-after", b"1"),))
    else:
        asked.charge = cast("Charge", SimpleNamespace(payer=SimpleNamespace(policy=b"p"), settle=lambda: b"x"))
    more = parts(response_of(asked, reply, DATES[0], repeated))

    assert len(more[1]) == len(plain[1]) + (1 if own == "headers" else 2)
    assert parts(response_of(request("churn@1", "r-1"), Reply(b"[1]"), DATES[0], repeated)) == plain
