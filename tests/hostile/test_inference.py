"""Requests of the Open Inference Protocol with bytes changed at random: answered or refused, and nothing else."""

import http.client
import json
import random
import struct
from collections.abc import Iterator

import pytest

from live_server import PATIENCE, LiveServer, live_server

TRIALS = 400

WITH_A_HUGE_NUMBER = "a number of more digits than Python writes"


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    with live_server() as running:
        yield running


def whole() -> tuple[bytes, int]:
    """A request in the binary form, and how much of it is JSON."""
    texts = b"".join(struct.pack("<I", len(each)) + each for each in (b"pro", b"", b"a\x00b"))
    inputs = [
        {"name": "age", "datatype": "FP32", "shape": [3], "parameters": {"binary_data_size": 12}},
        {"name": "plan", "datatype": "BYTES", "shape": [3, 1], "parameters": {"binary_data_size": len(texts)}},
    ]
    outputs = [{"name": "probabilities", "parameters": {"binary_data": True, "classification": 2}}]
    head = json.dumps({"id": "x", "inputs": inputs, "outputs": outputs, "parameters": {"priority": 1}}).encode()
    return head + struct.pack("<3f", 50, 20, 60) + texts, len(head)


def changed(body: bytes, chance: random.Random) -> bytes:
    """The body with a few bytes changed, lost, doubled or moved."""
    found = bytearray(body)
    for _ in range(chance.randint(1, 4)):
        at, much = chance.randrange(len(found)), chance.randint(1, 12)
        match chance.randrange(5):
            case 0:
                found[at] = chance.randrange(256)
            case 1:
                del found[at : at + much]
            case 2:
                found[at:at] = found[at : at + much]
            case 3:
                found[at : at + much] = chance.choice([b"null", b"-1", b"1e999", b"[]", b"{}", b'"', b"\xff" * 4])
            case _:
                found = found[at:] + found[:at]
        found = found or bytearray(b" ")
    return bytes(found)


def test_changed_requests_are_answered_or_refused_in_words(server: LiveServer) -> None:
    body, length = whole()
    chance = random.Random(7)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    seen = set()
    for trial in range(TRIALS):
        sent = body if trial == 0 else changed(body, chance)
        headers = {"Authorization": "Bearer all-key", "Inference-Header-Content-Length": str(min(length, len(sent)))}
        connection.request("POST", "/v2/models/churn/infer", sent, headers)
        response = connection.getresponse()
        told = response.read()
        seen.add(response.status)
        assert response.status in (200, 400, 413, 501), (sent, told)
        if response.status != 200:
            assert list(json.loads(told)) == ["error"]
    connection.close()
    assert seen >= {200, 400}


def test_very_many_inputs_are_refused_though_they_hold_nothing(server: LiveServer) -> None:
    one = '{"name": "age", "datatype": "FP64", "shape": [0], "data": []}'
    body = f'{{"inputs": [{", ".join([one] * 10_001)}]}}'

    response = server.call("POST", "/v2/models/churn/infer", body)

    assert response.status == 400
    assert b"more than 10,000 inputs" in response.body


def test_changed_messages_are_answered_or_refused_in_words() -> None:
    grpc = pytest.importorskip("grpc", reason="needs the extra `grpc`")
    from aias.serving.grpc.calls import message

    request = message("ModelInferRequest")(model_name="churn", id="x")
    request.inputs.add(name="age", datatype="FP64", shape=[2]).contents.fp64_contents.extend([50, 20])
    plan = request.inputs.add(name="plan", datatype="BYTES", shape=[2])
    plan.contents.bytes_contents.extend([b"pro", b""])
    plan.parameters["said"].string_param = "in passing"
    request.outputs.add(name="prediction").parameters["binary_data"].bool_param = True
    body, chance = request.SerializeToString(), random.Random(7)
    allowed = {"OK", "INVALID_ARGUMENT", "NOT_FOUND", "RESOURCE_EXHAUSTED", "UNIMPLEMENTED"}
    seen = set()

    with live_server(grpc=True) as server, grpc.insecure_channel(server.grpc) as channel:
        infer = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        for trial in range(TRIALS):
            sent = body if trial == 0 else changed(body, chance)
            try:
                infer(sent, metadata=(("authorization", "Bearer all-key"),), timeout=PATIENCE)
                seen.add("OK")
            except grpc.RpcError as refused:
                seen.add(refused.code().name)
                assert refused.code().name in allowed, (sent, refused.details())
    assert seen >= {"OK", "INVALID_ARGUMENT", "NOT_FOUND"}


@pytest.mark.parametrize(
    "more",
    [
        {"data": ["x"]},
        {"shape": [2], "data": [1]},
        {"shape": [10**4000, 2, 3], "data": [1]},
        {"data": [10**4000]},
        {"data": [1], "shape": [WITH_A_HUGE_NUMBER, 1, 1]},
        {"parameters": {"binary_data_size": WITH_A_HUGE_NUMBER}},
        {},
        {"datatype": "FP16", "data": [1]},
        {"parameters": {"binary_data_size": -1}},
        {"parameters": {"binary_data_size": 10**4000}},
        {"parameters": {"shared_memory_region": "a"}},
    ],
)
def test_what_is_said_of_a_tensor_is_short_whatever_it_is_called(server: LiveServer, more: dict[str, object]) -> None:
    """Over gRPC a long message never arrives: its client is told of headers that are too large instead."""
    tensor = {"name": "a" * 100_000, "datatype": "FP64", "shape": [1]} | more

    body = json.dumps({"inputs": [tensor]}).replace(f'"{WITH_A_HUGE_NUMBER}"', "9" * 9_000)

    refused = server.call("POST", "/v2/models/churn/infer", body)

    assert refused.status in (400, 413, 501)
    assert len(refused.body) < 1_000
