"""Rows in, answers out: `POST /predict/<endpoint>` in JSON, CSV or Arrow; `GET` on it tells what to send."""

import shlex
import time
from typing import Any, ClassVar, Final

import msgspec

from aias.core.errors import AiasError, BadValue
from aias.serving.arrow import Columns
from aias.serving.csvs import read_csv, write_csv
from aias.serving.messages import JSON, Reply, Request
from aias.serving.models import Model
from aias.serving.protocols.contract import House
from aias.serving.refusals import NotAcceptable, UnsupportedType
from aias.serving.routes import Route
from aias.serving.rows import read_row, read_rows

__all__ = ["Native"]

CSV: Final = b"text/csv"
ARROW_STREAM: Final = b"application/vnd.apache.arrow.stream"
ARROW_FILE: Final = b"application/vnd.apache.arrow.file"
_TABLES: Final = (CSV, ARROW_STREAM, ARROW_FILE)
_ANY: Final = frozenset((b"*/*", b"application/*", b"text/*"))
_UNSAID: Final = frozenset((b"", b"application/x-www-form-urlencoded", b"text/plain"))
"""What clients send who do not know better (curl); such a body is JSON if it looks like it."""


class Native:
    prefix: ClassVar[str] = "/predict"

    def __init__(self, house: House) -> None:
        self._rows_max = house.bounds.body_rows
        self._arrow = house.arrow

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("POST", "/predict/{endpoint}", "predict", self.predict),
            Route("GET", "/predict/{endpoint}", "predict", self.describe),
        )

    @staticmethod
    def envelope(fault: AiasError, request_id: str) -> bytes:
        problem: dict[str, object] = {**fault.as_dict(), "request_id": request_id}
        if isinstance(fault, BadValue) and fault.row is not None:
            problem["row"] = fault.row
        return msgspec.json.encode({"error": problem})

    def predict(self, request: Request) -> Reply:
        """Answer a body's rows. Raises `BadValue` naming the row and the field, and `Refusal`."""
        media_type = self._media_type(request)
        wanted = _wanted(request.headers.get(b"accept"), media_type)
        if media_type != JSON:
            return self._predict_table(request, media_type, wanted)
        started = time.perf_counter()
        single = request.body.lstrip()[:1] == b"{"
        rows = [read_row(request.body)] if single else read_rows(request.body, rows_max=self._rows_max)
        decoded = time.perf_counter()
        model = request.asked
        answers = model.runtime.predict(rows) if rows else model.nothing()
        run = time.perf_counter()
        if wanted == JSON:
            body = model.form.one(answers) if single else model.form.rows(answers)
        else:
            body = self._written(model.form.columns(answers), wanted)
        phases = decoded - started, run - decoded, time.perf_counter() - run
        return Reply(body, media_type=wanted, rows=len(rows), phases=phases)

    def describe(self, request: Request) -> Reply:
        """The fields that the endpoint wants, an example of them, and what it answers."""
        model = request.asked
        example = msgspec.json.encode([model.example]).decode()
        host = request.headers[b"host"].decode("ascii", "replace")
        described: dict[str, object] = {
            "endpoint": request.places["endpoint"],
            "version": model.version,
            "task": {"type": model.manifest.task.type, "target": model.manifest.task.target},
            "inputs": [_described(field) for field in model.manifest.inputs],
            "example": [model.example],
            "answer": _answer_form(model),
            "curl": f"curl -H 'Authorization: Bearer YOUR-KEY' http://{host}{request.path} -d {shlex.quote(example)}",
        }
        return Reply(msgspec.json.format(msgspec.json.encode(described), indent=2) + b"\n")

    def _media_type(self, request: Request) -> bytes:
        media_type = request.media_type
        if media_type == JSON or media_type in _TABLES:
            return media_type
        if media_type in _UNSAID and request.body.lstrip()[:1] in (b"[", b"{"):
            return JSON
        raise UnsupportedType(
            f"a body of the type {media_type.decode('ascii', 'replace') or 'unknown'!r} is not understood",
            hint="send application/json, text/csv, application/vnd.apache.arrow.stream or .file as Content-Type",
        )

    def _predict_table(self, request: Request, media_type: bytes, wanted: bytes) -> Reply:
        started = time.perf_counter()
        if media_type == CSV:
            columns = read_csv(request.body, rows_max=self._rows_max)
        else:
            columns = self._arrow.read(request.body, rows_max=self._rows_max)
        rows = len(next(iter(columns.values()), ()))
        decoded = time.perf_counter()
        model = request.asked
        answers = model.runtime.predict_columns(columns, rows) if rows else model.nothing()
        run = time.perf_counter()
        body = model.form.rows(answers) if wanted == JSON else self._written(model.form.columns(answers), wanted)
        phases = decoded - started, run - decoded, time.perf_counter() - run
        return Reply(body, media_type=wanted, rows=rows, phases=phases)

    def _written(self, columns: Columns, media_type: bytes) -> bytes:
        if media_type == CSV:
            return write_csv(columns)
        return self._arrow.write(columns, as_file=media_type == ARROW_FILE)


def _wanted(accept: bytes | None, came: bytes) -> bytes:
    """The type of the answer: what is asked for most, else what came."""
    if accept is None or accept == b"*/*":
        return came
    ranked = sorted(map(_preference, accept.lower().split(b",")), key=lambda each: -each[1])
    for name, weight in ranked:
        if weight > 0 and (name == JSON or name in _TABLES):
            return name
        if weight > 0 and name in _ANY:
            return came
    raise NotAcceptable(
        "none of the types in Accept can be written", hint="accept application/json, text/csv or an Arrow type"
    )


def _preference(part: bytes) -> tuple[bytes, float]:
    name, *parameters = (piece.strip() for piece in part.split(b";"))
    weight = next((piece[2:] for piece in parameters if piece[:2] == b"q="), b"1")
    try:
        return name, float(weight)
    except ValueError:
        return name, 0.0


def _described(field: Any) -> dict[str, object]:
    facts = {"name": field.name, "kind": field.kind, "nullable": field.nullable, "example": field.example}
    more = {"unit": field.unit, "format": field.format, "categories": field.categories}
    return facts | {name: value for name, value in more.items() if value is not None}


def _answer_form(model: Model) -> dict[str, object]:
    task = model.manifest.task
    if task.width:
        return {"vector": f"{task.width} numbers", "tokens": "how many were read", "cut": "whether the text went on"}
    classes = task.classes
    if not classes:
        return {"prediction": "number"}
    return {"prediction": list(classes), "probabilities": dict.fromkeys(classes, "0 to 1")}
