"""The second port under callers that lie, stall, stay or have no key."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from aias.runtimes.contract import Answers
from aias.serving.processes.ports import listen
from live_server import BOUNDS, PATIENCE, LiveServer, Rule, Shelf, eventually, live_server, read_all
from ports import free_port

grpc = pytest.importorskip("grpc", reason="needs the extra `grpc`")

KEY = (("authorization", "Bearer all-key"),)
SERVICE = "/inference.GRPCInferenceService/"
SMALL = replace(BOUNDS, body_bytes=1 << 20, grpc_calls=12, grpc_watchers=2)
HASTY = replace(SMALL, body_seconds=0.4)
"""For callers who never say what they have to."""

THREADS = replace(SMALL, inline_row_seconds=1e-9)
"""Nothing runs on the event loop."""


class Slow(Rule):
    """A model that answers when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.let = threading.Event(), threading.Event()

    def predict_columns(self, columns: Mapping[str, Sequence[object]], rows: int) -> Answers:
        self.asked.set()
        self.let.wait(PATIENCE)
        return super().predict_columns(columns, rows)


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    with live_server(bounds=SMALL, grpc=True) as running:
        yield running


@pytest.fixture(scope="module")
def hasty() -> Iterator[LiveServer]:
    with live_server(bounds=HASTY, grpc=True) as running:
        yield running


def call(server: LiveServer, method: str, body: bytes = b"", **more: Any) -> bytes:
    """One call with a key and all the time it takes, unless told otherwise."""
    with grpc.insecure_channel(server.grpc, options=[("grpc.max_send_message_length", -1)]) as channel:
        answer: bytes = channel.unary_unary(method)(body, **{"metadata": KEY, "timeout": PATIENCE, **more})
        return answer


def refusal(*asked: Any, **more: Any) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as refused:
        call(*asked, **more)
    return refused.value.code().name, refused.value.details()


def code_of(*asked: Any, **more: Any) -> str:
    return refusal(*asked, **more)[0]


def infer_body(text: bytes = b"50") -> bytes:
    from aias.serving.grpc.calls import message

    request = message("ModelInferRequest")(model_name="churn")
    tensor = request.inputs.add(name="age", datatype="BYTES", shape=[1])
    tensor.contents.bytes_contents.append(text)
    return bytes(request.SerializeToString())


def test_no_method_but_the_probes_answers_without_a_key(server: LiveServer) -> None:
    from aias.serving.grpc.proto import schema

    names = {method.name for method in schema("inference").file.service[0].method}
    for name in names - {"ServerLive", "ServerReady"}:
        for metadata in ((), (("authorization", "Bearer wrong-key"),)):
            assert code_of(server, SERVICE + name, metadata=metadata) == "UNAUTHENTICATED", name
    assert call(server, f"{SERVICE}ServerLive", metadata=()) == b"\x08\x01"
    for package in ("grpc.reflection.v1", "grpc.reflection.v1alpha"):
        assert code_of(server, f"/{package}.ServerReflection/ServerReflectionInfo", metadata=()) == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    ("method", "scope"), [("ModelInfer", "predict"), ("ModelStatistics", "read"), ("RepositoryModelLoad", "admin")]
)
def test_a_method_opens_only_to_a_key_with_its_scope(server: LiveServer, method: str, scope: str) -> None:
    for other in {"predict", "read", "admin"} - {scope}:
        key = ("authorization", f"Bearer {other}-key")
        assert code_of(server, SERVICE + method, metadata=(key,)) == "PERMISSION_DENIED"


def test_a_message_without_a_key_is_refused_before_it_is_read(server: LiveServer) -> None:
    """It is larger than may be read; reading it would say so."""
    assert code_of(server, f"{SERVICE}ModelInfer", bytes(2 << 20), metadata=()) == "UNAUTHENTICATED"


def test_a_message_that_is_too_large_is_refused(server: LiveServer) -> None:
    assert code_of(server, f"{SERVICE}ModelInfer", bytes(2 << 20)) == "RESOURCE_EXHAUSTED"


