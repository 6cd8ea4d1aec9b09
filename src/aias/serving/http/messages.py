"""A request as handlers see it, and their reply."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, cast

import msgspec

from aias.access.tenants import tenant_of
from aias.encoders.rows import Encoded
from aias.runtimes.contract import Answers, Embedding, Joining, Reading, Row, Text
from aias.serving.batching.tickets import Ticket
from aias.serving.http.content_negotiation import leaves_over
from aias.serving.survival.journal import Death, Slot
from aias.serving.versions.model import Answering, Model

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from aias.serving.admission.quotas import Charge
    from aias.serving.http.streams import Stream
    from aias.serving.rollout.split import Split

JSON: Final = b"application/json"
TEXT: Final = b"text/plain; version=0.0.4; charset=utf-8"
JSON_LINES: Final = (b"application/jsonlines", b"application/x-ndjson", b"application/jsonl")
"""One form by the names that people give it; the first is SageMaker's."""

BINARY: Final = b"application/octet-stream"
UNSAID: Final = frozenset((b"", b"application/x-www-form-urlencoded", b"text/plain"))
"""What clients say of a body who do not know better (curl)."""

FILES: Final = (b"PAR1", b"ARRO")
"""How a file of Parquet and one of Arrow begin."""

_TABLES: Final = (b"text/csv", b"text/tab", b"application/vnd.")


class Request(msgspec.Struct):
    """`headers` by lower-case name; `places` are the parts of the path that the route leaves open.

    `tenant`: which key it came with, and `key` the name of that; `payer`: who has a share of the time, the key or the
    tenant that has it; `charge`: what it takes of the quotas of both, where there are any. `route`: the path that
    answers, with its open parts; `fault`: the code of why it was refused; `span`: where it is traced. `split`: of an
    endpoint with several versions. `named_version`: the one that its caller wants, by number or wholly, where headers
    say it and not the path. `priority`: 0 goes first of a payer's, 2 last. `deadline`: on `time.monotonic`.
    `late_seconds`: how long it had lain here when it was first looked at; `dawdled_seconds`: before that, how long its
    body took to come. `held_bytes`: what it is counted for, of the room for bodies. `read`: what of its body was
    understood on the way to its model. `name`: by which it is known again, where it must not be done twice.
    `batch_rows`: of the run that it shared with others, where the run is counted for all of them.
    """

    method: str
    path: str
    id: str
    headers: dict[bytes, bytes]
    places: dict[str, str]
    body: bytes = b""
    model: Model | None = None
    tenant: str = ""
    payer: str = ""
    key: str = ""
    route: str = ""
    fault: str = ""
    span: "Span | None" = None
    charge: "Charge | None" = None
    priority: int = 1
    deadline: float | None = None
    split: "Split | None" = None
    named_version: str | None = None
    late_seconds: float = 0.0
    dawdled_seconds: float = 0.0
    held_bytes: int = 0
    read: object = None
    name: bytes = b""
    batch_rows: int = 0
    slot: Slot | None = None
    """Where the connection is kept that it came on, if it is."""
    death: Death | None = None
    """Of the worker that was at it before."""
    came_to: tuple[str, str] = ("", "")
    """The endpoint and the version in whose run that was, where it is told so and not tried again."""
    coming: Ticket | None = None
    """Its place in the queue from the door until it is read."""

    @property
    def owner(self) -> str:
        """The tenant that has its key, and is shown nothing of others; nobody's keys have none, and are shown all."""
        return tenant_of(self.payer)

    @property
    def asked(self) -> Model:
        """The model behind the endpoint that the path names."""
        assert self.model is not None, "only routes with `{endpoint}` ask for a model"
        return self.model

    @property
    def media_type(self) -> bytes:
        """What the body is said to be, without parameters."""
        return self.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()

    @property
    def form(self) -> str:
        """Of the body: `json`, `csv`, `arrow`. A byte of one form takes about as long to read as another of it."""
        said = self.media_type
        if said.startswith(b"application/vnd.") or (said == BINARY and self._may_be_a_file):
            return "arrow"
        return "csv" if said.startswith((b"text/csv", b"text/tab")) else "json"

    @property
    def asks_arrow(self) -> bool:
        """Whether the process for Arrow is asked, to read its body or to write the answer."""
        return self.form == "arrow" or b"vnd." in self.headers.get(b"accept", b"").lower()

    @property
    def _may_be_a_file(self) -> bool:
        return self.body.startswith(FILES) or b"content-encoding" in self.headers

    @property
    def looks_like_json(self) -> bool:
        """Whether nobody has said what it is, and it begins as JSON does."""
        return self.media_type in UNSAID and self.body.lstrip()[:1] in (b"[", b"{")

    def parameter(self, name: bytes) -> str | None:
        """One of the type's parameters, such as the charset; None when it is not given."""
        for each in self.headers.get(b"content-type", b"").split(b";")[1:]:
            key, _, value = each.partition(b"=")
            if key.strip().lower() == name:
                return value.strip().strip(b'"').decode("latin-1")
        return None


