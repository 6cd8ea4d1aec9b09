"""gRPC's callers that do not read their answers, or send no message: they keep no call from others for long."""

import asyncio
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from test_grpc import KEY, SERVICE, call, infer_body

from aias.serving.bounds import Bounds
from aias.serving.connections.write_buffers import CUT
from live_server import BOUNDS, PATIENCE, LiveServer, eventually, live_server

grpc = pytest.importorskip("grpc", reason="needs the extra `grpc`")
stalls = pytest.importorskip("aias.serving.grpc.stalls")

CALLS = 4
FEW = replace(BOUNDS, grpc_calls=CALLS, give_way_seconds=0.2)
HEADERS, SETTINGS, PING, DATA = 1, 4, 6, 0
ACK, LAST, WHOLE = 1, 1, 4


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def fields(*pairs: tuple[str, str]) -> bytes:
    """Headers of HTTP/2, each written out."""
    return b"".join(
        b"\0" + bytes((len(name),)) + name.encode() + bytes((len(value),)) + value.encode() for name, value in pairs
    )


@contextmanager
def deaf(
    server: LiveServer, method: str, body: bytes | None, *, calls: int, key: bool = True
) -> Iterator[socket.socket]:
    """A client that makes so many calls, and allows no byte of an answer; without a body it has only begun."""
    port = server.grpc.rpartition(":")[2]
    with socket.create_connection(("127.0.0.1", int(port))) as client:
        told = [(":method", "POST"), (":scheme", "http"), (":path", method), (":authority", "localhost")]
        told += [("content-type", "application/grpc"), ("te", "trailers"), *(KEY if key else ())]
        client.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 0)))
        client.sendall(frame(SETTINGS, ACK, 0))
        for at in range(calls):
            client.sendall(frame(HEADERS, WHOLE, 2 * at + 1, fields(*told)))
            if body is not None:
                client.sendall(frame(DATA, LAST, 2 * at + 1, b"\0" + struct.pack(">I", len(body)) + body))
        yield client


def is_answered(server: LiveServer) -> bool:
    try:
        call(server, f"{SERVICE}ModelInfer", infer_body())
    except grpc.RpcError as fault:
        assert fault.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        return False
    return True


def noted(server: LiveServer) -> int:
    return server.gateway.metrics.refusals[CUT, "", ""]


@pytest.mark.parametrize(("method", "key"), [("ModelInfer", True), ("ServerLive", False)])
def test_who_does_not_read_gives_way_where_all_calls_are_taken(method: str, *, key: bool) -> None:
    with live_server(bounds=FEW, grpc=True) as server:
        body = infer_body() if key else b""
        with deaf(server, SERVICE + method, body, calls=CALLS, key=key):
            eventually(lambda: noted(server) > 0, PATIENCE)
            eventually(lambda: is_answered(server), PATIENCE)


def test_who_needs_no_key_and_sends_nothing_gives_way_too() -> None:
    with (
        live_server(bounds=FEW, grpc=True) as server,
        deaf(server, f"{SERVICE}ServerLive", None, calls=CALLS, key=False),
    ):
        eventually(lambda: is_answered(server), PATIENCE)


def test_of_those_without_a_key_a_few_are_read_at_one_time_and_give_way_to_others() -> None:
    check, bounds = "/grpc.health.v1.Health/Check", replace(BOUNDS, grpc_watchers=2, give_way_seconds=0.2)
    with live_server(bounds=replace(bounds, header_seconds=1_000.0), grpc=True) as server:
        handlers = server.gateway._server._second._handlers  # type: ignore[union-attr]
        read, reading, most = handlers._raw_until, set[object](), [0]

        async def counted(over: object, *more: object, **named: object) -> object:
            reading.add(over)
            most[0] = max(most[0], len(reading))
            try:
                return await read(over, *more, **named)
            finally:
                reading.discard(over)

        handlers._raw_until = counted
        with deaf(server, check, None, calls=6, key=False):
            eventually(lambda: len(reading) == 2, PATIENCE)
            assert call(server, check, metadata=(), timeout=PATIENCE) == b"\x08\x01"

    assert most == [2]


def test_whether_it_lives_is_told_before_a_message_has_come() -> None:
    never = threading.Event()

    def nothing() -> Iterator[bytes]:
        never.wait(PATIENCE)
        yield b""

    with live_server(grpc=True) as server, grpc.insecure_channel(server.grpc) as channel:
        asked = channel.stream_unary(f"{SERVICE}ServerLive")(nothing(), timeout=PATIENCE)
        never.set()

    assert asked == b"\x08\x01"


