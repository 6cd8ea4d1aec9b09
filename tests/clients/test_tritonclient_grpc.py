"""The Open Inference Protocol over gRPC, asked by `tritonclient` and by gRPC's own tools."""

import asyncio
import json
import os
import queue
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from live_server import PATIENCE, LiveServer

grpc = pytest.importorskip("grpc", reason="needs the extra `grpc`")
triton = pytest.importorskip("tritonclient.grpc", reason="needs tritonclient[grpc], which the extra `dev` brings")
InferenceServerException = pytest.importorskip("tritonclient.utils").InferenceServerException

KEY = {"authorization": "Bearer all-key"}
AGES, PLANS = [50.0, 20.0, 60.0], ["pro", "basic", "pro"]


@pytest.fixture(scope="module")
def client(server: LiveServer) -> Iterator[Any]:
    made = triton.InferenceServerClient(server.grpc)
    yield made
    made.close()


def tensors() -> list[Any]:
    age, plan = triton.InferInput("age", [3], "FP64"), triton.InferInput("plan", [3], "BYTES")
    age.set_data_from_numpy(np.array(AGES))
    plan.set_data_from_numpy(np.array(PLANS, dtype=object))
    return [age, plan]


def checked(result: Any) -> None:
    assert result.as_numpy("prediction").tolist() == [b"yes", b"no", b"yes"]
    np.testing.assert_array_equal(result.as_numpy("probabilities"), [[0.25, 0.75], [0.75, 0.25], [0.25, 0.75]])


def status_of(call: Any) -> str:
    with pytest.raises(InferenceServerException) as refused:
        call()
    return str(refused.value.status()).removeprefix("StatusCode.")