class Reply(msgspec.Struct):
    """`phases`: seconds of decoding, running and encoding, when a model has answered. `queue`: of the second, what was
    spent waiting for a thread. `pieces`: the body, where it comes piece by piece; they are made in the thread that
    answers, which keeps its turn until the last. `repeated`: it was made for an equal request, and not run again.
    `later`: makes the body in a thread, where that would hold up the loop."""

    body: bytes
    status: int = 200
    media_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()
    rows: int = 0
    phases: tuple[float, float, float] | None = None
    queue: float | None = None
    pieces: Iterator[bytes] | None = None
    stream: "Stream | None" = None
    repeated: bool = False
    later: Callable[[], bytes] | None = None


def json_reply(value: object, status: int = 200) -> Reply:
    return Reply(msgspec.json.encode(value), status)


class Ask(msgspec.Struct, frozen=True):
    """What a handler wants of its model: the answers to `rows`, to `columns` of `count` values each, to `texts`, or to
    rows that the runtime has `encoded` already.

    A handler that yields it, and is given the answers, lets its rows run together with those of other callers; and the
    event loop does not stand still meanwhile. One that calls the runtime itself is run in a thread as a whole.
    """

    count: int
    rows: Sequence[Row] | None = None
    columns: Mapping[str, Sequence[object]] | None = None
    texts: Sequence[Text] | None = None
    encoded: Encoded | None = None

    def answer(self, runtime: Answering) -> Answers:
        if self.encoded is not None:
            return cast("Reading", runtime).answer(self.encoded)
        if self.texts is not None:
            return cast("Embedding", runtime).embed(self.texts)
        if self.rows is not None:
            return runtime.predict(self.rows)
        return runtime.predict_columns(self.columns or {}, self.count)

    def encode(self, runtime: Joining) -> Encoded:
        if self.encoded is not None:
            return self.encoded
        if self.texts is not None:
            return cast("Embedding", runtime).encode_texts(self.texts)
        if self.rows is not None:
            return runtime.encode(self.rows)
        return runtime.encode_columns(self.columns or {}, self.count)


Conversation = Generator[Ask, Answers, Reply]


def is_by_lines(headers: dict[bytes, bytes]) -> bool:
    """Whether each line of the body is a row."""
    return headers.get(b"content-type", b"").partition(b";")[0].strip().lower() in JSON_LINES


def is_table(headers: dict[bytes, bytes], body: bytes = b"") -> bool:
    """What a table costs is not known from the example, whatever its size; nor what is answered with one."""
    said, accept = headers.get(b"content-type", b"").lower(), headers.get(b"accept", b"").lower()
    return (
        said.startswith(_TABLES)
        or b"vnd." in accept
        or leaves_over(accept)
        # Of just bytes only a file is a table; the tensors of /v2 are as light as its JSON.
        or (said.startswith(BINARY) and body.startswith(FILES))
    )
