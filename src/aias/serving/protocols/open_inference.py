"""Open Inference Protocol, version 2, over HTTP: what `tritonclient`, KServe's client and others speak.

Every input field is a tensor of its name. The answers are `prediction` and, for classes, `probabilities`. With the
extensions for binary data, classification, model configuration, the model repository and statistics.
"""

import time
from typing import ClassVar, Final

import msgspec

from aias.core.errors import AiasError, BadValue
from aias.serving.http.messages import JSON, Ask, Conversation, Reply, Request, json_reply
from aias.serving.http.routes import PUBLIC, Route
from aias.serving.inference.descriptions import config_of, metadata_of
from aias.serving.inference.replies import reply_of
from aias.serving.inference.requests import columns_of, parse, wanted_of
from aias.serving.protocols.contract import ServerContext
from aias.serving.refusals import BadBody, UnknownPath
from aias.serving.versions.model import Model

__all__ = ["OpenInference"]

EXTENSIONS: Final = ("binary_tensor_data", "classification", "model_configuration", "model_repository", "statistics")


class OpenInference:
    prefix: ClassVar[str] = "/v2"

    def __init__(self, context: ServerContext) -> None:
        self._ready, self._rows_max = context.ready, context.bounds.body_rows
        self._repository, self._counted, self._pointer = context.repository, context.counted, context.pointer
        self._numbers = context.numbers

    def routes(self) -> tuple[Route, ...]:
        model, version = "/v2/models/{endpoint}", "/v2/models/{endpoint}/versions/{version}"
        control, repository = "/v2/repository/models/{name}", self._repository
        return (
            Route("GET", "/v2", "read", self.describe_server),
            Route("GET", "/v2/health/live", PUBLIC, self.tell_live),
            Route("GET", "/v2/health/ready", PUBLIC, self.tell_ready),
            Route("GET", "/v2/models", "read", repository.names),
            Route("GET", "/v2/models/stats", "read", self.tell_all_statistics),
            *(Route("GET", path, "predict", self.describe_model) for path in (model, version)),
            *(Route("GET", f"{path}/ready", "predict", self.tell_model, wakes=False) for path in (model, version)),
            *(Route("GET", f"{path}/config", "predict", self.describe_config) for path in (model, version)),
            *(Route("GET", f"{path}/stats", "read", self.tell_statistics, wakes=False) for path in (model, version)),
            *(Route("POST", f"{path}/infer", "predict", self.infer) for path in (model, version)),
            Route("POST", "/v2/repository/index", "read", repository.index),
            Route("POST", f"{control}/load", "admin", repository.load),
            Route("POST", f"{control}/unload", "admin", repository.unload),
        )

    @staticmethod
    def envelope(fault: AiasError, request_id: str) -> bytes:  # noqa: ARG004  clients expect one string and no more
        return msgspec.json.encode({"error": f"{fault.message} ({fault.hint})" if fault.hint else fault.message})

    def describe_server(self, _request: Request) -> Reply:
        from importlib.metadata import version

        return json_reply({"name": "aias", "version": version("aias"), "extensions": EXTENSIONS})

    def tell_live(self, _request: Request) -> Reply:
        return json_reply({"live": True})

    def tell_ready(self, _request: Request) -> Reply:
        ready = self._ready()
        return json_reply({"ready": ready}, 200 if ready else 503)

    def tell_model(self, request: Request) -> Reply:
        """Ready means that a request is answered; if the model is not in memory, after it has been loaded."""
        name = request.places["endpoint"]
        self._check(request, self._number(request))
        return json_reply({"name": name, "ready": True})

    def describe_model(self, request: Request) -> Reply:
        """The tensors of an endpoint."""
        return json_reply(metadata_of(request.places["endpoint"], self._checked(request), self._versions(request)))

    def describe_config(self, request: Request) -> Reply:
        """The tensors of an endpoint in the form of Triton's model configuration."""
        name, model = request.places["endpoint"], self._checked(request)
        rows_max = model.rows_within(self._rows_max)
        return json_reply(config_of(name, model, self._versions(request), rows_max=rows_max))

    def tell_statistics(self, request: Request) -> Reply:
        """How many requests and rows an endpoint has answered, and how long each phase took."""
        name, version = request.places["endpoint"], request.places.get("version")
        number, counted = self._number(request), self._counted()
        whole = str(self._pointer(name).ref) if request.model is None else request.model.version

        def told() -> bytes:
            found = list(counted().statistics.of([(name, whole)]))
            if version is not None:
                found = [each for each in found if each["version"] == version]
                if not found:
                    self._check(request, number)
            return msgspec.json.encode({"model_stats": found})

        return Reply(b"", media_type=JSON, later=told)

    def tell_all_statistics(self, _request: Request) -> Reply:
        """The same for every endpoint."""
        known, counted = self._repository.versions(), self._counted()
        return Reply(
            b"",
            media_type=JSON,
            later=lambda: msgspec.json.encode({"model_stats": list(counted().statistics.of(known))}),
        )

    def _versions(self, request: Request) -> list[int]:
        """The numbers by which an endpoint can be asked: of the live version, and of canaries."""
        name = request.places["endpoint"]
        return self._numbers(name, self._pointer(name).number)

    def _number(self, request: Request) -> int:
        """Of the version that answers, in memory or not."""
        return self._pointer(request.places["endpoint"]).number if request.model is None else request.model.number

    def _checked(self, request: Request) -> Model:
        """The model of the version that is asked. Raises `UnknownPath` where that is not to be had."""
        self._check(request, request.asked.number)
        return request.asked

    def _check(self, request: Request, number: int) -> None:
        version = request.places.get("version")
        if version is not None and version != str(number):
            name, all_of_them = request.places["endpoint"], " and ".join(map(str, self._versions(request)))
            raise UnknownPath(f"`{name}` is not at version {version[:20]}", hint=f"it is at {all_of_them}")

    def infer(self, request: Request) -> Conversation:
        """Answer the rows that the tensors hold."""
        model = self._checked(request)
        started = time.perf_counter()
        inference, tail = parse(request, model)
        wanted = wanted_of(inference, model)
        columns, rows = columns_of(inference, tail, rows_max=model.rows_within(self._rows_max))
        decoded = time.perf_counter()
        try:
            answers = (yield Ask(rows, columns=columns)) if rows else model.nothing()
        except BadValue as fault:
            # This protocol calls every bad input a 400.
            raise BadBody(fault.message, hint=fault.hint) from None
        run = time.perf_counter()
        reply = reply_of(request, inference, wanted, answers)
        reply.rows = rows
        reply.phases = decoded - started, run - decoded, time.perf_counter() - run
        return reply