@pytest.mark.parametrize("packing", ["Gzip", "Deflate"])
def test_a_bomb_is_refused_while_it_is_unpacked(server: LiveServer, packing: str) -> None:
    bomb, packed = bytes(24 << 20), getattr(grpc.Compression, packing)

    code, details = refusal(server, f"{SERVICE}ModelInfer", bomb, compression=packed)

    assert (code, "Decompressed" in details) == ("RESOURCE_EXHAUSTED", True)


@pytest.mark.parametrize(
    "body", [b"\xff", b"\x0a\xff\xff\xff\xff\x0f", b"\x08" * 1_000, b"\x3a\x05ab", b"\x0a\x02\xff\xfe"]
)
def test_bytes_that_are_no_message_are_refused(server: LiveServer, body: bytes) -> None:
    assert code_of(server, f"{SERVICE}ModelInfer", body) == "INVALID_ARGUMENT"
    assert call(server, f"{SERVICE}ModelInfer", infer_body())


def test_millions_of_empty_things_are_refused_before_anything_is_made_of_them(server: LiveServer) -> None:
    many = 1 << 18
    name = b"\x0a\x05churn"
    tensor = b"\x0a\x04plan\x12\x05BYTES\x1a\x01\x01\x2a" + varint(2 * many) + b"\x42\x00" * many
    values = name + b"\x2a" + varint(len(tensor)) + tensor
    assert refusal(server, f"{SERVICE}ModelInfer", values)[0] == "RESOURCE_EXHAUSTED"
    for empty in (b"\x2a\x00", b"\x32\x00", b"\x3a\x00"):
        assert "more than 10,000 tensors" in refusal(server, f"{SERVICE}ModelInfer", name + empty * many)[1]
    said = b"".join(b"\x22\x07\x0a\x03%03d\x12\x00" % at for at in range(200))
    assert "100 parameters" in refusal(server, f"{SERVICE}ModelInfer", name + said)[1]


def varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*found, value))


def test_what_goes_wrong_inside_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Rule):
        def predict_columns(self, columns: Mapping[str, Sequence[object]], rows: int) -> Answers:
            raise RuntimeError("a secret place")

    shelf = Shelf()
    shelf.deploy("churn", 1, Broken())
    with live_server(shelf, grpc=True) as server:
        code, details = refusal(server, f"{SERVICE}ModelInfer", infer_body())
        assert (code, "secret" in details, "failed to answer" in details) == ("INTERNAL", False, True)

        def broken(*_: object) -> object:
            raise RuntimeError("a secret place")

        monkeypatch.setattr("aias.serving.grpc.calls.raw_inputs", broken)
        code, details = refusal(server, f"{SERVICE}ModelInfer", infer_body())
        assert (code, "secret" in details, "failed to answer" in details) == ("INTERNAL", False, True)


def test_an_unknown_method_is_not_implemented(server: LiveServer) -> None:
    assert code_of(server, f"{SERVICE}CudaSharedMemoryRegister") == "UNIMPLEMENTED"
    assert code_of(server, "/other.Service/Method") == "UNIMPLEMENTED"


def test_a_header_of_http_cannot_be_brought_in(server: LiveServer) -> None:
    smuggled = {"content-length": "0", "inference-header-content-length": "1", "content-encoding": "gzip", "host": "x"}
    for one in smuggled.items():
        assert call(server, f"{SERVICE}ModelInfer", infer_body(), metadata=(*KEY, one))
    assert code_of(server, f"{SERVICE}ModelInfer", infer_body(), metadata=(*KEY, *KEY)) == "INVALID_ARGUMENT"
    assert call(server, f"{SERVICE}ModelInfer", infer_body(), metadata=(*KEY, ("x-bin", b"\xff\x00")))


