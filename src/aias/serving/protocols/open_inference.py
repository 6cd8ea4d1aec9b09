"""Open Inference Protocol, version 2, over HTTP, with binary data: what `tritonclient` and KServe's client speak.

Every input field is a tensor of its name. The answers are `prediction` and, for classes, `probabilities`.
"""

import time
from typing import ClassVar, Final

import msgspec
import numpy as np

from aias.core.errors import AiasError, BadValue
from aias.core.schema import Field
from aias.runtimes.contract import Answers
from aias.serving.forms import short
from aias.serving.messages import BINARY, JSON, Reply, Request
from aias.serving.models import Model
from aias.serving.protocols.contract import House
from aias.serving.refusals import BadBody, UnknownPath
from aias.serving.routes import PUBLIC, Route
from aias.serving.rows import Faults
from aias.serving.tensors import Parameters, Tensor, finite, read_tensor, write_bytes

__all__ = ["OpenInference"]

LENGTH_HEADER: Final = b"inference-header-content-length"
EXTENSIONS: Final = ("binary_tensor_data",)


class Wanted(msgspec.Struct):
    """One output that a request asks for."""

    name: str
    parameters: Parameters | None = None


class Inference(msgspec.Struct):
    """A request."""

    inputs: list[Tensor]
    id: str | None = None
    parameters: Parameters | None = None
    outputs: list[Wanted] | None = None


_inference = msgspec.json.Decoder(Inference)


class OpenInference:
    prefix: ClassVar[str] = "/v2"

    def __init__(self, house: House) -> None:
        self._ready, self._rows_max = house.ready, house.bounds.body_rows

    def routes(self) -> tuple[Route, ...]:
        model, version = "/v2/models/{endpoint}", "/v2/models/{endpoint}/versions/{version}"
        return (
            Route("GET", "/v2", "read", self.describe_server),
            Route("GET", "/v2/health/live", PUBLIC, self.tell_live),
            Route("GET", "/v2/health/ready", PUBLIC, self.tell_ready),
            *(Route("GET", path, "predict", self.describe_model) for path in (model, version)),
            *(Route("GET", f"{path}/ready", "predict", self.tell_model) for path in (model, version)),
            *(Route("POST", f"{path}/infer", "predict", self.infer) for path in (model, version)),
        )

    @staticmethod
    def envelope(fault: AiasError, request_id: str) -> bytes:  # noqa: ARG004  clients expect one string and no more
        return msgspec.json.encode({"error": f"{fault.message} ({fault.hint})" if fault.hint else fault.message})

    def describe_server(self, _request: Request) -> Reply:
        from importlib.metadata import version

        return _json({"name": "aias", "version": version("aias"), "extensions": EXTENSIONS})

    def tell_live(self, _request: Request) -> Reply:
        return _json({"live": True})

    def tell_ready(self, _request: Request) -> Reply:
        ready = self._ready()
        return Reply(msgspec.json.encode({"ready": ready}), 200 if ready else 503)

    def tell_model(self, request: Request) -> Reply:
        _check_version(request)
        return _json({"name": request.places["endpoint"], "ready": True})

    def describe_model(self, request: Request) -> Reply:
        """The tensors of an endpoint."""
        model = _check_version(request)
        return _json(
            {
                "name": request.places["endpoint"],
                "versions": [str(model.number)],
                "platform": "onnxruntime_onnx",
                "inputs": [
                    {"name": field.name, "datatype": _datatype(field), "shape": [-1]} for field in model.manifest.inputs
                ],
                "outputs": _outputs(model),
            }
        )

    def infer(self, request: Request) -> Reply:
        """Answer the rows that the tensors hold, one beside the other."""
        model = _check_version(request)
        started = time.perf_counter()
        inference, tail = _parse(request, model)
        wanted = _wanted(inference, model)
        columns, rows = _columns(inference, tail, rows_max=self._rows_max)
        decoded = time.perf_counter()
        try:
            answers = model.runtime.predict_columns(columns, rows) if rows else model.nothing()
        except BadValue as fault:
            # This protocol calls every bad input a 400.
            raise BadBody(fault.message, hint=fault.hint) from None
        run = time.perf_counter()
        reply = _answer(request, inference, wanted, answers)
        reply.rows = rows
        reply.phases = decoded - started, run - decoded, time.perf_counter() - run
        return reply


def _check_version(request: Request) -> Model:
    """The model; one version of it answers, and others are not to be had. Raises `UnknownPath`."""
    model = request.asked
    version = request.places.get("version")
    if version is not None and version != str(model.number):
        raise UnknownPath(
            f"`{request.places['endpoint']}` is not at version {version[:20]}", hint=f"it is at {model.number}"
        )
    return model


def _parse(request: Request, model: Model) -> tuple[Inference, memoryview]:
    """The request, and the bytes behind its JSON."""
    body, given = request.body, request.headers.get(LENGTH_HEADER)
    length = len(body) if given is None else _header_length(given, len(body))
    if length == 0 and given is not None:
        return _raw(model, body)
    try:
        return _inference.decode(body[:length]), memoryview(body)[length:]
    except Faults as fault:
        message = "it is nested too deeply" if isinstance(fault, RecursionError) else str(fault)[:200]
        raise BadBody(f"the JSON of the request: {message}") from None


def _header_length(given: bytes, most: int) -> int:
    # `isdigit` and nine digits at most: `int` takes signs, blanks and underscores, and time for a million digits.
    if not given.isdigit() or len(given) > 9 or int(given) > most:
        raise BadBody(f"Inference-Header-Content-Length must be a number up to the {most} bytes of the body")
    return int(given)


