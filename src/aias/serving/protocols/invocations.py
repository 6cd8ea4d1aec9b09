"""SageMaker's and MLflow's way to ask, which share `POST /invocations` and `GET /ping`.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html,
https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally. The body says whose it is (`formats/tables.py`).
Neither names a model in its path: a header does, or the server's own setting, or there is one endpoint only.
"""

import re
import time
from typing import ClassVar, Final

import msgspec

from aias import __version__
from aias.core.errors import AiasError, BadValue
from aias.runtimes.contract import Answers
from aias.serving.formats.arrow import Columns
from aias.serving.formats.csvs import text_of, write_lines
from aias.serving.formats.json_answers import plain
from aias.serving.formats.json_vectors import floats
from aias.serving.formats.tables import Tables, rows_of
from aias.serving.formats.tensors import Parameters
from aias.serving.http.content_negotiation import wanted
from aias.serving.http.messages import JSON, JSON_LINES, Ask, Conversation, Reply, Request
from aias.serving.http.routes import PUBLIC, Route
from aias.serving.protocols.contract import ServerContext
from aias.serving.refusals import BadBody, BadRequest, Refusal, UnnamedEndpoint, UnsupportedType, status_of
from aias.serving.versions.model import Model

__all__ = ["Invocations"]

CSV: Final = b"text/csv"

TARGET: Final = b"x-amzn-sagemaker-target-model"
VARIANT: Final = b"x-amzn-sagemaker-target-variant"
ATTRIBUTES: Final = b"x-amzn-sagemaker-custom-attributes"
INVOKED: Final = b"x-amzn-invoked-production-variant"

_ATTRIBUTES: Final = re.compile(rb"[\x20-\x7e]{0,1024}")
"""As SageMaker allows them."""

DETAILS: Final = "details"
"""The one parameter: all that `/predict` answers, instead of the prediction alone."""

_CODES: Final = {
    401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "RESOURCE_DOES_NOT_EXIST", 429: "REQUEST_LIMIT_EXCEEDED",
    500: "INTERNAL_ERROR", 503: "TEMPORARILY_UNAVAILABLE",
}  # fmt: skip
"""MLflow's names for them; any other fault is a BAD_REQUEST."""


