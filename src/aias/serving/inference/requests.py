"""A request of the protocol: JSON, JSON with tensors behind it, or nothing but one tensor's bytes → columns."""

import contextlib
import re
from typing import Final

import msgspec

from aias.core.errors import shown
from aias.core.json_faults import Faults, in_words
from aias.core.limits import BODY_ROWS_MAX, COLUMNS_MAX
from aias.serving.formats.tensors import Data, Parameters, Tensor, read_tensor
from aias.serving.http.messages import Request
from aias.serving.inference.descriptions import datatype_of, outputs_of
from aias.serving.refusals import BadBody, NotSupported, too_many_rows
from aias.serving.versions.model import Model

LENGTH_HEADER: Final = b"inference-header-content-length"
_NUMBER_BYTES: Final = 8


class RequestedOutput(msgspec.Struct):
    """One output that a request asks for."""

    name: str
    parameters: Parameters | None = None


class Inference(msgspec.Struct):
    """What stands in the JSON."""

    inputs: list[Tensor]
    id: str | None = None
    parameters: Parameters | None = None
    outputs: list[RequestedOutput] | None = None


class Form(msgspec.Struct, frozen=True):
    """How an output is sent: as bytes or in the JSON; itself, or its `top` classes by name."""

    binary: bool
    top: int | None = None


LARGE_BYTES: Final = 64 << 10
"""JSON beyond this is read tensor by tensor, and the data of one beyond this in pieces: all at once would keep other
threads out, with 13 MB for 80 ms."""

_TEXT: Final = rb'"(?:[^"\\]++|\\.)*+"'
_PIECE: Final = re.compile(rb'(?:(?:[^",\[\]]++|%b|\[(?:[^"\[\]]++|%b)*+\])++,){1,100}+' % (_TEXT, _TEXT), re.DOTALL)
"""Some values of a list, or short lists of them, each with the comma behind it. That it is JSON is known before."""


class _RawTensor(Tensor):
    """Its data as it stands there."""

    data: msgspec.Raw = msgspec.Raw(b"null")  # type: ignore[assignment]


class _RawInference(Inference):
    inputs: list[_RawTensor]  # type: ignore[assignment]


_inference = msgspec.json.Decoder(Inference)
_raw_inference = msgspec.json.Decoder(_RawInference)
_data = msgspec.json.Decoder(Data | None)


def parse(request: Request, model: Model) -> tuple[Inference, memoryview]:
    """The request, and the bytes behind its JSON. Raises `BadBody`."""
    body, given = request.body, request.headers.get(LENGTH_HEADER)
    length = len(body) if given is None else _header_length(given, len(body))
    if length == 0 and given is not None:
        return _raw(model, body)
    try:
        return _read(body[:length]), memoryview(body)[length:]
    except Faults as fault:
        raise BadBody(
            f"the request: {in_words(fault, body[:length])}",
            hint='send {"inputs": [{"name": ..., "shape": [rows], "datatype": ..., "data": [...]}]}',
        ) from None


def _read(text: bytes) -> Inference:
    """Raises `Faults`."""
    if len(text) > LARGE_BYTES:
        # What is wrong is said of the whole.
        with contextlib.suppress(*Faults):
            raw = _raw_inference.decode(text)
            inputs = [
                Tensor(each.name, each.shape, each.datatype, each.parameters, _read_data(each.data))
                for each in raw.inputs
            ]
            return Inference(inputs, raw.id, raw.parameters, raw.outputs)
    return _inference.decode(text)


def _read_data(raw: msgspec.Raw) -> Data | None:
    """The data of a tensor, where it is large in pieces; of far more values than there may be rows not all are made.
    Raises `Faults`, `TooManyRows`."""
    text, values, at = bytes(raw), Data(), 1
    if len(text) <= LARGE_BYTES or text[:1] != b"[":
        return _data.decode(raw)
    while (piece := _PIECE.match(text, at)) is not None:
        values += _data.decode(b"[%b]" % text[at : piece.end() - 1]) or ()
        at = piece.end()
        if len(values) > BODY_ROWS_MAX:
            raise too_many_rows(BODY_ROWS_MAX)
    # The last has no comma behind it.
    return values + (_data.decode(b"[" + text[at:]) or [])


