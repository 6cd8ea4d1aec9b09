"""Each call of the protocol: its message → the request over HTTP → the message of its reply."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final
from urllib.parse import quote

import msgspec

from aias.core.errors import AiasError
from aias.encoders.json_row import Scalar
from aias.serving.grpc.proto import schema
from aias.serving.grpc.tensors import fill, raw_inputs
from aias.serving.grpc.wire import Declined, Found, Wire
from aias.serving.inference.requests import LENGTH_HEADER
from aias.serving.refusals import BadBody

Answer = Callable[[Wire, Any], Awaitable[Any]]

_EMPTY_FINAL: Final = "triton_enable_empty_final_response"


def message(name: str) -> Any:
    return schema("inference").message(name)


async def live(wire: Wire, _request: Any) -> Any:
    return _filled("ServerLiveResponse", (await wire.ask("GET", "/v2/health/live")).granted())


async def ready(wire: Wire, _request: Any) -> Any:
    found = await wire.ask("GET", "/v2/health/ready")
    return message("ServerReadyResponse")(ready=found.status == 200)


async def model_ready(wire: Wire, request: Any) -> Any:
    found = await wire.ask("GET", f"{_model(request.name, request.version)}/ready")
    # Not there and not ready are answers to this question; having no key is not.
    if found.status not in (200, 404, 503):
        found.granted()
    return message("ModelReadyResponse")(ready=found.status == 200)


async def server_metadata(wire: Wire, _request: Any) -> Any:
    return _filled("ServerMetadataResponse", (await wire.ask("GET", "/v2")).granted())


async def model_metadata(wire: Wire, request: Any) -> Any:
    found = await wire.ask("GET", _model(request.name, request.version))
    return _filled("ModelMetadataResponse", found.granted())


async def model_config(wire: Wire, request: Any) -> Any:
    found = await wire.ask("GET", f"{_model(request.name, request.version)}/config")
    return _parsed("ModelConfigResponse", {"config": found.granted().head})


async def statistics(wire: Wire, request: Any) -> Any:
    path = f"{_model(request.name, request.version)}/stats" if request.name else "/v2/models/stats"
    return _filled("ModelStatisticsResponse", (await wire.ask("GET", path)).granted())


async def index(wire: Wire, request: Any) -> Any:
    body = msgspec.json.encode({"ready": request.ready})
    found = await wire.ask("POST", "/v2/repository/index", body)
    return _parsed("RepositoryIndexResponse", {"models": found.granted().head})


async def load(wire: Wire, request: Any) -> Any:
    await _control(wire, request, "load")
    return message("RepositoryModelLoadResponse")(model_name=request.model_name, isLoaded=True)


async def unload(wire: Wire, request: Any) -> Any:
    await _control(wire, request, "unload")
    return message("RepositoryModelUnloadResponse")(model_name=request.model_name, isUnloaded=True)


async def infer(wire: Wire, request: Any) -> Any:
    path = f"{_model(request.model_name, request.model_version)}/infer"
    try:
        body, length = await wire.made(partial(_infer_body, request))
    except AiasError as fault:
        # Of a key's quotas, and in all that is counted and logged, it is a request like any other.
        (await wire.ask("POST", path, unread=fault)).granted()
        raise
    found = await wire.ask("POST", path, body, [(LENGTH_HEADER, b"%d" % length)])
    reply = partial(_infer_reply, found.granted(), raw=bool(request.raw_input_contents))
    return await wire.made(reply, first=True)


async def stream_infer(wire: Wire, request: Any) -> Any:
    """One of a stream's requests: a refusal is a message too, so that the stream goes on."""
    reply = message("ModelStreamInferResponse")()
    try:
        reply.infer_response.CopyFrom(await infer(wire, request))
    except (Declined, AiasError) as fault:
        declined = wire.turned_away(fault) if isinstance(fault, AiasError) else fault
        reply.error_message = declined.message
        reply.infer_response.id = request.id
    if request.parameters[_EMPTY_FINAL].bool_param:
        reply.infer_response.parameters["triton_final_response"].bool_param = True
    return reply