def test_the_client_finds_the_server_live_and_ready(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("churn", headers=KEY)
    assert client.is_model_ready("churn", "7", headers=KEY)
    assert not client.is_model_ready("churn", "6", headers=KEY)
    assert not client.is_model_ready("chum", headers=KEY)


def test_the_client_reads_the_same_descriptions_as_over_http(server: LiveServer, client: Any) -> None:
    over_http = server.call("GET", "/v2/models/churn").json
    found = client.get_model_metadata("churn", headers=KEY, as_json=True)
    for tensor in [*found["inputs"], *found["outputs"]]:
        tensor["shape"] = [int(size) for size in tensor["shape"]]
    assert found == over_http

    config = client.get_model_config("churn", "7", headers=KEY).config
    assert (config.name, config.max_batch_size, config.input[0].name, config.input[0].data_type) == (
        "churn",
        100,
        "age",
        12,
    )
    assert list(config.output[1].dims) == [2]
    assert client.get_server_metadata(headers=KEY).name == "aias"


@pytest.mark.parametrize("version", ["", "7"])
@pytest.mark.parametrize("packing", [None, "gzip", "deflate"])
def test_the_client_gets_its_answers(client: Any, version: str, packing: str | None) -> None:
    result = client.infer("churn", tensors(), version, request_id="r-1", headers=KEY, compression_algorithm=packing)

    checked(result)
    response = result.get_response()
    assert (response.id, response.model_name, response.model_version) == ("r-1", "churn", "7")
    assert len(response.raw_output_contents) == 2


def test_the_client_gets_the_outputs_that_it_names(client: Any) -> None:
    wanted = [triton.InferRequestedOutput("probabilities", class_count=1)]

    result = client.infer("churn", tensors(), outputs=wanted, headers=KEY)

    assert result.as_numpy("prediction") is None
    assert result.as_numpy("probabilities").tolist() == [[b"0.75:1:yes"], [b"0.75:0:no"], [b"0.75:1:yes"]]


def test_a_stream_goes_on_after_a_refusal(client: Any) -> None:
    answers: queue.Queue[Any] = queue.Queue()
    client.start_stream(lambda result, error: answers.put((result, error)), headers=KEY)
    for name in ("churn", "chum", "churn"):
        client.async_stream_infer(name, tensors(), request_id=name, enable_empty_final_response=True)
    found = [answers.get(timeout=PATIENCE) for _ in range(3)]
    client.stop_stream()

    checked(found[0][0])
    assert found[0][0].get_response().parameters["triton_final_response"].bool_param
    assert "there is no endpoint `chum`" in str(found[1][1])
    checked(found[2][0])


def test_the_client_reads_statistics_and_the_index(client: Any) -> None:
    def count() -> int:
        return int(client.get_inference_statistics("churn", headers=KEY).model_stats[0].inference_count)

    before = count()
    client.infer("churn", tensors(), headers=KEY)

    assert count() == before + 3
    assert len(client.get_inference_statistics(headers=KEY).model_stats) >= 1
    index = client.get_model_repository_index(headers=KEY).models
    assert [(each.name, each.version, each.state) for each in index] == [
        ("churn", "7", "READY"),
        ("price", "2", "READY"),
        ("square", "1", "READY"),
    ]


def test_the_asynchronous_client_gets_its_answers_many_at_once(server: LiveServer) -> None:
    from tritonclient.grpc import aio

    async def ask() -> list[Any]:
        async with aio.InferenceServerClient(server.grpc) as client:
            calls = [client.infer("churn", tensors(), request_id=str(at), headers=KEY) for at in range(32)]
            return await asyncio.gather(*calls)

    for at, result in enumerate(asyncio.run(ask())):
        checked(result)
        assert result.get_response().id == str(at)


def test_every_refusal_has_the_code_that_clients_act_on(client: Any) -> None:
    assert status_of(lambda: client.infer("churn", tensors())) == "UNAUTHENTICATED"
    assert (
        status_of(lambda: client.infer("churn", tensors(), headers={"authorization": "Bearer no"})) == "UNAUTHENTICATED"
    )
    read_only = {"authorization": "Bearer read-key"}
    assert status_of(lambda: client.infer("churn", tensors(), headers=read_only)) == "PERMISSION_DENIED"
    assert status_of(lambda: client.infer("chum", tensors(), headers=KEY)) == "NOT_FOUND"
    assert status_of(lambda: client.infer("churn", tensors(), "8", headers=KEY)) == "NOT_FOUND"
    assert status_of(lambda: client.infer("churn", [], headers=KEY)) == "INVALID_ARGUMENT"
    assert status_of(lambda: client.load_model("other", headers=KEY)) == "UNIMPLEMENTED"
    assert status_of(lambda: client.get_system_shared_memory_status(headers=KEY)) == "UNIMPLEMENTED"


def test_a_name_cannot_become_another_path(client: Any) -> None:
    for name in ("churn/config", "churn/versions/7", "../models/churn", "churn%2Fconfig", "churn?x", "chürn", "\x00"):
        assert status_of(lambda name=name: client.get_model_metadata(name, headers=KEY)) == "NOT_FOUND"
    assert status_of(lambda: client.get_model_metadata("", headers=KEY)) == "INVALID_ARGUMENT"


def test_both_ways_in_are_counted_together(server: LiveServer, client: Any) -> None:
    before = dict(server.gateway.metrics.requests)
    client.infer("churn", tensors(), headers=KEY)
    status_of(lambda: client.infer("churn", tensors()))

    assert server.gateway.metrics.requests["churn", "churn@7", 200] == before.get(("churn", "churn@7", 200), 0) + 1
    assert server.gateway.metrics.refusals["serving.no-key", "", ""] >= 1


def test_what_is_refused_before_it_is_a_request_is_counted_and_logged_as_one(server: LiveServer) -> None:
    """Of some is known what model they are for, of others not even what they say."""
    from aias.serving.observability.logs import ACCESS

    service, (logged, into) = "/inference.GRPCInferenceService", os.pipe()
    before = Counter(server.gateway.metrics.requests)
    ACCESS.start(into)
    try:
        keyless, garbage, twice = (sent(server, **each) for each in (
            {"keyless": True}, {"raw": b"\xff\xff"}, {"inputs": [("age", "FP64")], "raws": [b"", b""]},
        ))  # fmt: skip
    finally:
        ACCESS.stop()
        os.close(into)

    with os.fdopen(logged) as read:
        lines = [json.loads(line) for line in read]
    found = [(each["path"], each.get("key"), each.get("endpoint"), each["status"], each["code"]) for each in lines]
    assert (keyless, garbage, twice) == ("UNAUTHENTICATED", "INVALID_ARGUMENT", "INVALID_ARGUMENT")
    assert found == [
        (f"{service}/ModelInfer", None, None, 401, "serving.no-key"),
        (f"{service}/ModelInfer", "test", None, 400, "serving.bad-body"),
        ("/v2/models/churn/infer", "test", "churn", 400, "serving.bad-body"),
    ]
    more = server.gateway.metrics.requests - before
    assert more == {("", "", 401): 1, ("", "", 400): 1, ("churn", "churn@7", 400): 1}


# Messages by hand


def sent(
    server: LiveServer, *, keyless: bool = False, raw: bytes = b"", inputs: Sequence[tuple[str, str]] = (),
    raws: Sequence[bytes] = (),
) -> str:  # fmt: skip
    """The status of a call with these bytes for its message, or one made of inputs and raw contents."""
    from tritonclient.grpc import service_pb2 as messages

    request = messages.ModelInferRequest(model_name="churn", raw_input_contents=raws)
    for name, datatype in inputs:
        request.inputs.add(name=name, datatype=datatype, shape=[1])
    with grpc.insecure_channel(server.grpc) as channel:
        call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        with pytest.raises(grpc.RpcError) as ended:
            call(raw or request.SerializeToString(), metadata=() if keyless else tuple(KEY.items()), timeout=PATIENCE)
    return str(ended.value.code().name)


def infer(server: LiveServer, name: str = "churn", **request: Any) -> Any:
    """The reply to a message, made of the client's own classes."""
    from tritonclient.grpc import service_pb2 as messages
    from tritonclient.grpc import service_pb2_grpc as stubs

    with grpc.insecure_channel(server.grpc) as channel:
        stub = stubs.GRPCInferenceServiceStub(channel)
        sent = messages.ModelInferRequest(model_name=name, **request)
        return stub.ModelInfer(sent, metadata=tuple(KEY.items()), timeout=PATIENCE)


def refusal(server: LiveServer, name: str = "churn", **request: Any) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as refused:
        infer(server, name, **request)
    return refused.value.code().name, refused.value.details()


def tensor(contents: dict[str, Any] | None = None, **changed: Any) -> dict[str, Any]:
    own = {"name": "age", "datatype": "FP64", "shape": [1]} | changed
    return own | ({"contents": contents} if contents is not None else {})


@pytest.mark.parametrize(
    ("datatype", "contents"),
    [
        ("FP64", {"fp64_contents": [50]}),
        ("FP32", {"fp32_contents": [50]}),
        ("INT8", {"int_contents": [50]}),
        ("INT32", {"int_contents": [50]}),
        ("INT64", {"int64_contents": [50]}),
        ("UINT16", {"uint_contents": [50]}),
        ("UINT64", {"uint64_contents": [50]}),
        ("BYTES", {"bytes_contents": [b"50"]}),
    ],
)
def test_contents_of_any_type_are_answered_in_contents(
    server: LiveServer, datatype: str, contents: dict[str, Any]
) -> None:
    reply = infer(server, inputs=[tensor(contents, datatype=datatype)])

    assert list(reply.outputs[0].contents.bytes_contents) == [b"yes"]
    assert list(reply.outputs[1].contents.fp32_contents) == [0.25, 0.75]
    assert not reply.raw_output_contents


def test_texts_may_hold_nothing(server: LiveServer) -> None:
    plan = tensor({"bytes_contents": [b"", b"\x00", "ü".encode()]}, name="plan", datatype="BYTES", shape=[3])

    assert len(infer(server, inputs=[plan]).outputs[0].contents.bytes_contents) == 3


def test_no_rows_get_no_answers(server: LiveServer) -> None:
    reply = infer(server, inputs=[tensor(shape=[0])])

    assert [list(each.shape) for each in reply.outputs] == [[0], [0, 2]]


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_what_json_cannot_write_comes_back_as_it_is(server: LiveServer, number: float) -> None:
    side = tensor({"fp64_contents": [number]}, name="side")

    np.testing.assert_equal(list(infer(server, "square", inputs=[side]).outputs[0].contents.fp64_contents), [number])


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"inputs": [tensor({"fp64_contents": [1]})], "raw_input_contents": [b"\0" * 8]}, "beside raw_input_contents"),
        ({"inputs": [tensor()], "raw_input_contents": [b"\0" * 8] * 2}, "2 raw_input_contents"),
        ({"inputs": [tensor()], "raw_input_contents": [b"\0" * 7]}, "7 bytes"),
        ({"inputs": [tensor()], "raw_input_contents": [b""]}, "0 bytes"),
        ({"inputs": [tensor()]}, "0 bytes"),
        ({"inputs": [tensor({"fp32_contents": [1]})]}, "stands in fp64_contents, not in fp32_contents"),
        ({"inputs": [tensor({"int_contents": [128]}, datatype="INT8")]}, "out of the range"),
        ({"inputs": [tensor({"uint_contents": [256]}, datatype="UINT8")]}, "out of the range"),
        ({"inputs": [tensor({"fp32_contents": [1]}, datatype="FP16")]}, "raw_input_contents only"),
        ({"inputs": [tensor({"fp64_contents": [1]}, datatype="FP128")]}, "the datatype must be one of"),
        ({"inputs": [tensor({"fp64_contents": [1, 2]})]}, "16 bytes"),
        ({"inputs": [tensor({"fp64_contents": [1]}, shape=[-1])]}, "shape must be"),
        ({"inputs": [tensor({"fp64_contents": [1]}, shape=[])]}, "shape must be"),
        ({"inputs": [tensor({"fp64_contents": [1]}), tensor({"fp64_contents": [1]})]}, "came twice"),
        ({"inputs": [tensor({"fp64_contents": [1]})], "outputs": [{"name": "shoe"}]}, "no output `shoe`"),
        ({"inputs": [tensor({"bytes_contents": [b"x"]}, datatype="BYTES")]}, "field `age`"),
        ({"inputs": [tensor({"bytes_contents": [b"\xff"]}, name="plan", datatype="BYTES")]}, "not UTF-8"),
        ({"inputs": [tensor({}, shape=[2], parameters={"binary_data_size": {"int64_param": 16}})]}, "0 bytes"),
    ],
)  # fmt: skip
def test_a_message_that_is_wrong_is_refused_in_words(server: LiveServer, request_: dict[str, Any], words: str) -> None:
    code, details = refusal(server, **request_)

    assert (code, words in details) == ("INVALID_ARGUMENT", True), details