def columns_of(inference: Inference, tail: memoryview, *, rows_max: int) -> tuple[dict[str, list[object]], int]:
    """The values of every input by name, and how many rows they are. Raises `BadBody`, `TooManyRows`."""
    columns: dict[str, list[object]] = {}
    if any(name.startswith("sequence_") and value for name, value in (inference.parameters or {}).items()):
        raise NotSupported("sequences are not supported", hint="each request is answered by itself")
    if len(inference.inputs) > COLUMNS_MAX:
        raise BadBody(f"more than {COLUMNS_MAX:,} inputs", hint="send the model's fields only")
    for tensor in inference.inputs:
        if tensor.name in columns:
            raise BadBody(f"input `{tensor.called}` came twice", hint="send each input once")
        if any(name.startswith("shared_memory") for name in tensor.parameters or ()):
            raise NotSupported("shared memory is not supported", hint="send the data in the request")
        raw, tail = _split(tensor, tail)
        columns[tensor.name] = read_tensor(tensor, raw, rows_max=rows_max)
    if len(tail):
        raise BadBody(f"{len(tail)} bytes behind the last tensor")
    lengths = {len(column) for column in columns.values()}
    if len(lengths) != 1:
        raise BadBody("every input needs the same number of rows" if lengths else "the request has no inputs")
    return columns, lengths.pop()


def wanted_of(inference: Inference, model: Model) -> dict[str, Form]:
    """The outputs to send and their forms: what an output says goes before what the request says. Raises `BadBody`."""
    known = [str(output["name"]) for output in outputs_of(model)]
    default = _flag(inference.parameters, "binary_data_output", otherwise=False)
    wanted: dict[str, Form] = {}
    for output in inference.outputs or [RequestedOutput(name) for name in known]:
        if output.name not in known:
            raise BadBody(f"there is no output `{output.name[:100]}`", hint=f"there are {', '.join(known)}")
        if output.name in wanted:
            raise BadBody(f"output `{output.name}` is asked for twice", hint="ask for each output once")
        if any(name.startswith("shared_memory") for name in output.parameters or ()):
            raise NotSupported("shared memory is not supported", hint="read the data from the response")
        wanted[output.name] = Form(_flag(output.parameters, "binary_data", otherwise=default), _top(output))
    return wanted


def _header_length(given: bytes, most: int) -> int:
    # `isdigit` and nine digits at most: `int` takes signs, blanks and underscores, and time for a million digits.
    if not given.isdigit() or len(given) > 9 or int(given) > most:
        raise BadBody(f"Inference-Header-Content-Length must be a number up to the {most} bytes of the body")
    return int(given)


def _raw(model: Model, body: bytes) -> tuple[Inference, memoryview]:
    """A body that is nothing but the only input: its numbers, or one text without its length. Answered in bytes."""
    if len(model.manifest.inputs) != 1:
        raise BadBody("a raw body needs a model with one input", hint="send JSON, or JSON with binary data behind it")
    field = model.manifest.inputs[0]
    datatype, rows, raw = datatype_of(field), 1, body
    if datatype == "BYTES":
        raw = len(body).to_bytes(4, "little") + body
    elif len(body) % _NUMBER_BYTES:
        raise BadBody(f"a raw body of {datatype} must be a multiple of {_NUMBER_BYTES} bytes, not {len(body)}")
    else:
        rows = len(body) // _NUMBER_BYTES
    tensor = Tensor(field.name, [rows], datatype, {"binary_data_size": len(raw)})
    return Inference([tensor], parameters={"binary_data_output": True}), memoryview(raw)


def _split(tensor: Tensor, tail: memoryview) -> tuple[memoryview | None, memoryview]:
    size = tensor.binary_bytes
    if size is None:
        return None, tail
    if size > len(tail):
        raise BadBody(f"input `{tensor.called}` has {len(tail)} bytes behind the JSON; it says {shown(size)}")
    return tail[:size], tail[size:]


def _flag(parameters: Parameters | None, name: str, *, otherwise: bool) -> bool:
    value = (parameters or {}).get(name)
    if value is None:
        return otherwise
    if not isinstance(value, bool):
        raise BadBody(f"the parameter {name} must be true or false")
    return value


def _top(output: RequestedOutput) -> int | None:
    """How many classes are asked for, best first (the classification extension)."""
    top = (output.parameters or {}).get("classification")
    if top is None:
        return None
    if type(top) is not int or top < 0:
        raise BadBody("the parameter classification must be a number of classes")
    if output.name != "probabilities":
        raise BadBody(f"output `{output.name}` has no classes to choose from", hint="ask for `probabilities`")
    # Triton's clients send 0 for "none".
    return top or None
