"""Workers die under callers of the second port: who lets gRPC repeat, as the page says, does not notice."""

import json
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from mortal_server import PATIENCE, serving

from aias.access.ledger import Ledger
from aias.access.quotas import checked
from aias.serving.survival.keeper import can_keep
from live_server import eventually, live_server

grpc = pytest.importorskip("grpc", reason="needs the extra `grpc`")
pytestmark = pytest.mark.skipif(not can_keep(), reason="this machine cannot keep connections")

INFER = "/inference.GRPCInferenceService/ModelInfer"
RETRY = {"maxAttempts": 5, "initialBackoff": "0.1s", "maxBackoff": "2s", "backoffMultiplier": 3}
POLICY = {"methodConfig": [{"name": [{}], "retryPolicy": RETRY | {"retryableStatusCodes": ["UNAVAILABLE"]}}]}


DATA, HEADERS = 0, 1
"""Kinds of frames of HTTP/2 (RFC 9113, section 6)."""


def forward(source: socket.socket, put: Callable[[bytes], object]) -> None:
    with suppress(OSError):
        while part := source.recv(1 << 16):
            put(part)


def frames(part: bytes) -> Iterator[tuple[int, bool]]:
    """The kind of each, and whether it is the last of its call."""
    while part:
        yield part[3], bool(part[4] & 1)
        part = part[9 + int.from_bytes(part[:3]) :]


def question(model: str) -> bytes:
    from aias.serving.grpc.calls import message

    request = message("ModelInferRequest")(model_name=model)
    request.inputs.add(name="age", datatype="BYTES", shape=[1]).contents.bytes_contents.append(b"50")
    return bytes(request.SerializeToString())


def test_a_client_that_lets_grpc_repeat_sees_none_of_its_workers_die() -> None:
    answered, failed, enough = list[bytes](), list[object](), threading.Event()
    with serving(workers=2, grpc=True) as server:
        assert server.second is not None
        where = f"127.0.0.1:{server.second.port}"

        def ask() -> None:
            with grpc.insecure_channel(where, options=[("grpc.service_config", json.dumps(POLICY))]) as channel:
                infer, sent = channel.unary_unary(INFER), question("slow")
                while not enough.is_set() and not failed:
                    try:
                        answered.append(infer(sent, metadata=(("authorization", "Bearer all-key"),), timeout=PATIENCE))
                    except grpc.RpcError as fault:
                        failed.append(fault)

        clients = [threading.Thread(target=ask) for _ in range(4)]
        for client in clients:
            client.start()
        for killed in range(3):
            eventually(lambda killed=killed: server.told("serve.worker-died") == killed, PATIENCE)
            seen = len(answered)
            eventually(lambda seen=seen: len(answered) >= seen + 20 or failed, PATIENCE)
            eventually(server.whole, PATIENCE)
            os.kill(server.supervisor.pids[0], signal.SIGKILL)
        seen = len(answered)
        eventually(lambda: len(answered) >= seen + 20 or failed, PATIENCE)
        enough.set()
        for client in clients:
            client.join(PATIENCE)

    assert failed == []
    assert len({*answered}) == 1


def test_an_answer_and_the_end_of_its_call_are_one_write() -> None:
    """Between the two a death could not be repeated unseen."""
    with live_server(grpc=True) as server, socket.create_server(("127.0.0.1", 0)) as between:
        told = list[bytes]()

        def carry() -> None:
            client, _ = between.accept()
            with client, socket.create_connection(("127.0.0.1", int(server.grpc.rpartition(":")[2]))) as served:
                for each in (client, served):
                    # Else each small piece waits, for up to 40 ms, until the one before it is acknowledged.
                    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

                def upwards() -> None:
                    forward(client, served.sendall)
                    served.shutdown(socket.SHUT_WR)

                threading.Thread(target=upwards, daemon=True).start()
                forward(served, lambda part: (told.append(part), client.sendall(part)))

        carrier = threading.Thread(target=carry)
        carrier.start()
        with grpc.insecure_channel(f"127.0.0.1:{between.getsockname()[1]}") as channel:
            infer, key = channel.unary_unary(INFER), (("authorization", "Bearer all-key"),)
            for _ in range(20):
                infer(question("churn"), metadata=key, timeout=PATIENCE)
        carrier.join(PATIENCE)

    kinds = [[kind for kind in frames(part) if kind in {(DATA, False), (HEADERS, True)}] for part in told]
    assert [found for found in kinds if found] == [[(DATA, False), (HEADERS, True)]] * 20


def test_who_is_to_come_again_is_told_when_in_grpcs_own_words(tmp_path: Path) -> None:
    quotas = {"few": checked(["1/minute"])}
    opened = partial(Ledger.open, tmp_path)
    with live_server(grpc=True, quotas=quotas, ledger=opened) as server, grpc.insecure_channel(server.grpc) as channel:
        infer, key = channel.unary_unary(INFER), (("authorization", "Bearer few"),)
        infer(question("churn"), metadata=key, timeout=PATIENCE)
        with pytest.raises(grpc.RpcError) as refused:
            infer(question("churn"), metadata=key, timeout=PATIENCE)

    told = dict(refused.value.trailing_metadata())
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert 0 < int(told["grpc-retry-pushback-ms"]) <= 60_000
