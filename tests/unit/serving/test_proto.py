"""The reader of `.proto` files: what it reads is what it says, and what it does not know stops it."""

import pytest

pytest.importorskip("google.protobuf", reason="needs the extra `grpc`")

from aias.serving.grpc.proto import Schema, read, renamed, schema

HEAD = 'syntax = "proto3"; package a.b; '


def test_messages_of_every_form_come_back_from_their_bytes() -> None:
    text = HEAD + (
        "// said in passing\n"
        "enum Colour { RED = 0; BLUE = 1; }"
        "message Outer { message Inner { int64 n = 1; } repeated Inner inner = 1; map<string, Inner> by_name = 2;"
        " oneof choice { string word = 3; Colour colour = 4; } repeated double numbers = 15; }"
    )
    kind = Schema(read("test", text)).message("Outer")

    made = kind(inner=[{"n": 1}, {"n": -2}], colour="BLUE", numbers=[0.5, 2])
    made.by_name["x"].n = 7
    found = kind.FromString(made.SerializeToString())

    assert found == made
    assert (found.WhichOneof("choice"), [each.n for each in found.inner]) == ("colour", [1, -2])
    assert {name: each.n for name, each in found.by_name.items()} == {"x": 7}


def test_a_service_says_which_side_streams() -> None:
    (service,) = read("test", HEAD + "message M {} service S { rpc Go(stream M) returns (M); }").service

    (method,) = service.method
    assert (method.name, method.client_streaming, method.server_streaming) == ("Go", True, False)


@pytest.mark.parametrize(
    "text",
    [
        "",
        'syntax = "proto2"; package a;',
        HEAD + "message M {",
        HEAD + "message M { int64 n; }",
        HEAD + "message M { int64 n = x; }",
        HEAD + "message M { map<int64, string> m = 1; }",
        HEAD + "option x = 1;",
        HEAD + "service S { option x = 1; }",
        HEAD + "message M { int64 n = 1 [deprecated = true]; }",
        HEAD + "message M { §",
    ],
)
def test_what_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        read("test", text)


def test_a_type_that_does_not_exist_is_refused() -> None:
    with pytest.raises(TypeError):
        Schema(read("test", HEAD + "message M { Nothing n = 1; }"))


def test_a_schema_knows_what_it_holds_and_gives_it_to_others_by_full_names() -> None:
    from google.protobuf.descriptor_pb2 import FileDescriptorProto

    file = FileDescriptorProto.FromString(schema("health").resolved())

    assert file.message_type[1].field[0].type_name == ".grpc.health.v1.HealthCheckResponse.ServingStatus"
    assert schema("health").holds("grpc.health.v1.Health")
    assert not schema("health").holds("inference.GRPCInferenceService")
    assert (
        renamed("reflection", "other.name").message("ErrorResponse").DESCRIPTOR.full_name == "other.name.ErrorResponse"
    )
