"""Requests that are malformed, inconsistent or hostile: each is refused with a message, and the server lives."""

import gzip
import json
from dataclasses import replace
from typing import Any

from aias.testing.inference_v2.checks import Section, Skipped, expect
from aias.testing.inference_v2.probe import LENGTH, Probe
from aias.testing.inference_v2.wire import Wire

wrong = Section("wrong requests")
framing = Section("lies about bytes", extension="binary_tensor_data")
transport = Section("transport")

_DEPTH = 250_000
_HUGE = 10**400


@wrong.must
def a_body_that_is_no_request_is_refused(probe: Probe) -> None:
    for body in (b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"inputs": 3}', b'{"inputs": [3]}', b'{"inputs": {}}'):
        probe.refuses(body, what=repr(body))


@wrong.must
def a_request_without_inputs_is_refused(probe: Probe) -> None:
    probe.refuses({}, what="no inputs")
    probe.refuses({"inputs": []}, what="an empty list")


@wrong.must
def an_unknown_model_is_refused(probe: Probe) -> None:
    _ = probe.wire.ask("POST", "/v2/models/there-is-no-such-model-here/infer", b"{}").error


@wrong.should
def an_input_that_the_model_does_not_have_is_refused(probe: Probe) -> None:
    extra = {"name": "there-is-no-such-input", "datatype": "FP32", "shape": [1], "data": [1]}
    probe.refuses({"inputs": [*_inputs(probe), extra]})


@wrong.should
def an_input_that_comes_twice_is_refused(probe: Probe) -> None:
    inputs = _inputs(probe)
    probe.refuses({"inputs": [*inputs, inputs[0]]})


@wrong.must
def an_output_that_the_model_does_not_have_is_refused(probe: Probe) -> None:
    probe.refuses({"inputs": _inputs(probe), "outputs": [{"name": "there-is-no-such-output"}]})


@wrong.should
def an_output_that_is_asked_for_twice_is_refused(probe: Probe) -> None:
    name = probe.output_names[0]
    probe.refuses({"inputs": _inputs(probe), "outputs": [{"name": name}, {"name": name}]})


@wrong.must
def a_shape_that_does_not_fit_its_data_is_refused(probe: Probe) -> None:
    for shape in ([2, 3, 5, 7], [-1], [2**63], [2**62, 4], [2**32, 2**32], [_HUGE], [1.5], "1", None, [[1]]):
        probe.refuses({"inputs": _with(probe, shape=shape)}, what=f"the shape {str(shape)[:40]}")


@wrong.must
def data_that_do_not_fit_their_shape_are_refused(probe: Probe) -> None:
    values = list(probe.inputs()[0].in_json()["data"])
    lies: list[Any] = [[*values, values[0]], values[:-1], {}, [{}]]
    for data in lies:
        probe.refuses({"inputs": _with(probe, data=data)}, what=f"the data {str(data)[:40]}")


@wrong.must
def a_scalar_of_no_values_or_two_is_refused(probe: Probe) -> None:
    value = probe.inputs()[0].in_json()["data"][0]
    lies: list[Any] = [[], [value, value], [[value], [value]]]
    for data in lies:
        probe.refuses({"inputs": _with(probe, shape=[], data=data)}, what=f"a scalar of {len(data)} values")


@wrong.must
def a_datatype_that_does_not_exist_is_refused(probe: Probe) -> None:
    for datatype in ("FP128", "STRING", "", 7, None):
        probe.refuses({"inputs": _with(probe, datatype=datatype)}, what=f"the datatype {datatype!r}")


@wrong.must
def a_shared_memory_region_that_nobody_registered_is_refused(probe: Probe) -> None:
    one = probe.inputs()[0].in_json()
    del one["data"]
    region = {"shared_memory_region": "there-is-no-such-region", "shared_memory_byte_size": 8}
    probe.refuses({"inputs": [one | {"parameters": region}, *_inputs(probe)[1:]]})