CALLS: Final[dict[str, tuple[str, Answer, str]]] = {
    "ServerLive": ("ServerLiveRequest", live, ""),
    "ServerReady": ("ServerReadyRequest", ready, ""),
    "ModelReady": ("ModelReadyRequest", model_ready, "predict"),
    "ServerMetadata": ("ServerMetadataRequest", server_metadata, "read"),
    "ModelMetadata": ("ModelMetadataRequest", model_metadata, "predict"),
    "ModelConfig": ("ModelConfigRequest", model_config, "predict"),
    "ModelStatistics": ("ModelStatisticsRequest", statistics, "read"),
    "ModelInfer": ("ModelInferRequest", infer, "predict"),
    "ModelStreamInfer": ("ModelInferRequest", stream_infer, "predict"),
    "RepositoryIndex": ("RepositoryIndexRequest", index, "read"),
    "RepositoryModelLoad": ("RepositoryModelLoadRequest", load, "admin"),
    "RepositoryModelUnload": ("RepositoryModelUnloadRequest", unload, "admin"),
}
"""By method: its message, what answers it, and the scope without which its message is not even read."""


async def _control(wire: Wire, request: Any, verb: str) -> None:
    body = msgspec.json.encode({"parameters": _parameters(request.parameters)})
    (await wire.ask("POST", f"/v2/repository/models/{_name(request.model_name)}/{verb}", body)).granted()


def _infer_body(request: Any) -> tuple[bytes, int]:
    """The request in the binary form, and how much of it is JSON. Raises `BadBody`."""
    raw = raw_inputs(request)
    inputs = [
        {
            "name": tensor.name,
            "shape": list(tensor.shape),
            "datatype": tensor.datatype,
            "parameters": _parameters(tensor.parameters) | {"binary_data_size": len(each)},
        }
        for tensor, each in zip(request.inputs, raw, strict=True)
    ]
    head: dict[str, object] = {
        "inputs": inputs,
        "parameters": _parameters(request.parameters) | {"binary_data_output": True},
        "outputs": [
            {"name": output.name, "parameters": _parameters(output.parameters) | {"binary_data": True}}
            for output in request.outputs
        ],
    }
    if request.id:
        head["id"] = request.id
    text = msgspec.json.encode(head)
    return text + b"".join(raw), len(text)


def _infer_reply(found: Found, *, raw: bool) -> Any:
    head, tail = found.head, found.tail
    reply = message("ModelInferResponse")(
        model_name=head["model_name"], model_version=head["model_version"], id=head.get("id", "")
    )
    for output in head["outputs"]:
        tensor = reply.outputs.add(name=output["name"], datatype=output["datatype"], shape=output["shape"])
        size = output["parameters"]["binary_data_size"]
        if raw:
            reply.raw_output_contents.append(bytes(tail[:size]))
        else:
            fill(tensor.contents, output["datatype"], bytes(tail[:size]))
        tail = tail[size:]
    return reply


def _parameters(parameters: Any) -> dict[str, Scalar]:
    return {name: _value(parameters[name]) for name in parameters}


def _value(parameter: Any) -> Scalar:
    chosen = parameter.WhichOneof("parameter_choice")
    if chosen is None:
        return None
    value = getattr(parameter, chosen)
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _model(name: str, version: str) -> str:
    return f"/v2/models/{_name(name)}" + (f"/versions/{quote(version, safe='')}" if version else "")


def _name(name: str) -> str:
    """As it may stand in a path: whatever could make two names or another path of it is escaped."""
    if not name:
        raise BadBody("the call names no model")
    return quote(name[:1000], safe="")


def _filled(name: str, found: Found) -> Any:
    return _parsed(name, found.head)


def _parsed(name: str, value: Any) -> Any:
    from google.protobuf.json_format import ParseDict

    return ParseDict(value, message(name)(), ignore_unknown_fields=True)