def test_a_shape_beyond_all_bounds_is_refused(server: LiveServer) -> None:
    assert refusal(server, inputs=[tensor({"fp64_contents": [1]}, shape=[2**62, 4])])[0] == "INVALID_ARGUMENT"
    assert refusal(server, inputs=[tensor({"fp64_contents": [1]}, shape=[2**62])])[0] == "RESOURCE_EXHAUSTED"
    region = {"shared_memory_region": {"string_param": "x"}}
    assert refusal(server, inputs=[tensor({"fp64_contents": [1]}, parameters=region)])[0] == "UNIMPLEMENTED"


# Other tools


def test_health_is_told_as_load_balancers_ask_it(server: LiveServer) -> None:
    with grpc.insecure_channel(server.grpc) as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        assert check(b"") == b"\x08\x01"
        assert (
            check(
                b"\x0a\x24inference.GRPCInferenceService"[:2].replace(b"\x24", b"\x1e")
                + b"inference.GRPCInferenceService"
            )
            == b"\x08\x01"
        )
        with pytest.raises(grpc.RpcError) as unknown:
            check(b"\x0a\x01x")
        assert unknown.value.code() == grpc.StatusCode.NOT_FOUND
        watch = channel.unary_stream("/grpc.health.v1.Health/Watch")(b"")
        assert next(watch) == b"\x08\x01"
        watch.cancel()


