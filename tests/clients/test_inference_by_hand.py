"""The Open Inference Protocol over HTTP, asked by nobody's client."""

import json
import struct

import pytest

from live_server import LiveServer, Response

INFER = "/v2/models/churn/infer"


def tensor(name: str = "age", **changed: object) -> dict[str, object]:
    return {"name": name, "shape": [1], "datatype": "FP64", "data": [50]} | changed


def ask(server: LiveServer, *inputs: dict[str, object], tail: bytes | None = None, **more: object) -> Response:
    body = json.dumps({"inputs": list(inputs), **more}).encode()
    headers = {} if tail is None else {"Inference-Header-Content-Length": str(len(body))}
    return server.call("POST", INFER, body + (tail or b""), headers=headers)


def refused(response: Response, status: int = 400) -> str:
    """The words of a refusal, which stand in the one form that clients can read."""
    assert response.status == status, response.body
    assert isinstance(response.json, dict)
    assert list(response.json) == ["error"]
    assert isinstance(response.json["error"], str)
    return response.json["error"]


@pytest.mark.parametrize(
    ("datatype", "data"),
    [("FP64", [50.5]), ("FP32", [50]), ("INT32", [50]), ("UINT8", [50]), ("FP64", [[50]]), ("BYTES", ["50"])],
)
def test_numbers_may_come_in_any_type(server: LiveServer, datatype: str, data: list[object]) -> None:
    shape = [1, 1] if isinstance(data[0], list) else [1]

    response = ask(server, tensor(datatype=datatype, data=data, shape=shape))

    assert response.status == 200
    assert response.json["outputs"][0]["data"] == ["yes"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("datatype", "raw"),
    [
        ("FP64", struct.pack("<d", 50)),
        ("FP32", struct.pack("<f", 50)),
        ("FP16", struct.pack("<e", 50)),
        ("BF16", struct.pack("<f", 50)[2:]),
        ("INT8", b"\x32"),
        ("INT64", struct.pack("<q", 50)),
        ("BYTES", b"\x02\x00\x00\x0050"),
    ],
)
def test_numbers_may_come_as_bytes_of_any_type(server: LiveServer, datatype: str, raw: bytes) -> None:
    given = {"name": "age", "shape": [1], "datatype": datatype, "parameters": {"binary_data_size": len(raw)}}

    response = ask(server, given, tail=raw)

    assert response.status == 200, response.body
    assert response.json["outputs"][0]["data"] == ["yes"]  # type: ignore[index]
    assert "inference-header-content-length" not in response.headers


def test_an_output_says_more_about_its_form_than_the_request_does(server: LiveServer) -> None:
    outputs = [{"name": "prediction", "parameters": {"binary_data": False}}, {"name": "probabilities"}]

    response = ask(server, tensor(), parameters={"binary_data_output": True}, outputs=outputs)

    length = int(response.headers["inference-header-content-length"])
    head = json.loads(response.body[:length])
    assert head["outputs"][0]["data"] == ["yes"]
    assert head["outputs"][1]["parameters"] == {"binary_data_size": 8}
    assert struct.unpack("<2f", response.body[length:]) == (0.25, 0.75)
    assert response.headers["content-type"] == "application/octet-stream"


def test_bytes_come_back_behind_their_lengths(server: LiveServer) -> None:
    outputs = [{"name": "prediction", "parameters": {"binary_data": True}}]

    response = ask(server, tensor(data=[50, 20], shape=[2]), outputs=outputs)

    length = int(response.headers["inference-header-content-length"])
    assert response.body[length:] == b"\x03\x00\x00\x00yes\x02\x00\x00\x00no"


def test_a_raw_body_is_the_only_input_and_is_answered_in_bytes(server: LiveServer) -> None:
    raw = {"Inference-Header-Content-Length": "0"}

    response = server.call("POST", "/v2/models/price/infer", b"21", headers=raw)
    length = int(response.headers["inference-header-content-length"])
    assert struct.unpack("<d", response.body[length:]) == (42.0,)
    assert "one input" in refused(server.call("POST", INFER, b"21", headers=raw))


def test_a_raw_body_of_numbers_holds_as_many_rows_as_it_has_numbers(server: LiveServer) -> None:
    raw = {"Inference-Header-Content-Length": "0"}

    response = server.call("POST", "/v2/models/square/infer", struct.pack("<3d", 1, 2, 3), headers=raw)
    length = int(response.headers["inference-header-content-length"])
    assert struct.unpack("<3d", response.body[length:]) == (1, 4, 9)
    assert "multiple of 8" in refused(server.call("POST", "/v2/models/square/infer", b"21", headers=raw))
    assert server.call("POST", "/v2/models/square/infer", b"", headers=raw).status == 200


