"""Inference: what is asked for, in the form in which it is asked for, each row by itself."""

import gzip
import json
import math
import zlib
from dataclasses import replace
from typing import Any

from aias.testing.inference_v2.checks import Section, Skipped, expect
from aias.testing.inference_v2.probe import LENGTH, Probe
from aias.testing.inference_v2.tensors import Values, nest, same
from aias.testing.inference_v2.wire import Answer, strict_json

inference = Section("inference")
binary = Section("binary tensors", extension="binary_tensor_data")
packing = Section("compression")


@inference.must
def a_request_in_json_is_answered_in_json(probe: Probe) -> None:
    answer = probe.infer_json()
    expect(answer.status == 200, "200", answer)
    expect(answer.json["model_name"] == probe.model, f"the model_name `{probe.model}`", answer)
    expect(LENGTH.lower() not in answer.headers, f"no {LENGTH} where all is JSON", answer.headers)
    probe.outputs(answer)


@inference.must
def outputs_are_what_the_metadata_says(probe: Probe) -> None:
    found = probe.outputs(probe.infer_json())
    expect(sorted(found) == sorted(probe.output_names), f"the outputs {probe.output_names}", list(found))
    for tensor in probe.metadata["outputs"]:
        values = found[tensor["name"]]
        expect(values.datatype == tensor["datatype"], tensor["datatype"], values.datatype)
        fits = len(values.shape) == len(tensor["shape"]) and all(
            wanted in (-1, came) for wanted, came in zip(tensor["shape"], values.shape, strict=True)
        )
        expect(fits, f"the shape {tensor['shape']}", values.shape)


@inference.must
def the_id_comes_back(probe: Probe) -> None:
    answer = probe.infer_json(id="a-1 ✓")
    expect(answer.json["id"] == "a-1 ✓", "the id of the request", answer)


@inference.must
def a_version_answers_by_its_number(probe: Probe) -> None:
    versions = probe.metadata.get("versions")
    if not versions:
        raise Skipped("the model has no versions")
    request = {"inputs": [each.in_json() for each in probe.inputs()]}
    answer = probe.infer(request, path=f"/versions/{versions[0]}/infer")
    probe.outputs(answer)
    expect(answer.json["model_version"] == versions[0], f"the model_version {versions[0]}", answer)


@inference.must
def data_may_be_nested_or_flat(probe: Probe) -> None:
    inputs = probe.inputs()
    if all(len(each.shape) < 2 for each in inputs):
        raise Skipped("every input has one dimension")
    nested = [each.in_json(data=nest(each.flat, each.shape)) for each in inputs]
    _agree(probe, probe.infer_json(), probe.infer({"inputs": nested}))


@inference.must
def whole_numbers_do_for_fractions(probe: Probe) -> None:
    inputs = [each.in_json() for each in probe.inputs()]
    fractions = [each for each in inputs if each["datatype"] in ("FP32", "FP64")]
    if not fractions:
        raise Skipped("no input takes fractions")
    for each in fractions:
        each["data"] = [1] * len(each["data"])
    probe.outputs(probe.infer({"inputs": inputs}))


@inference.must
def only_the_outputs_that_are_named_come(probe: Probe) -> None:
    for name in probe.output_names:
        found = probe.outputs(probe.infer_json(outputs=[{"name": name}]))
        expect(list(found) == [name], f"`{name}` alone", list(found))


@inference.must
def every_row_is_answered_by_itself(probe: Probe) -> None:
    one, three = (probe.outputs(probe.infer_json(probe.inputs(rows))) for rows in (1, 3))
    for name, values in three.items():
        expect(values.shape[0] == 3, f"three rows of `{name}`", values.shape)
        alone = one[name]
        expect(
            same(Values(values.datatype, (3, *alone.shape[1:]), alone.flat * 3), values),
            f"three times the answer to one row in `{name}`",
            values.flat[:9],
        )


@inference.must
def no_rows_get_no_answers_or_a_refusal(probe: Probe) -> None:
    answer = probe.infer_json(probe.inputs(0))
    if answer.status == 200:
        for name, values in probe.outputs(answer).items():
            expect(0 in values.shape, f"an empty `{name}`", values.shape)
    else:
        _ = answer.error


@inference.must
def texts_of_any_kind_are_read_or_refused(probe: Probe) -> None:
    _needs_texts(probe)
    for text in ("", "\x00", "a\x00b", "ü ✓ 🙂", '"\\', " " * 1000):
        _read_or_refused(probe, probe.infer_json([_filled(each, text) for each in probe.inputs()]))


@inference.must
def a_scalar_is_read_or_refused(probe: Probe) -> None:
    for at, each in enumerate(probe.inputs()):
        value = each.flat[0]
        for data in ([value], value):
            inputs = [one.in_json() for one in probe.inputs()]
            inputs[at] |= {"shape": [], "data": data}
            _read_or_refused(probe, probe.infer({"inputs": inputs}))


@binary.must
def a_request_in_bytes_is_answered_as_one_in_json(probe: Probe) -> None:
    _agree(probe, probe.infer_json(), probe.infer_bytes())


@binary.must
def the_answer_comes_in_bytes_when_the_request_says_so(probe: Probe) -> None:
    answer = probe.infer_bytes(parameters={"binary_data_output": True})
    _agree(probe, probe.infer_json(), answer)
    expect(LENGTH.lower() in answer.headers, f"the header {LENGTH}", answer.headers)
    sizes = [(each.get("parameters") or {}).get("binary_data_size") for each in _head(answer)["outputs"]]
    expect(all(size is not None for size in sizes), "every output in bytes", sizes)