def test_a_call_whose_message_never_comes_is_ended(hasty: LiveServer) -> None:
    never = threading.Event()

    def nothing() -> Iterator[bytes]:
        never.wait(PATIENCE)
        yield b""

    with grpc.insecure_channel(hasty.grpc) as channel, pytest.raises(grpc.RpcError) as ended:
        channel.stream_unary(f"{SERVICE}ModelInfer")(nothing(), metadata=KEY, timeout=PATIENCE)
    never.set()
    assert ended.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert "did not come in time" in ended.value.details()


def test_a_call_without_a_message_is_refused(server: LiveServer) -> None:
    with grpc.insecure_channel(server.grpc) as channel, pytest.raises(grpc.RpcError) as refused:
        channel.stream_unary(f"{SERVICE}ModelInfer")(iter(()), metadata=KEY, timeout=PATIENCE)
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_a_message_of_a_stream_that_names_no_model_is_counted_and_the_stream_goes_on() -> None:
    from aias.serving.grpc.calls import message

    with live_server(bounds=SMALL, grpc=True) as server, grpc.insecure_channel(server.grpc) as channel:
        stream = channel.stream_stream(f"{SERVICE}ModelStreamInfer")
        answers = [*stream(iter([b"", b""]), metadata=KEY, timeout=PATIENCE)]
        shown = server.call("GET", "/metrics").body.decode().splitlines()

    said = [message("ModelStreamInferResponse").FromString(each).error_message for each in answers]
    assert said == ["the call names no model"] * 2
    assert 'aias_refusals_total{endpoint="",reason="serving.bad-body",version=""} 2.0' in shown
    assert 'aias_requests_total{endpoint="",status="400",version=""} 2.0' in shown


def test_a_connection_that_says_nothing_is_cut() -> None:
    import socket

    with live_server(bounds=replace(SMALL, header_seconds=0.4), grpc=True) as server:
        host, port = server.grpc.split(":")
        with socket.create_connection((host, int(port)), timeout=PATIENCE) as silent:
            read_all(silent)


def test_idle_connections_keep_no_newcomer_out_and_are_closed_after_a_while() -> None:
    import socket

    with live_server(
        bounds=replace(SMALL, grpc_calls=2, grpc_connections=8, grpc_idle_seconds=1.0), grpc=True
    ) as server:
        host, port = server.grpc.split(":")
        idle = [socket.create_connection((host, int(port)), timeout=PATIENCE) for _ in range(6)]
        for each in idle:
            each.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")

        assert call(server, f"{SERVICE}ModelInfer", infer_body())
        for each in idle:
            read_all(each)
            each.close()


def test_only_so_many_may_watch_and_others_go_on(server: LiveServer) -> None:
    with grpc.insecure_channel(server.grpc) as channel:
        watch = channel.unary_stream("/grpc.health.v1.Health/Watch")
        watching = [watch(b"") for _ in range(2)]
        assert [next(each) for each in watching] == [b"\x08\x01"] * 2
        with pytest.raises(grpc.RpcError) as refused:
            next(watch(b""))
        assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert call(server, f"{SERVICE}ModelInfer", infer_body())
        for each in watching:
            each.cancel()
    eventually(lambda: not watchers(server))


def watchers(server: LiveServer) -> int:
    with grpc.insecure_channel(server.grpc) as channel:
        watch = channel.unary_stream("/grpc.health.v1.Health/Watch")(b"", timeout=PATIENCE)
        try:
            return 0 if next(watch) == b"\x08\x01" else 1
        except grpc.RpcError:
            return 1
        finally:
            watch.cancel()


def test_a_deadline_ends_the_call_and_not_the_server() -> None:
    slow, shelf = Slow(), Shelf()
    with live_server(shelf, bounds=THREADS, grpc=True) as server:
        shelf.runtimes["churn-1"] = slow
        slow.let.set()
        shelf.deploy("churn", 1, slow)
        eventually(lambda: server.gateway.router.ready and server.gateway.router.loaded())
        slow.let.clear()
        assert code_of(server, f"{SERVICE}ModelInfer", infer_body(), timeout=0.3) == "DEADLINE_EXCEEDED"
        slow.let.set()
        assert call(server, f"{SERVICE}ModelInfer", infer_body())