class Invocations:
    prefix: ClassVar[str] = "/invocations"

    def __init__(self, context: ServerContext) -> None:
        self._ready, self._deployed, self._unnamed = context.ready, context.deployed, context.unnamed
        self._rows_max = context.bounds.body_rows

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("POST", "/invocations", "predict", self.invoke, self.named),
            Route("GET", "/ping", PUBLIC, self.ping),
            Route("GET", "/health", PUBLIC, self.ping),
            Route("GET", "/version", "predict", self.tell_version),
        )

    @staticmethod
    def envelope(fault: AiasError, request_id: str) -> bytes:  # noqa: ARG004  it is in a header
        message = f"{fault.message} ({fault.hint})" if fault.hint else fault.message
        problem: dict[str, object] = {
            "error_code": _CODES.get(status_of(fault), "BAD_REQUEST"), "message": message,
        }  # fmt: skip
        if isinstance(fault, Refusal) and fault.retry_seconds is not None:
            problem["retry_after_seconds"] = fault.retry_seconds
        return msgspec.json.encode(problem)

    def ping(self, _request: Request) -> Reply:
        """Can every endpoint answer?"""
        return Reply(b"\n", 200 if self._ready() else 503)

    def tell_version(self, _request: Request) -> Reply:
        """The version of Aias, as plain text."""
        return Reply(__version__.encode(), media_type=b"text/plain")

    def named(self, request: Request) -> str:
        """The endpoint that is meant, and which version of it. Raises `UnnamedEndpoint`."""
        if variant := request.headers.get(VARIANT):
            request.named_version = variant.decode("latin-1")
        target = request.headers.get(TARGET)
        if target is not None:
            return target.decode("latin-1").removeprefix("/").removesuffix(".tar.gz")
        if self._unnamed is not None:
            return self._unnamed
        names = [endpoint.name for endpoint in self._deployed()]
        if len(names) == 1:
            return names[0]
        raise UnnamedEndpoint(
            f"{len(names)} endpoints could answer, and the request names none",
            hint="name one in the header X-Amzn-SageMaker-Target-Model, or start with `aias serve --unnamed NAME`",
        )

    def invoke(self, request: Request) -> Conversation:
        """Answer rows in MLflow's and SageMaker's formats"""
        model, attributes = request.asked, _attributes(request)
        _check_variant(request, model)
        form = wanted(request.headers.get(b"accept"), (JSON, CSV, *JSON_LINES), otherwise=JSON)
        started = time.perf_counter()
        try:
            columns, parameters = self._read(request, model)
            details = _details(parameters, attributes)
            rows = rows_of(columns)
            decoded = time.perf_counter()
            answers = (yield Ask(rows, columns=columns)) if rows else model.nothing()
        except BadValue as fault:
            # Both call every bad input a 400.
            raise BadBody(fault.message, hint=fault.hint) from None
        run = time.perf_counter()
        body = _written(model, answers, form, details=details)
        phases = decoded - started, run - decoded, time.perf_counter() - run
        headers: tuple[tuple[bytes, bytes], ...] = ((INVOKED, model.version.encode()),)
        if attributes is not None:
            headers += ((ATTRIBUTES, attributes),)
        return Reply(body, media_type=form, headers=headers, rows=rows, phases=phases)

    def _read(self, request: Request, model: Model) -> tuple[Columns, Parameters]:
        # Rows without names mean the same to everybody: whoever does not name a canary does not know of it.
        known = (model if request.split is None else request.split.live).manifest
        names, others = [field.name for field in known.inputs], [field.name for field in known.ignored]
        rows_max = model.rows_within(self._rows_max)
        times = [field.name for field in known.inputs if field.kind == "time"]
        tables = Tables(names, times=times, others=[*others, known.task.target], rows_max=rows_max)
        media_type = request.media_type
        if media_type in (b"", JSON) or request.looks_like_json:
            return tables.json(request.body)
        if media_type in JSON_LINES:
            return tables.json_lines(request.body), {}
        if media_type == CSV:
            header = {"present": True, "absent": False}.get(request.parameter(b"header") or "")
            return tables.csv(text_of(request.body, request.parameter(b"charset")), header=header), {}
        raise UnsupportedType(
            f"a body of the type {media_type.decode('ascii', 'replace')[:100]!r} is not understood",
            hint="send application/json, application/jsonlines or text/csv as Content-Type",
        )


def _attributes(request: Request) -> bytes | None:
    """What the caller wants to see again, be it a trace. Raises `BadRequest`."""
    given = request.headers.get(ATTRIBUTES)
    if given is not None and not _ATTRIBUTES.fullmatch(given):
        raise BadRequest("custom attributes are at most 1,024 characters of visible ASCII")
    return given


def _check_variant(request: Request, model: Model) -> None:
    variant = request.headers.get(VARIANT, b"").decode("latin-1")
    if variant not in ("", model.version, str(model.number)):
        raise BadRequest(f"{variant[:100]!r} does not answer here", hint=f"{model.version} does")


def _details(parameters: Parameters, attributes: bytes | None) -> bool:
    """From MLflow's `params`, or as `details=true` among SageMaker's attributes."""
    if unknown := sorted(parameters.keys() - {DETAILS}):
        raise BadBody(f"params: {unknown[0][:100]!r} is not known", hint=f"there is `{DETAILS}`, true or false")
    details = parameters.get(DETAILS)
    if details is not None and not isinstance(details, bool):
        raise BadBody(f"params: `{DETAILS}` must be true or false")
    parts = re.split(rb"[,;]\s*", attributes or b"")
    return details if details is not None else b"details=true" in parts


def _written(model: Model, answers: Answers, form: bytes, *, details: bool) -> bytes:
    if form == CSV:
        columns = model.form.columns(answers)
        kept = columns if details or answers.vectors is not None else {"prediction": columns["prediction"]}
        return write_lines({name: each for name, each in kept.items() if details or name not in ("tokens", "cut")})
    if form in JSON_LINES:
        return (
            model.form.lines(answers)
            if details
            else b"".join(b'{"prediction":%b}\n' % each for each in _plain(answers))
        )
    if details:
        return b'{"predictions":%b}' % model.form.rows(answers)
    return b'{"predictions":[%b]}' % b",".join(_plain(answers))


def _plain(answers: Answers) -> list[bytes]:
    """Each prediction alone: a label, a number or a vector."""
    if answers.vectors is not None:
        return [floats(row) for row in answers.vectors.values]
    return [msgspec.json.encode(plain(each)) for each in answers.predictions]