def _raw(model: Model, body: bytes) -> tuple[Inference, memoryview]:
    """A body that is nothing but the one value of the only input; of BYTES it is the element without its length."""
    if len(model.manifest.inputs) != 1:
        raise BadBody("a raw body needs a model with one input", hint="send JSON, or JSON with binary data behind it")
    field = model.manifest.inputs[0]
    datatype = _datatype(field)
    raw = len(body).to_bytes(4, "little") + body if datatype == "BYTES" else body
    return Inference([Tensor(field.name, [1], datatype, {"binary_data_size": len(raw)})]), memoryview(raw)


def _columns(inference: Inference, tail: memoryview, *, rows_max: int) -> tuple[dict[str, list[object]], int]:
    columns: dict[str, list[object]] = {}
    for tensor in inference.inputs:
        if tensor.name in columns:
            raise BadBody(f"input `{tensor.name}` came twice")
        if any(name.startswith("shared_memory") for name in tensor.parameters or ()):
            raise BadBody("shared memory is not supported", hint="send the data in the request")
        raw, tail = _split(tensor, tail)
        columns[tensor.name] = read_tensor(tensor, raw, rows_max=rows_max)
    if len(tail):
        raise BadBody(f"{len(tail)} bytes behind the last tensor")
    lengths = {len(column) for column in columns.values()}
    if len(lengths) != 1:
        raise BadBody("every input needs the same number of rows" if lengths else "the request has no inputs")
    return columns, lengths.pop()


def _split(tensor: Tensor, tail: memoryview) -> tuple[memoryview | None, memoryview]:
    size = tensor.binary_bytes
    if size is None:
        return None, tail
    if size > len(tail):
        raise BadBody(f"input `{tensor.name}` has {len(tail)} bytes behind the JSON; it says {size}")
    return tail[:size], tail[size:]


def _wanted(inference: Inference, model: Model) -> dict[str, bool]:
    """The outputs to send, and whether as binary data: what an output says goes before what the request says."""
    known = [output["name"] for output in _outputs(model)]
    default = _flag(inference.parameters, "binary_data_output", otherwise=False)
    wanted: dict[str, bool] = {}
    for output in inference.outputs or [Wanted(str(name)) for name in known]:
        if output.name not in known:
            raise BadBody(f"there is no output `{output.name[:100]}`", hint=f"there are {', '.join(map(str, known))}")
        if output.name in wanted:
            raise BadBody(f"output `{output.name}` is asked for twice")
        if any(name in (output.parameters or {}) for name in ("classification", "shared_memory_region")):
            raise BadBody(f"output `{output.name}`: only binary_data is supported")
        wanted[output.name] = _flag(output.parameters, "binary_data", otherwise=default)
    return wanted


def _flag(parameters: Parameters | None, name: str, *, otherwise: bool) -> bool:
    value = (parameters or {}).get(name)
    if value is None:
        return otherwise
    if not isinstance(value, bool):
        raise BadBody(f"the parameter {name} must be true or false")
    return value


def _answer(request: Request, inference: Inference, wanted: dict[str, bool], answers: Answers) -> Reply:
    model, parts = request.asked, []
    outputs: list[dict[str, object]] = []
    for name, binary in wanted.items():
        output, values, raw = _output(name, answers, binary=binary)
        if raw is None:
            output["data"] = values
        else:
            output["parameters"] = {"binary_data_size": len(raw)}
            parts.append(raw)
        outputs.append(output)
    answer: dict[str, object] = {"model_name": request.places["endpoint"], "model_version": str(model.number)}
    if inference.id is not None:
        answer["id"] = inference.id
    head = msgspec.json.encode(answer | {"outputs": outputs})
    if not parts:
        return Reply(head)
    length = (b"inference-header-content-length", b"%d" % len(head))
    return Reply(head + b"".join(parts), media_type=BINARY, headers=(length,))


def _output(name: str, answers: Answers, *, binary: bool) -> tuple[dict[str, object], list[object], bytes | None]:
    """The head of an output tensor; its values for JSON, or its bytes."""
    rows = len(answers.predictions)
    if answers.vectors is not None:
        values = answers.vectors.values
        shaped: dict[str, object] = {"name": name, "datatype": "FP32", "shape": list(values.shape)}
        if binary:
            return shaped, [], np.ascontiguousarray(values, "<f4").tobytes()
        return shaped, finite(values.ravel().tolist()), None
    if name == "probabilities":
        assert answers.probabilities is not None
        head: dict[str, object] = {"name": name, "datatype": "FP32", "shape": list(answers.probabilities.shape)}
        raw = np.ascontiguousarray(answers.probabilities, "<f4").tobytes() if binary else None
        return head, [] if binary else short(answers.probabilities.ravel()), raw
    is_class = answers.probabilities is not None
    head = {"name": name, "datatype": "BYTES" if is_class else "FP64", "shape": [rows]}
    if not binary:
        return head, finite(answers.predictions), None
    raw = write_bytes(answers.predictions) if is_class else np.asarray(answers.predictions, "<f8").tobytes()
    return head, [], raw


def _outputs(model: Model) -> list[dict[str, object]]:
    if width := model.manifest.task.width:
        return [{"name": "vectors", "datatype": "FP32", "shape": [-1, width]}]
    classes = len(model.manifest.task.classes)
    if not classes:
        return [{"name": "prediction", "datatype": "FP64", "shape": [-1]}]
    return [
        {"name": "prediction", "datatype": "BYTES", "shape": [-1]},
        {"name": "probabilities", "datatype": "FP32", "shape": [-1, classes]},
    ]


def _datatype(field: Field) -> str:
    return "FP64" if field.kind == "number" else "BYTES"


def _json(value: object) -> Reply:
    return Reply(msgspec.json.encode(value), media_type=JSON)