def test_no_rows_get_no_answers(server: LiveServer) -> None:
    outputs = ask(server, tensor(data=[], shape=[0])).json["outputs"]  # type: ignore[index]

    assert [(output["shape"], output["data"]) for output in outputs] == [([0], []), ([0, 2], [])]


def test_a_bad_value_names_its_row_and_field(server: LiveServer) -> None:
    assert "row 1, field `age`" in refused(ask(server, tensor(datatype="BYTES", data=["1", "x"], shape=[2])))
    assert "shoe" in refused(ask(server, tensor("shoe")))


@pytest.mark.parametrize(
    ("datatype", "value", "shown"), [("INT32", 1.0, "1.0"), ("FP64", "50", "'50'"), ("BOOL", 1, "1"), ("BYTES", 1, "1")]
)
def test_a_value_of_another_type_is_shown(server: LiveServer, datatype: str, value: object, shown: str) -> None:
    said = refused(ask(server, tensor(datatype=datatype, data=[value])))

    assert f"input `age`, row 0: {shown} is no {datatype}" in said


def test_every_health_answer_has_a_body_that_says_so(server: LiveServer) -> None:
    assert server.call("GET", "/v2/health/live", key=None).json == {"live": True}
    assert server.call("GET", "/v2/health/ready", key=None).json == {"ready": True}
    assert server.call("GET", "/v2/models/churn/ready").json == {"name": "churn", "ready": True}


def test_what_cannot_be_written_in_json_is_null(server: LiveServer) -> None:
    given = {"name": "note", "shape": [2], "datatype": "BYTES", "data": ["nan", "inf"]}

    response = server.call("POST", "/v2/models/price/infer", {"inputs": [given]})

    assert response.json["outputs"][0]["data"] == [None, None]  # type: ignore[index]


@pytest.mark.parametrize(
    "changed",
    [
        {"shape": [2]},
        {"shape": [0]},
        {"shape": []},
        {"shape": [1, 2]},
        {"shape": [1, 1, 1]},
        {"shape": [-1]},
        {"shape": [2**63]},
        {"shape": [2**62, 4]},
        {"shape": [10**400]},
        {"shape": [2**32, 2**32]},
        {"shape": [1.5]},
        {"shape": "1"},
        {"shape": None},
        {"datatype": "FP128"},
        {"datatype": "fp64"},
        {"datatype": 7},
        {"datatype": "FP16"},
        {"datatype": "BF16"},
        {"datatype": "BYTES"},
        {"datatype": "INT32", "data": [1.5]},
        {"datatype": "INT32", "data": [2**31]},
        {"datatype": "UINT8", "data": [-1]},
        {"datatype": "FP32", "data": [1e300]},
        {"datatype": "FP32", "data": [-(10**40)]},
        {"datatype": "FP64", "data": [10**400]},
        {"datatype": "BOOL"},
        {"data": ["50"]},
        {"data": None},
        {"data": {}},
        {"data": [[50], [50]]},
        {"data": [[[50]]]},
        {"data": [True]},
        {"name": None},
        {"name": "x" * 10_000},
        {"parameters": []},
        {"parameters": {"binary_data_size": 8}},
        {"parameters": {"binary_data_size": -8}},
        {"parameters": {"binary_data_size": "8"}},
        {"parameters": {"binary_data_size": True}},
    ],
)
def test_a_tensor_that_lies_is_refused(server: LiveServer, changed: dict[str, object]) -> None:
    response = ask(server, tensor(**changed))

    assert refused(response, 413 if response.status == 413 else 400)


@pytest.mark.parametrize(("datatype", "value"), [("FP32", 3.4028235e38), ("FP32", -(10**38)), ("FP64", 1.7976e308)])
def test_the_largest_numbers_of_a_datatype_are_read(server: LiveServer, datatype: str, value: float) -> None:
    assert ask(server, tensor(datatype=datatype, data=[value])).status == 200