@wrong.must
def json_of_any_depth_is_refused_and_kills_nothing(probe: Probe) -> None:
    for opening in ("[", '{"inputs":[', '{"inputs":[{"data":[', '{"parameters":{"a":['):
        probe.refuses((opening * (_DEPTH // len(opening))).encode(), what=f"{opening} over and over")
        probe.outputs(probe.infer_json())


@wrong.should
def numbers_of_any_length_are_refused_or_read(probe: Probe) -> None:
    inputs = _inputs(probe)
    if inputs[0]["datatype"] == "BYTES":
        raise Skipped("the first input takes texts")
    for number in ("9" * 100_000, "1e999999", "-0", "0." + "0" * 10_000 + "1"):
        body = json.dumps({"inputs": [inputs[0] | {"data": ["@"] * len(inputs[0]["data"])}, *inputs[1:]]})
        answer = probe.infer(body.replace('"@"', number).encode())
        expect(answer.status == 200 or answer.error, "an answer or a refusal", answer)


@wrong.must
def other_methods_are_refused(probe: Probe) -> None:
    for method in ("GET", "PUT", "DELETE", "PATCH"):
        answer = probe.wire.ask(method, f"{probe.path}/infer")
        expect(400 <= answer.status < 500, "405", answer)


@wrong.should
def a_body_that_is_not_packed_as_it_says_is_refused(probe: Probe) -> None:
    whole = gzip.compress(json.dumps({"inputs": _inputs(probe)}).encode())
    for body in (b"", b"no gzip at all", whole[:-9], whole[:20]):
        probe.refuses(body, [("Content-Encoding", "gzip")], what=f"{len(body)} of {len(whole)} bytes of gzip")


@wrong.should
def another_packing_is_refused(probe: Probe) -> None:
    answer = probe.infer(b"x", [("Content-Encoding", "brotli-of-mars")])
    expect(answer.status == 415, "415", answer)


@framing.must
def a_size_that_does_not_fit_its_tensor_is_refused(probe: Probe) -> None:
    _, raw = probe.inputs()[0].in_bytes()
    lies: list[Any] = [0, len(raw) - 1, len(raw) + 1, 2**31, 2**62, 2**64, -1, 1.5, "8", True, []]
    for size in lies:
        body, length = _resized(probe, size)
        probe.refuses(body, [(LENGTH, str(length))], what=f"binary_data_size {size!r} for {len(raw)} bytes")


@framing.must
def a_scalar_of_no_bytes_or_twice_as_many_is_refused(probe: Probe) -> None:
    for times in (0, 2):
        first, *others = probe.inputs()
        lie = replace(first, shape=(), flat=first.flat[:1] * times)
        body, length = probe.binary_body([lie, *others])
        probe.refuses(body, [(LENGTH, str(length))], what=f"a scalar of {times} values in bytes")


@framing.must
def bytes_that_nobody_announced_are_refused(probe: Probe) -> None:
    body, length = probe.binary_body(probe.inputs())
    probe.refuses(body + b"\0" * 8, [(LENGTH, str(length))], what="8 bytes behind the last tensor")
    probe.refuses(body[:-1], [(LENGTH, str(length))], what="the last byte missing")


@framing.must
def a_header_length_that_lies_is_refused(probe: Probe) -> None:
    body, length = probe.binary_body(probe.inputs())
    lies = [str(length - 1), str(length + 1), str(len(body) + 1), "-1", "x", "1e2", "0x10", "9" * 30, "9" * 5_000]
    for lie in lies:
        probe.refuses(body, [(LENGTH, lie)], what=f"a length of {lie[:40]}, where it is {length} of {len(body)}")


@framing.should
def two_header_lengths_are_refused(probe: Probe) -> None:
    body, length = probe.binary_body(probe.inputs())
    probe.refuses(body, [(LENGTH, str(length)), (LENGTH, str(len(body)))])


@framing.must
def texts_whose_lengths_lie_are_refused(probe: Probe) -> None:
    texts = [each for each in probe.inputs() if each.datatype == "BYTES"]
    if not texts:
        raise Skipped("no input takes texts")
    for raw in (
        b"\x02",
        b"\x02\0\0\0",
        b"\x02\0\0\0a",
        b"\xff\xff\xff\xffab",
        b"\x01\0\0\0a\x01\0\0\0",
        b"\x00\0\0\0x",
    ):
        body, length = _reframed(probe, texts[0].name, raw)
        probe.refuses(body, [(LENGTH, str(length))], what=repr(raw))


@transport.must
def a_body_in_chunks_is_a_body(probe: Probe) -> None:
    body = json.dumps({"inputs": _inputs(probe)}).encode()
    pieces = b"".join(b"%x\r\n%b\r\n" % (len(body[at : at + 7]), body[at : at + 7]) for at in range(0, len(body), 7))
    answer = probe.infer(pieces + b"0\r\n\r\n", [("Transfer-Encoding", "chunked")])
    probe.outputs(answer)


@transport.must
def a_connection_is_kept_and_refusals_do_not_spoil_it(probe: Probe) -> None:
    wire: Wire = probe.wire
    good = json.dumps({"inputs": _inputs(probe)}).encode()
    connection = wire.connect()
    try:
        for body, family in ((good, 2), (b"{", 4), (good, 2)):
            answer = wire.ask_on(connection, "POST", f"{probe.path}/infer", body)
            expect(answer.status // 100 == family, f"{family}xx", answer)
    finally:
        connection.close()


@transport.must
def after_all_of_this_the_server_answers_as_before(probe: Probe) -> None:
    expect(probe.wire.ask("GET", "/v2/health/live").status == 200, "a live server", "another status")
    probe.outputs(probe.infer_json())


def _inputs(probe: Probe) -> list[dict[str, Any]]:
    return [each.in_json() for each in probe.inputs()]


def _with(probe: Probe, **changed: Any) -> list[dict[str, Any]]:
    """The inputs with something changed in the first."""
    first, *others = probe.inputs()
    return [first.in_json(**changed), *(each.in_json() for each in others)]


def _resized(probe: Probe, size: Any) -> tuple[bytes, int]:
    """A body whose first tensor says that it has `size` bytes."""
    parts = [each.in_bytes() for each in probe.inputs()]
    parts[0][0]["parameters"]["binary_data_size"] = size
    head = json.dumps({"inputs": [head for head, _ in parts]}).encode()
    return head + b"".join(raw for _, raw in parts), len(head)


def _reframed(probe: Probe, name: str, raw: bytes) -> tuple[bytes, int]:
    """A body in which the input `name` is these bytes."""
    parts = [each.in_bytes() for each in probe.inputs()]
    heads = [head for head, _ in parts]
    raws = [raw if head["name"] == name else own for head, own in parts]
    for head, own in zip(heads, raws, strict=True):
        head["parameters"]["binary_data_size"] = len(own)
    text = json.dumps({"inputs": heads}).encode()
    return text + b"".join(raws), len(text)
