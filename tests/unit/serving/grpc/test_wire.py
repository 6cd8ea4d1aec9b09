"""What a call over gRPC is to an application, and what its caller is told."""

import asyncio
from typing import Any

import pytest

grpc = pytest.importorskip("grpc", reason="needs the extra `grpc`")


def nobody(_fault: object) -> Any:
    raise AssertionError("the application sees all of it")


def carried(metadata: list[tuple[str, str]], seconds_left: float | None) -> tuple[list[tuple[bytes, bytes]], Any]:
    """The headers that an application sees, and what the caller is told at the end."""
    from aias.serving.grpc.wire import Wire

    seen: list[tuple[bytes, bytes]] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        seen.extend(scope["headers"])
        assert (await receive())["body"] == b"x"
        left = [(b"ratelimit", b'"requests-second";r=4;t=1'), (b"x-cache", b"hit"), (b"content-type", b"text/plain")]
        await send({"type": "http.response.start", "status": 200, "headers": left})
        await send({"type": "http.response.body", "body": b"{}"})

    wire = Wire(application, metadata, seconds_left=seconds_left, answering=set(), turned_away=nobody)
    found = asyncio.run(wire.ask("POST", "/", b"x"))

    assert (found.status, found.head) == (200, {})
    return seen, wire.told


@pytest.mark.parametrize(
    ("named", "seconds_left", "passed_on"),
    [
        ([], 1.5, [b"1500"]),
        (["9"], 1.5, [b"9"]),
        (["2000"], 1.5, [b"1500"]),
        (["9"], None, [b"9"]),
        (["soon"], 1.5, [b"soon"]),
        (["9", "8"], 1.5, [b"9", b"8"]),
    ],
)
def test_the_sooner_deadline_goes_on_to_the_application(
    named: list[str], seconds_left: float | None, passed_on: list[bytes]
) -> None:
    seen, _ = carried([("x-deadline-ms", each) for each in named], seconds_left)
    assert [value for name, value in seen if name == b"x-deadline-ms"] == passed_on


def test_what_callers_are_told_apart_by_goes_on_and_what_is_of_http_does_not() -> None:
    seen, told = carried([("user-id", "7"), ("cookie", "a"), ("content-length", "9"), ("x-user", "8")], None)
    assert seen == [(b"host", b"localhost"), (b"user-id", b"7"), (b"x-user", b"8"), (b"content-length", b"1")]
    assert told == (("ratelimit", '"requests-second";r=4;t=1'), ("x-cache", "hit"))


def test_an_application_whose_caller_is_gone_sees_it_hang_up_and_is_not_cancelled() -> None:
    from aias.serving.grpc.wire import Wire

    saw: list[str] = []

    async def application(_scope: Any, receive: Any, _send: Any) -> None:
        while True:
            saw.append((await receive())["type"])
            if saw[-1] == "http.disconnect":
                return

    async def leave() -> None:
        wire = Wire(application, [], seconds_left=1e12, answering=set(), turned_away=nobody)
        assert (b"x-deadline-ms", b"86400000") in wire.headers
        asking = asyncio.ensure_future(wire.ask("POST", "/"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.gather(*wire._answering)

    asyncio.run(leave())
    assert saw == ["http.request", "http.disconnect"]