@pytest.mark.parametrize(
    ("size", "tail"),
    [(8, b""), (8, b"\0" * 7), (8, b"\0" * 9), (7, b"\0" * 7), (2**62, b"\0" * 8), (0, b""), (16, b"\0" * 16)],
)
def test_bytes_that_do_not_add_up_are_refused(server: LiveServer, size: int, tail: bytes) -> None:
    given = {"name": "age", "shape": [1], "datatype": "FP64", "parameters": {"binary_data_size": size}}

    refused(ask(server, given, tail=tail))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x02",
        b"\x02\x00\x00\x00",
        b"\x02\x00\x00\x005",
        b"\x02\x00\x00\x00500",
        b"\xff\xff\xff\xff50",
        b"\x01\x00\x00\x00\xff",
        b"\x01\x00\x00\x005\x01\x00\x00\x006",
    ],
)
def test_texts_whose_lengths_lie_are_refused(server: LiveServer, raw: bytes) -> None:
    given = {"name": "plan", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": len(raw)}}

    refused(ask(server, given, tail=raw))


@pytest.mark.parametrize(
    "length", ["-1", "+5", "1_0", " ", "x", "1e2", "99999999999999999999", "9" * 5_000, "1000000", "\u0665", "0x10"]
)
def test_a_header_length_that_lies_is_refused(server: LiveServer, length: str) -> None:
    body = json.dumps({"inputs": [tensor()]}).encode()
    header = {"Inference-Header-Content-Length": length.encode("utf-8").decode("latin-1")}

    refused(server.call("POST", INFER, body, headers=header))


def test_a_header_length_that_cuts_the_json_is_refused(server: LiveServer) -> None:
    body = json.dumps({"inputs": [tensor()]}).encode()
    for length in range(1, len(body)):
        refused(server.call("POST", INFER, body, headers={"Inference-Header-Content-Length": str(length)}))


@pytest.mark.parametrize(
    "more",
    [
        {"outputs": [{"name": "prediction"}, {"name": "prediction"}]},
        {"outputs": [{"name": "shoe"}]},
        {"outputs": [{}]},
        {"outputs": [{"name": "prediction", "parameters": {"binary_data": "yes"}}]},
        {"outputs": [{"name": "prediction", "parameters": {"classification": 2}}]},
        {"parameters": {"binary_data_output": 1}},
        {"id": 7},
    ],
)
def test_outputs_that_cannot_be_had_are_refused(server: LiveServer, more: dict[str, object]) -> None:
    refused(ask(server, tensor(), **more))


def test_inputs_that_do_not_belong_together_are_refused(server: LiveServer) -> None:
    refused(ask(server))
    refused(ask(server, tensor(), tensor()))
    refused(ask(server, tensor(), tensor("plan", shape=[2], datatype="BYTES", data=["a", "b"])))
    refused(ask(server, tensor(shape=[101], data=[1] * 101)), 413)


@pytest.mark.parametrize(
    "body", ["", "{", "[]", "null", '{"inputs": 3}', '{"inputs": [3]}', '{"inputs": [{"x": NaN}]}']
)
def test_a_body_that_is_no_request_is_refused(server: LiveServer, body: str) -> None:
    refused(server.call("POST", INFER, body))


@pytest.mark.parametrize("opening", ["[", '{"inputs":[', '{"x":', '{"inputs":[{"data":[', '{"parameters":{"a":['])
def test_json_of_any_depth_kills_nothing(server: LiveServer, opening: str) -> None:
    refused(server.call("POST", INFER, opening * 250_000))
    assert ask(server, tensor()).status == 200


def test_a_text_may_hold_nothing_and_a_number_may_be_missing(server: LiveServer) -> None:
    plan = tensor("plan", datatype="BYTES", shape=[2], data=["\x00", ""])

    assert ask(server, tensor(shape=[2], data=[None, 50]), plan).status == 200
    raw = struct.pack("<2d", float("nan"), float("inf"))
    given = {"name": "age", "shape": [2], "datatype": "FP64", "parameters": {"binary_data_size": 16}}
    assert ask(server, given, tail=raw).status == 200


def test_what_is_refused_before_it_is_a_request_is_told_in_the_same_words(server: LiveServer) -> None:
    head = b"POST /v2/models/churn/infer HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 50_000
    answer = server.raw(head + b"\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 431 ")
    said = "the headers are too large (at most 32,768 bytes with the target, in 100 lines)"
    assert json.loads(answer.partition(b"\r\n\r\n")[2]) == {"error": said}


def test_what_this_protocol_does_not_have_is_refused_in_its_words(server: LiveServer) -> None:
    refused(server.call("POST", "/v2/systemsharedmemory/region/x/register", "{}"), 404)
    refused(ask(server, tensor(parameters={"shared_memory_region": "x"})), 501)
    refused(ask(server, tensor(), outputs=[{"name": "prediction", "parameters": {"shared_memory_region": "x"}}]), 501)
    refused(ask(server, tensor(), parameters={"sequence_id": 5, "sequence_start": True}), 501)
    refused(server.call("GET", "/v2/models/chum"), 404)
    refused(server.call("GET", "/v2/models/churn/versions/07/ready"), 404)
    refused(server.call("DELETE", INFER), 405)
    refused(server.call("POST", INFER, "{}", key=None), 401)