@pytest.mark.parametrize("method", ["ModelInfer", "ModelStreamInfer"])
def test_who_has_a_key_and_sends_nothing_gives_way_where_all_calls_are_taken(method: str) -> None:
    with live_server(bounds=FEW, grpc=True) as server, deaf(server, SERVICE + method, None, calls=CALLS) as client:
        eventually(lambda: is_answered(server), PATIENCE)
        # Its connection stays.
        client.sendall(frame(PING, 0, 0, b"12345678"))
        client.settimeout(PATIENCE)
        said = b""
        while frame(PING, ACK, 0, b"12345678") not in said:
            more = client.recv(65536)
            assert more, "the connection has ended"
            said += more


def test_a_call_of_which_nothing_comes_ends_though_there_is_room() -> None:
    with (
        live_server(bounds=replace(BOUNDS, body_idle_seconds=0.2), grpc=True) as server,
        deaf(server, f"{SERVICE}ModelInfer", None, calls=1) as client,
    ):
        client.settimeout(PATIENCE)
        said = b""
        while b"did not come in time" not in said:
            more = client.recv(65536)
            assert more, "the connection has ended"
            said += more


def test_a_message_that_is_on_its_way_is_waited_for_and_so_is_a_stream_where_there_is_room() -> None:
    now, came, asked = [100.0], {"slow": 1, "silent": 1}, list[set[str]]()

    class Context:
        def __init__(self, peer: str) -> None:
            self.peer = lambda: peer

    def received(peers: set[str]) -> dict[str, int]:
        asked.append(peers)
        return {peer: came[peer] for peer in peers}

    async def scene() -> list[bool]:
        held = stalls.Stalls(BOUNDS, lambda _code: None, lambda _peer: None, received, lambda: now[0])
        with (
            held.awaiting(Context("slow"), "a", in_stream=False) as slow,
            held.awaiting(Context("silent"), "a", in_stream=False) as silent,
            held.awaiting(Context("stream"), "a", in_stream=True) as stream,
        ):
            for _ in range(3):
                now[0] += BOUNDS.body_idle_seconds + 1
                came["slow"] += 1
                held.tidy()
            return [each.done() for each in (slow, silent, stream)]

    assert asyncio.run(scene()) == [False, True, False]
    assert asked[0] == {"slow", "silent"}


def test_who_has_not_read_for_too_long_is_cut_though_there_is_room() -> None:
    with live_server(bounds=replace(BOUNDS, unread_seconds=0.2), grpc=True) as server:
        with deaf(server, f"{SERVICE}ModelInfer", infer_body(), calls=1) as client:
            client.settimeout(PATIENCE)
            while client.recv(65536):
                pass

        assert noted(server) == 1
        assert is_answered(server)


def test_a_stream_between_two_requests_and_a_watcher_wait_for_as_long_as_they_like() -> None:
    with (
        live_server(bounds=replace(FEW, unread_seconds=0.1), grpc=True) as server,
        grpc.insecure_channel(server.grpc) as channel,
    ):
        more, swept = threading.Event(), threading.Event()

        def asked() -> Iterator[bytes]:
            yield infer_body()
            more.wait(PATIENCE)
            yield infer_body()

        watching = channel.unary_stream("/grpc.health.v1.Health/Watch")(b"", timeout=PATIENCE)
        assert next(watching)
        answers = channel.stream_stream(f"{SERVICE}ModelStreamInfer")(asked(), metadata=KEY, timeout=PATIENCE)
        assert next(answers)
        threading.Timer(0.6, swept.set).start()
        swept.wait(PATIENCE)
        more.set()

        assert next(answers)
        assert noted(server) == 0


def test_only_the_connection_of_that_peer_on_that_port_is_cut() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_server(("127.0.0.1", 0)) as other:
        pairs = []
        for each in (listener, other):
            client = socket.create_connection(each.getsockname())
            pairs.append((client, each.accept()[0]))
        (mine, _), (theirs, _) = pairs
        host, number = mine.getsockname()
        stalls.cut(f"ipv4:{host}:{number}", other.getsockname()[1])
        mine.setblocking(False)
        with pytest.raises(BlockingIOError):
            mine.recv(1)
        stalls.cut(f"ipv4:{host}:{number}", listener.getsockname()[1])
        mine.setblocking(True)
        assert mine.recv(1) == b""
        theirs.setblocking(False)
        with pytest.raises(BlockingIOError):
            theirs.recv(1)
        for pair in pairs:
            for each in pair:
                each.close()