def test_a_server_that_stops_finishes_the_calls_that_it_has_begun() -> None:
    slow, shelf = Slow(), Shelf()
    slow.let.set()
    shelf.deploy("churn", 1, slow)
    answers: list[bytes] = []
    with live_server(shelf, bounds=THREADS, grpc=True) as server:
        slow.let.clear()
        slow.asked.clear()
        body = infer_body()
        asking = threading.Thread(target=lambda: answers.append(call(server, f"{SERVICE}ModelInfer", body)))
        asking.start()
        assert slow.asked.wait(PATIENCE)
        server.gateway.stop()
        eventually(lambda: not server.gateway.ready)
        slow.let.set()
        asking.join()
    assert answers and b"yes" in answers[0]


def test_who_watches_or_waits_does_not_keep_a_server_from_stopping() -> None:
    never = threading.Event()

    def nothing() -> Iterator[bytes]:
        never.wait(PATIENCE)
        yield from ()

    with live_server(
        bounds=replace(SMALL, drain_seconds=10 * PATIENCE, body_seconds=10 * PATIENCE), grpc=True
    ) as server:
        channel = grpc.insecure_channel(server.grpc)
        watching = channel.unary_stream("/grpc.health.v1.Health/Watch")(b"")
        assert next(watching) == b"\x08\x01"
        stream = channel.stream_stream(f"{SERVICE}ModelStreamInfer")(nothing(), metadata=KEY)
        eventually(lambda: call(server, f"{SERVICE}ServerLive"))
    # `live_server` waits for its end, and fails long before that.
    assert list(watching) == [b"\x08\x02"]
    with pytest.raises(grpc.RpcError) as stopped:
        next(stream)
    assert stopped.value.code().name == "UNAVAILABLE"
    never.set()
    channel.close()


def test_a_taken_port_is_told() -> None:
    from aias.serving.bounds import SecondPort
    from aias.serving.gateway import Gateway
    from aias.serving.processes.ports import PortInUse
    from live_server import FakeKeyRing, no_ledger

    shelf = Shelf()
    with closing(listen("127.0.0.1", 0)) as taken, closing(listen("127.0.0.1", 0)) as free:
        second = SecondPort("127.0.0.1", taken.getsockname()[1])
        gateway = Gateway(shelf, shelf.load, FakeKeyRing, ledger=no_ledger, bounds=SMALL, second=second)
        with pytest.raises(PortInUse):
            gateway.run(free)


def test_processes_of_one_server_may_share_the_port() -> None:
    from aias.serving.bounds import SecondPort
    from aias.serving.gateway import Gateway
    from aias.serving.processes.ports import PortInUse
    from live_server import FakeKeyRing, no_ledger

    shelf = Shelf()
    with live_server(grpc=True) as first, closing(listen("127.0.0.1", 0)) as free:
        alone = SecondPort("127.0.0.1", int(first.grpc.split(":")[1]), shared=True)
        with pytest.raises(PortInUse):  # the first does not share
            Gateway(shelf, shelf.load, FakeKeyRing, ledger=no_ledger, bounds=SMALL, second=alone).run(free)
    port = free_port()
    shared = SecondPort("127.0.0.1", port, shared=True)
    gateways = [Gateway(shelf, shelf.load, FakeKeyRing, ledger=no_ledger, bounds=SMALL, second=shared) for _ in "ab"]
    ready = threading.Barrier(3)
    listeners = [listen("127.0.0.1", 0) for _ in gateways]
    threads = [
        threading.Thread(target=each.run, args=(own,), kwargs={"when_ready": lambda: ready.wait(PATIENCE)})
        for each, own in zip(gateways, listeners, strict=True)
    ]
    for thread in threads:
        thread.start()
    ready.wait(PATIENCE)
    assert [each.grpc_port for each in gateways] == [port, port]
    for each, thread, own in zip(gateways, threads, listeners, strict=True):
        each.stop()
        thread.join(PATIENCE)
        own.close()
