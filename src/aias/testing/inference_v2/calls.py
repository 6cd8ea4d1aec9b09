"""The same over gRPC: for servers whose second address is given with `--grpc`."""

from typing import Any

from aias.testing.inference_v2.checks import Failed, Section, Skipped, expect
from aias.testing.inference_v2.probe import Input, Probe
from aias.testing.inference_v2.remote import Message, Refused, Remote, contents, numbers, outputs, packed, parse, text
from aias.testing.inference_v2.tensors import BINARY_ONLY, Values, same

calls = Section("grpc")

_CALLERS_FAULT = {"INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "OUT_OF_RANGE", "RESOURCE_EXHAUSTED"}
_BEYOND_DEFAULT_BYTES = 5 << 20


@calls.must
def the_server_is_live_and_ready_over_grpc(probe: Probe) -> None:
    for method in ("ServerLive", "ServerReady"):
        expect(_remote(probe).call(method).get(1) == [1], "true", method)


@calls.must
def a_model_is_ready_and_another_is_not_over_grpc(probe: Probe) -> None:
    expect(_remote(probe).call("ModelReady", [(1, probe.model)]).get(1) == [1], "true", "something else")
    try:
        found = _remote(probe).call("ModelReady", [(1, "there-is-no-such-model-here")])
    except Refused as refusal:
        expect(refusal.code == "NOT_FOUND", "not ready, or NOT_FOUND", refusal)
    else:
        expect(found.get(1, [0]) == [0], "not ready", found)


@calls.must
def metadata_is_the_same_as_over_http(probe: Probe) -> None:
    found = _remote(probe).call("ModelMetadata", [(1, probe.model)])
    expect(text(found, 1) == probe.model, f"the name `{probe.model}`", text(found, 1))
    for number, kind in ((4, "inputs"), (5, "outputs")):
        came = [(text(each, 1), text(each, 2), list(numbers(each, 3))) for each in map(parse, found.get(number, []))]
        wanted = [(each["name"], each["datatype"], each["shape"]) for each in probe.metadata[kind]]
        expect(came == wanted, f"the {kind} {wanted}", came)


@calls.must
def raw_contents_are_answered_as_over_http(probe: Probe) -> None:
    _agree(probe, _infer(probe, _raw(probe)))


@calls.must
def typed_contents_are_answered_as_over_http(probe: Probe) -> None:
    _agree(probe, _infer(probe, _typed(probe)))


@calls.should
def the_answer_is_raw_where_the_request_was(probe: Probe) -> None:
    expect(len(_infer(probe, _raw(probe)).get(6, [])) == len(probe.output_names), "raw_output_contents", "none")


@calls.must
def the_id_comes_back_over_grpc(probe: Probe) -> None:
    expect(text(_infer(probe, [*_raw(probe), (3, "a-1 ✓")]), 3) == "a-1 ✓", "the id of the request", "another")


@calls.must
def only_the_outputs_that_are_named_come_over_grpc(probe: Probe) -> None:
    for name in probe.output_names:
        found = outputs(_infer(probe, [*_raw(probe), (6, [(1, name)])]))
        expect(list(found) == [name], f"`{name}` alone", list(found))


@calls.should
def a_message_beyond_four_megabytes_is_read(probe: Probe) -> None:
    reply = _infer(probe, [*_raw(probe), (3, "x" * _BEYOND_DEFAULT_BYTES)])
    expect(len(text(reply, 3)) == _BEYOND_DEFAULT_BYTES, "the id of the request", "another")


@calls.must
def what_is_not_there_is_refused_over_grpc(probe: Probe) -> None:
    _refused(probe, [(1, "there-is-no-such-model-here"), *_raw(probe)[1:]], "an unknown model")
    _refused(probe, [*_raw(probe), (6, [(1, "there-is-no-such-output")])], "an unknown output")
    _refused(probe, [(1, probe.model)], "no inputs")


@calls.should
def an_unknown_model_is_not_found_over_grpc(probe: Probe) -> None:
    code = _refused(probe, [(1, "there-is-no-such-model-here"), *_raw(probe)[1:]], "an unknown model")
    expect(code == "NOT_FOUND", "NOT_FOUND", code)


@calls.must
def raw_and_typed_contents_do_not_go_together(probe: Probe) -> None:
    raws = [field for field in _raw(probe) if field[0] == 7]
    _refused(probe, [*_typed(probe), *raws], "contents beside raw_input_contents")


@calls.must
def there_is_one_raw_content_for_each_input(probe: Probe) -> None:
    _refused(probe, [*_raw(probe), (7, b"\0" * 8)], "one raw content too many")
    _refused(probe, _raw(probe)[:-1], "one raw content too few")


@calls.must
def raw_contents_that_do_not_fit_their_shape_are_refused(probe: Probe) -> None:
    first = probe.inputs()[0]
    _, raw = first.in_bytes()
    for lie in (raw + b"\0", raw[:-1], b"\xff" * (len(raw) + 4)):
        message = [field if field != (7, raw) else (7, lie) for field in _raw(probe)]
        _refused(probe, message, f"{len(lie)} bytes for {len(raw)}")
    for shape in ([2, 3, 5, 7], [-1], [2**62, 4], [2**32, 2**32]):
        others = [each for each in probe.inputs() if each.name != first.name]
        tensors = [_tensor(first, shape=tuple(shape)), *map(_tensor, others)]
        _refused(probe, [(1, probe.model), *tensors, *_raws(probe)], f"the shape {shape}")


@calls.must
def bytes_that_are_no_message_are_refused_and_kill_nothing(probe: Probe) -> None:
    for raw in (b"\xff", b"\x0a\xff\xff\xff\xff\x0f", b"\x08" * 1_000):
        try:
            _remote(probe).call("ModelInfer", raw)
        except Refused as refusal:
            expect(refusal.code != "UNAVAILABLE", "a refusal", refusal)
        else:
            raise Failed(f"expected a refusal of {raw[:10]!r}; came an answer")
    _agree(probe, _infer(probe, _raw(probe)))


def _remote(probe: Probe) -> Remote:
    assert probe.remote is not None, "these checks are made only with --grpc"
    return probe.remote


def _infer(probe: Probe, message: Message) -> Any:
    return _remote(probe).call("ModelInfer", message)


def _refused(probe: Probe, message: Message, what: str) -> str:
    try:
        reply = _remote(probe).call("ModelInfer", message)
    except Refused as refusal:
        expect(refusal.code in _CALLERS_FAULT, f"a refusal of {what} that says whose fault it is", refusal)
        return refusal.code
    raise Failed(f"expected a refusal of {what}; came an answer with the outputs {list(outputs(reply))}")


def _raw(probe: Probe) -> Message:
    return [(1, probe.model), *map(_tensor, probe.inputs()), *_raws(probe)]


def _raws(probe: Probe) -> Message:
    return [(7, each.in_bytes()[1]) for each in probe.inputs()]


def _typed(probe: Probe) -> Message:
    inputs = probe.inputs()
    if any(each.datatype in BINARY_ONLY for each in inputs):
        raise Skipped("an input comes raw only")
    return [(1, probe.model), *(_tensor(each, more=[(5, contents(each.datatype, each.flat))]) for each in inputs)]


def _tensor(one: Input, *, shape: tuple[int, ...] | None = None, more: Message | None = None) -> tuple[int, Message]:
    sizes = packed(one.shape if shape is None else shape)
    return 5, [(1, one.name), (2, one.datatype), (3, sizes), *(more or [])]


def _agree(probe: Probe, reply: Any) -> None:
    expected, came = probe.outputs(probe.infer_json()), outputs(reply)
    for name, values in expected.items():
        found: Values | None = came.get(name)
        expect(found is not None and same(values, found), f"`{name}` as over HTTP: {values}", found)