def test_while_a_call_is_busy_its_caller_has_nothing_to_read() -> None:
    cut, now = list[str](), [100.0]

    class Context:
        def peer(self) -> str:
            return "ipv4:127.0.0.1:1"

    async def scene() -> None:
        held = stalls.Stalls(BOUNDS, lambda _code: None, cut.append, lambda _peers: {}, lambda: now[0])
        held.enter(Context(), "a")
        with held.busy(Context()):
            now[0] += 2 * BOUNDS.unread_seconds
            held.tidy()
            assert cut == []
        held.tidy()
        assert cut == []
        for _ in range(2):
            now[0] += 2 * BOUNDS.unread_seconds
            held.tidy()

    asyncio.run(scene())

    assert cut == ["ipv4:127.0.0.1:1"]


HALF = b"\0" + struct.pack(">I", 90_000) + b" " * 1_000


@contextmanager
def halves(server: LiveServer, method: str, *, calls: int) -> Iterator[socket.socket]:
    """A client of `all-key` that makes so many calls, and sends the beginning of a message in each."""
    with deaf(server, SERVICE + method, None, calls=calls) as client:
        for at in range(calls):
            client.sendall(frame(DATA, 0, 2 * at + 1, HALF))
        yield client


def told(server: LiveServer, method: str, key: str) -> grpc.Call | None:
    """Why a call is refused; nothing where it is answered."""
    try:
        call(server, SERVICE + method, infer_body(), metadata=(("authorization", f"Bearer {key}"),), timeout=PATIENCE)
    except grpc.RpcError as fault:
        return fault
    return None


ROOMY = replace(BOUNDS, bodies_bytes=400_000, body_bytes=100_000, give_way_seconds=0.2)


@pytest.mark.parametrize("bounds", [ROOMY, replace(BOUNDS, grpc_calls=4, give_way_seconds=PATIENCE)])
def test_halves_of_messages_of_one_key_leave_room_for_those_of_others(bounds: Bounds) -> None:
    with live_server(bounds=bounds, grpc=True) as server, halves(server, "ModelInfer", calls=3):
        assert_awaited(server, 3)

        assert_refused(told(server, "ModelInfer", "all-key"))
        assert told(server, "ModelInfer", "predict-key") is None


def test_streams_of_one_key_are_counted_with_its_messages_and_leave_one_for_calls() -> None:
    with live_server(bounds=ROOMY, grpc=True) as server:
        with halves(server, "ModelStreamInfer", calls=2):
            assert_awaited(server, 2)

            assert_refused(told(server, "ModelStreamInfer", "all-key"))
            assert told(server, "ModelInfer", "all-key") is None
            assert told(server, "ModelStreamInfer", "predict-key") is None

            with halves(server, "ModelInfer", calls=1):
                assert_awaited(server, 3)
                assert_refused(told(server, "ModelInfer", "all-key"))
                assert told(server, "ModelInfer", "predict-key") is None
        eventually(lambda: told(server, "ModelStreamInfer", "all-key") is None, PATIENCE)


def assert_awaited(server: LiveServer, messages: int) -> None:
    held = server.gateway._server._second._handlers.stalls  # type: ignore[union-attr]
    # That none of them gives way is as if a little came of each now and then.
    held.messages_wait = lambda: False
    eventually(lambda: len(held._awaited) == messages, PATIENCE)


def assert_refused(told: grpc.Call | None) -> None:
    assert told is not None
    assert told.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert dict(told.trailing_metadata())["grpc-retry-pushback-ms"] == "1000"


def test_those_without_a_key_have_a_share_of_all_calls_by_their_address() -> None:
    with live_server(bounds=replace(BOUNDS, grpc_calls=4, give_way_seconds=PATIENCE), grpc=True) as server:
        check = "/grpc.health.v1.Health/Check"
        with deaf(server, check, None, calls=3, key=False):
            stalls = server.gateway._server._second._handlers.stalls  # type: ignore[union-attr]
            eventually(lambda: len(stalls._awaited) == 3, PATIENCE)

            with pytest.raises(grpc.RpcError) as refused:
                call(server, check, metadata=(), timeout=PATIENCE)

            assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert told(server, "ModelInfer", "all-key") is None


def test_who_sends_nothing_of_a_message_gives_way_to_messages_that_wait() -> None:
    # Without that it would wait for as long as anybody asks here.
    bounds = replace(ROOMY, give_way_seconds=1.0, body_idle_seconds=1e6)
    with live_server(bounds=bounds, grpc=True) as server, deaf(server, f"{SERVICE}ModelInfer", None, calls=3):
        payers = server.gateway._server._second._handlers._readings._payers  # type: ignore[union-attr]
        eventually(lambda: [each.locked() for each in payers.values()] == [True], PATIENCE)
        assert any(told(server, "ModelInfer", "all-key") is None for _ in range(30))