@binary.must
def what_an_output_says_goes_before_what_the_request_says(probe: Probe) -> None:
    name = probe.output_names[0]
    for flag in (True, False):
        outputs = [{"name": name, "parameters": {"binary_data": flag}}]
        answer = probe.infer_json(outputs=outputs, parameters={"binary_data_output": not flag})
        probe.outputs(answer)
        came = "binary_data_size" in (_head(answer)["outputs"][0].get("parameters") or {})
        expect(came == flag, f"`{name}` {'in bytes' if flag else 'in JSON'}", answer)


@binary.must
def outputs_may_come_in_both_forms_at_once(probe: Probe) -> None:
    names = probe.output_names
    if len(names) < 2:
        raise Skipped("the model has one output")
    outputs = [{"name": name, "parameters": {"binary_data": at % 2 == 0}} for at, name in enumerate(names)]
    _agree(probe, probe.infer_json(), probe.infer_json(outputs=outputs))


@binary.must
def no_rows_in_bytes_get_no_answers_or_a_refusal(probe: Probe) -> None:
    answer = probe.infer_bytes(probe.inputs(0), parameters={"binary_data_output": True})
    if answer.status == 200:
        expect(all(0 in each.shape for each in probe.outputs(answer).values()), "empty outputs", answer)
    else:
        _ = answer.error


@binary.must
def a_scalar_in_bytes_is_read_or_refused(probe: Probe) -> None:
    for at in range(len(probe.inputs())):
        inputs = probe.inputs()
        inputs[at] = replace(inputs[at], shape=(), flat=inputs[at].flat[:1])
        _read_or_refused(probe, probe.infer_bytes(inputs))


@binary.must
def json_stays_json_whatever_the_numbers_are(probe: Probe) -> None:
    inputs = probe.inputs()
    if not any(each.datatype in ("FP32", "FP64") for each in inputs):
        raise Skipped("no input takes fractions")
    for number in (math.nan, math.inf, -math.inf):
        _read_or_refused(probe, probe.infer_bytes([_filled(each, number) for each in inputs]))


@binary.must
def texts_with_nothing_in_them_are_read_or_refused(probe: Probe) -> None:
    _needs_texts(probe)
    for text in (b"", b"\x00", b"a\x00b", b"\xff\xfe"):
        _read_or_refused(probe, probe.infer_bytes([_filled(each, text) for each in probe.inputs()]))


@binary.should
def a_body_of_nothing_but_the_input_is_answered_in_bytes(probe: Probe) -> None:
    inputs = probe.inputs()
    if len(inputs) != 1:
        raise Skipped("the model has more than one input")
    _, raw = inputs[0].in_bytes()
    answer = probe.infer(raw[4:] if inputs[0].datatype == "BYTES" else raw, [(LENGTH, "0")])
    _agree(probe, probe.infer_json(), answer)
    expect(LENGTH.lower() in answer.headers, f"the header {LENGTH}", answer.headers)


@packing.should
def a_packed_request_is_answered(probe: Probe) -> None:
    plain = json.dumps({"inputs": [each.in_json() for each in probe.inputs()]}).encode()
    for name, pack in (("gzip", gzip.compress), ("deflate", zlib.compress)):
        _agree(probe, probe.infer(plain), probe.infer(pack(plain), [("Content-Encoding", name)]))


@packing.should
def packed_bytes_are_answered(probe: Probe) -> None:
    if "binary_tensor_data" not in probe.extensions:
        raise Skipped("the server does not claim `binary_tensor_data`")
    body, length = probe.binary_body(probe.inputs())
    packed = [(LENGTH, str(length)), ("Content-Encoding", "gzip")]
    _agree(probe, probe.infer_json(), probe.infer(gzip.compress(body), packed))


@packing.must
def an_answer_is_packed_as_its_header_says(probe: Probe) -> None:
    for name in ("gzip", "deflate", "identity", "gzip;q=0, identity"):
        request = json.dumps({"inputs": [each.in_json() for each in probe.inputs()]}).encode()
        answer = probe.infer(request, [("Accept-Encoding", name)])
        given = answer.headers.get("content-encoding", "identity")
        expect(given in (name, "identity"), f"{name} or nothing", given)
        body = answer.body if given == "identity" else zlib.decompress(answer.body, 47)
        _agree(probe, probe.infer_json(), Answer(answer.status, answer.headers, body))


def _head(answer: Answer) -> Any:
    return strict_json(answer.body[: int(answer.headers.get(LENGTH.lower(), len(answer.body)))])


def _agree(probe: Probe, left: Answer, right: Answer) -> None:
    expected, came = probe.outputs(left), probe.outputs(right)
    for name, values in expected.items():
        expect(name in came, f"the output `{name}`", list(came))
        expect(same(values, came[name]), f"`{name}` as in JSON: {values}", came[name])


def _read_or_refused(probe: Probe, answer: Answer) -> None:
    if answer.status == 200:
        probe.outputs(answer)
    else:
        _ = answer.error


def _needs_texts(probe: Probe) -> None:
    if not any(each["datatype"] == "BYTES" for each in probe.metadata["inputs"]):
        raise Skipped("no input takes texts")


def _filled(one: Any, value: Any) -> Any:
    """The input with this value throughout, where it is of its kind."""
    fits = one.datatype == "BYTES" if isinstance(value, str | bytes) else one.datatype in ("FP32", "FP64")
    return type(one)(one.name, one.datatype, one.shape, (value,) * len(one.flat)) if fits else one