@pytest.mark.parametrize("package", ["grpc.reflection.v1", "grpc.reflection.v1alpha"])
def test_reflection_gives_files_that_other_programs_can_build(server: LiveServer, package: str) -> None:
    from google.protobuf import descriptor_pb2, descriptor_pool

    from aias.serving.grpc.proto import renamed

    own = renamed("reflection", package)
    kind, reply = own.message("ServerReflectionRequest"), own.message("ServerReflectionResponse")
    with grpc.insecure_channel(server.grpc) as channel:
        ask = channel.stream_stream(
            f"/{package}.ServerReflection/ServerReflectionInfo",
            request_serializer=kind.SerializeToString,
            response_deserializer=reply.FromString,
        )
        questions = [
            kind(list_services="*"),
            kind(file_containing_symbol="inference.GRPCInferenceService"),
            kind(file_by_filename="health.proto"),
            kind(file_containing_symbol="not.here"),
        ]
        services, symbol, named, missing = ask(iter(questions), metadata=tuple(KEY.items()))

    assert "inference.GRPCInferenceService" in [each.name for each in services.list_services_response.service]
    pool = descriptor_pool.DescriptorPool()
    for answer in (symbol, named):
        file = descriptor_pb2.FileDescriptorProto.FromString(answer.file_descriptor_response.file_descriptor_proto[0])
        # Elsewhere relative names are not looked up.
        assert all(field.type_name[:1] in ("", ".") for each in file.message_type for field in each.field)
        pool.Add(file)
    method = pool.FindServiceByName("inference.GRPCInferenceService").FindMethodByName("ModelInfer")
    assert method.input_type.full_name == "inference.ModelInferRequest"
    assert missing.error_response.error_code == 5


def test_our_messages_are_those_of_the_protocol() -> None:
    """Every field that we have has the number and type that the client's own generated code has."""
    from tritonclient.grpc import model_config_pb2, service_pb2

    from aias.serving.grpc.proto import schema

    theirs = {**service_pb2.DESCRIPTOR.message_types_by_name, **model_config_pb2.DESCRIPTOR.message_types_by_name}
    for message in schema("inference").file.message_type:
        assert same_fields(schema("inference").message(message.name).DESCRIPTOR, theirs[message.name])


def same_fields(ours: Any, theirs: Any) -> bool:
    for field in ours.fields:
        if field.name in {"model_name", "isLoaded", "isUnloaded"} and field.name not in theirs.fields_by_name:
            continue  # KServe's
        other = theirs.fields_by_name[field.name]
        found = other.number, other.type, other.is_repeated
        assert (field.number, field.type, field.is_repeated) == found, field.full_name
    return all(same_fields(each, theirs.nested_types_by_name[each.name]) for each in ours.nested_types)
