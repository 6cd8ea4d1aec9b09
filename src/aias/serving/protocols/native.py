"""Rows in, answers out: `POST /predict/<endpoint>` in JSON, JSON Lines, CSV, Arrow or Parquet;
`GET` on it tells what to send."""

import shlex
import time
from typing import Any, ClassVar, Final

import msgspec

from aias.core.errors import AiasError, BadValue
from aias.runtimes.contract import Answers
from aias.serving.formats.csvs import read_csv, separator_of, text_of, write_csv
from aias.serving.formats.json_rows import read_lines, read_row, read_rows
from aias.serving.http.content_negotiation import wanted
from aias.serving.http.messages import BINARY, FILES, JSON, JSON_LINES, Ask, Conversation, Reply, Request
from aias.serving.http.routes import Route
from aias.serving.protocols.contract import ServerContext
from aias.serving.refusals import BadBody, Refusal, UnsupportedType
from aias.serving.versions.model import Model

__all__ = ["Native"]

CSV: Final = b"text/csv"
ARROW_STREAM: Final = b"application/vnd.apache.arrow.stream"
ARROW_FILE: Final = b"application/vnd.apache.arrow.file"
TSV: Final = b"text/tab-separated-values"
PARQUET: Final = b"application/vnd.apache.parquet"
_TABLES: Final = (CSV, TSV, ARROW_STREAM, ARROW_FILE, PARQUET)
_WRITTEN: Final = (JSON, *JSON_LINES, CSV, ARROW_STREAM, ARROW_FILE)
_ANSWERED_AS: Final = {PARQUET: ARROW_FILE, TSV: CSV}
"""What is read and not written."""

_MAGIC: Final = dict(zip(FILES, (PARQUET, ARROW_FILE), strict=True))
"""What files are that are sent as just bytes."""


class Native:
    prefix: ClassVar[str] = "/predict"

    def __init__(self, context: ServerContext) -> None:
        self._rows_max = context.bounds.body_rows
        self._arrow = context.arrow

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
        if isinstance(fault, Refusal) and fault.retry_seconds is not None:
            problem["retry_after_seconds"] = fault.retry_seconds
        return msgspec.json.encode({"error": problem})

    def predict(self, request: Request) -> Conversation:
        """Answer a body's rows. Raises `BadValue` naming the row and the field, and `Refusal`."""
        media_type = JSON if request.headers.get(b"content-type") == JSON else self._media_type(request)
        came = _ANSWERED_AS.get(media_type, media_type)
        answered = wanted(request.headers.get(b"accept"), _WRITTEN, otherwise=came)
        if media_type != JSON and media_type in _TABLES:
            return (yield from self._predict_table(request, media_type, answered))
        started = time.perf_counter()
        model, single = request.asked, media_type == JSON and request.body.lstrip()[:1] == b"{"
        ask = self._asked(request, model, media_type, single=single)
        decoded = time.perf_counter()
        answers = (yield ask) if ask.count else model.nothing()
        run = time.perf_counter()
        body = model.form.one(answers) if single and answered == JSON else self._written(model, answers, answered)
        return Reply(
            body, 200, answered, rows=ask.count, phases=(decoded - started, run - decoded, time.perf_counter() - run)
        )

    def describe(self, request: Request) -> Reply:
        """The fields that the endpoint takes, an example, and what it answers."""
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

    def _asked(self, request: Request, model: Model, media_type: bytes, *, single: bool) -> Ask:
        """What the rows of JSON or JSON Lines ask."""
        body, reads = request.body, model.reads
        if media_type != JSON:
            rows = read_lines(body, rows_max=model.rows_within(self._rows_max))
        elif reads is not None and (encoded := reads.read(body)) is not None:
            return Ask(1, encoded=encoded)
        elif single:
            rows = [read_row(body)]
        else:
            rows = read_rows(body, rows_max=model.rows_within(self._rows_max))
        return Ask(len(rows), rows=rows)

    def _media_type(self, request: Request) -> bytes:
        media_type = request.media_type
        if media_type == JSON or media_type in _TABLES or media_type in JSON_LINES:
            return media_type
        if media_type == BINARY and (found := _MAGIC.get(request.body[:4])):
            return found
        if request.looks_like_json:
            return JSON
        if not request.body:
            raise BadBody("the body is empty", hint='send rows, such as `[{"column": value, ...}]`')
        raise UnsupportedType(
            f"a body of the type {media_type.decode('ascii', 'replace') or 'unknown'!r} is not understood",
            hint="the Content-Type must be application/json, application/jsonlines, text/csv, "
            "application/vnd.apache.arrow.stream, .arrow.file or .parquet; of a packed file that of what is inside, "
            "with `Content-Encoding: gzip`",
        )

    def _predict_table(self, request: Request, media_type: bytes, answered: bytes) -> Conversation:
        started, model = time.perf_counter(), request.asked
        rows_max = model.rows_within(self._rows_max)
        if media_type in (CSV, TSV):
            text = text_of(request.body, request.parameter(b"charset"))
            separator = separator_of(text) if media_type == CSV else "\t"
            columns = read_csv(text, rows_max=rows_max, divided_by=separator)
        else:
            columns = self._arrow.read(request.body, rows_max=rows_max)
        rows = len(next(iter(columns.values()), ()))
        decoded = time.perf_counter()
        answers = (yield Ask(rows, columns=columns)) if rows else model.nothing()
        run = time.perf_counter()
        body = self._written(model, answers, answered)
        phases = decoded - started, run - decoded, time.perf_counter() - run
        return Reply(body, media_type=answered, rows=rows, phases=phases)

    def _written(self, model: Model, answers: Answers, media_type: bytes) -> bytes:
        if media_type == JSON:
            return model.form.rows(answers)
        if media_type in JSON_LINES:
            return model.form.lines(answers)
        columns = model.form.columns(answers)
        if media_type == CSV:
            return write_csv(columns)
        return self._arrow.write(columns, kinds=model.form.kinds(columns), as_file=media_type == ARROW_FILE)


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
        span: dict[str, object] = (
            {} if model.manifest.intervals is None else {"interval": "from and to: the truth in nine of ten rows"}
        )
        return {"prediction": "number"} | span
    return {"prediction": list(classes), "probabilities": dict.fromkeys(classes, "0 to 1")}
