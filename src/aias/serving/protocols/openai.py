"""OpenAI's API for vectors: `POST /v1/embeddings` and `GET /v1/models`, as `openai`, LangChain and LiteLLM speak it.

https://platform.openai.com/docs/api-reference/embeddings. A model is an endpoint that gives vectors.
"""

import re
import time
from typing import ClassVar, Final

import msgspec

from aias.core.errors import AiasError, BadValue
from aias.core.json_faults import Faults, in_words
from aias.core.limits import EMBEDDED_TEXTS_MAX, EMBEDDED_TOKENS_MAX
from aias.registry.values import Endpoint
from aias.runtimes.contract import Text, Vectors
from aias.serving.formats.json_vectors import floats, packed
from aias.serving.http.messages import Ask, Conversation, Reply, Request, json_reply
from aias.serving.http.routes import Route
from aias.serving.protocols.contract import ServerContext
from aias.serving.refusals import (
    BadKey,
    BadParameter,
    MissingScope,
    NoKey,
    QuotaSpent,
    Refusal,
    UnknownEndpoint,
    UnknownPath,
    WrongMethod,
    status_of,
)
from aias.serving.versions.model import Model

__all__ = ["OpenAI"]

CUT_HEADER: Final = b"x-aias-cut"
"""Which inputs were longer than the model reads."""

_CUT_SHOWN_MAX: Final = 100

_CODES: Final[tuple[tuple[type[AiasError], str], ...]] = (
    (UnknownEndpoint, "model_not_found"), (NoKey, "invalid_api_key"), (BadKey, "invalid_api_key"),
    (MissingScope, "missing_scope"), (UnknownPath, "unknown_url"), (WrongMethod, "method_not_supported"),
    (QuotaSpent, "rate_limit_exceeded"),
)  # fmt: skip
"""What clients look for; any other fault keeps its own code."""

_FIELD: Final = re.compile(r"`(model|input|encoding_format|dimensions|user)\b")

_KINDS: Final = "a text, a list of texts, a list of token ids, or a list of such lists"


class Asked(msgspec.Struct, forbid_unknown_fields=True):
    """A request. As with OpenAI, null is as good as nothing, and a field that nobody knows is refused."""

    model: str
    input: msgspec.Raw
    encoding_format: str | None = None
    dimensions: int | None = None
    user: str | None = None


_asked = msgspec.json.Decoder(Asked)
_text = msgspec.json.Decoder(str)
_texts = msgspec.json.Decoder(list[str])
_ids = msgspec.json.Decoder(list[int])
_lists = msgspec.json.Decoder(list[list[int]])


class OpenAI:
    prefix: ClassVar[str] = "/v1"

    def __init__(self, context: ServerContext) -> None:
        self._deployed, self._width, self._pointer = context.deployed, context.width, context.pointer
        self._texts_max = min(EMBEDDED_TEXTS_MAX, context.bounds.body_rows)

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("POST", "/v1/embeddings", "predict", self.embed, self.named, names_in_body=True),
            Route("GET", "/v1/models", "predict", self.list_models),
            Route("GET", "/v1/models/{endpoint}", "predict", self.describe_model),
        )

    @staticmethod
    def envelope(fault: AiasError, request_id: str) -> bytes:  # noqa: ARG004  it is in a header, where clients look
        status = status_of(fault)
        kind = "server_error" if status >= 500 else "rate_limit_error" if status == 429 else "invalid_request_error"
        problem: dict[str, object] = {
            "message": f"{fault.message} ({fault.hint})" if fault.hint else fault.message,
            "type": kind,
            "param": fault.param if isinstance(fault, BadParameter) else None,
            "code": next((code for each, code in _CODES if isinstance(fault, each)), fault.code),
        }
        if isinstance(fault, Refusal) and fault.retry_seconds is not None:
            problem["retry_after_seconds"] = fault.retry_seconds
        return msgspec.json.encode({"error": problem})

    def named(self, request: Request) -> str:
        """The endpoint that is meant. Raises `BadParameter`."""
        request.read = _read(request.body)
        return request.read.model

    def embed(self, request: Request) -> Conversation:
        """The vectors of texts or of their tokens, as numbers or as base64. Raises `BadParameter`."""
        started = time.perf_counter()
        asked = request.read
        assert isinstance(asked, Asked), "whoever asks has been found by the model that is named"
        _check(asked, request.asked)
        texts = read_texts(bytes(asked.input), texts_max=self._texts_max)
        decoded = time.perf_counter()
        try:
            found = (yield Ask(len(texts), texts=texts)).vectors
        except BadValue as fault:
            raise BadParameter(fault.message, param="input", hint=fault.hint) from None
        assert found is not None
        run = time.perf_counter()
        body = _written(asked, found)
        phases = decoded - started, run - decoded, time.perf_counter() - run
        return Reply(body, headers=_cut(found), rows=len(texts), phases=phases)

    def list_models(self, _request: Request) -> Reply:
        """The endpoints that give vectors."""

        def listed() -> bytes:
            models = [_described(each) for each in self._deployed() if self._width(each)]
            return msgspec.json.encode({"object": "list", "data": models})

        # In a thread, as of what is not in memory a file has to be read.
        return Reply(b"", later=listed)

    def describe_model(self, request: Request) -> Reply:
        """One of them."""
        name = request.places["endpoint"]
        if not request.asked.manifest.task.width:
            raise UnknownEndpoint(f"`{name}` gives no vectors", hint=f"ask it at /predict/{name}")
        return json_reply(_described(self._pointer(name)))


def _read(body: bytes) -> Asked:
    try:
        return _asked.decode(body)
    except Faults as fault:
        said = in_words(fault, body)
        named = _FIELD.search(said)
        raise BadParameter(
            f"the body of the request: {said}", param=named[1] if named else None,
            hint="send an object with `model` and `input`; `encoding_format`, `dimensions` and `user` may be there",
        ) from None  # fmt: skip


def _check(asked: Asked, model: Model) -> None:
    width = model.manifest.task.width
    if not width:
        raise BadParameter(f"`{asked.model}` gives no vectors", param="model", hint=f"ask it at /predict/{asked.model}")
    if asked.encoding_format not in (None, "float", "base64"):
        raise BadParameter("encoding_format must be `float` or `base64`", param="encoding_format")
    if asked.dimensions not in (None, width):
        raise BadParameter(
            f"dimensions can only be {width}: the vectors of `{asked.model}` mean nothing when they are cut",
            param="dimensions", hint="leave it out",
        )  # fmt: skip


def read_texts(raw: bytes, *, texts_max: int) -> list[Text]:
    """The inputs, one or many. Raises `BadParameter`."""
    inside = raw.lstrip(b" \t\r\n[")[:1]
    depth = raw[: len(raw) - len(raw.lstrip(b" \t\r\n["))].count(b"[")
    _check_count(raw, texts_max)
    found: list[Text]
    try:
        if depth == 0:
            found = [_text.decode(raw)]
        elif depth == 1 and inside in (b'"', b"]"):
            found = list(_texts.decode(raw))
        elif depth == 1:
            found = [_ids.decode(raw)]
        else:
            found = list(_lists.decode(raw))
    except Faults as fault:
        raise BadParameter(f"input must be {_KINDS}: {in_words(fault, raw)}", param="input") from None
    if not found or len(found) > texts_max:
        raise BadParameter(f"input has {len(found):,} texts; it takes 1 to {texts_max:,}", param="input")
    for at, text in enumerate(found):
        if not text:
            raise BadParameter(f"input {at} is empty", param="input", hint="leave it out")
    return found


def _check_count(raw: bytes, texts_max: int) -> None:
    """Refuse what would become millions of small values, before they are made."""
    tight = raw.translate(None, b" \t\r\n")
    is_words = tight.lstrip(b"[").startswith(b'"')
    # The end of a text may look like the end of one more.
    if tight.count(b'","') >= 2 * texts_max if is_words else tight.count(b"],[") >= texts_max:
        raise BadParameter(f"input has more than {texts_max:,} texts", param="input", hint="send several requests")
    if not is_words and tight.count(b",") >= EMBEDDED_TOKENS_MAX:
        raise BadParameter(f"input has more than {EMBEDDED_TOKENS_MAX:,} tokens", param="input")


def _written(asked: Asked, found: Vectors) -> bytes:
    write = packed if asked.encoding_format == "base64" else floats
    data = b",".join(
        b'{"object":"embedding","index":%d,"embedding":%b}' % (at, write(row)) for at, row in enumerate(found.values)
    )
    return b'{"object":"list","data":[%b],"model":%b,"usage":{"prompt_tokens":%d,"total_tokens":%d}}' % (
        data, msgspec.json.encode(asked.model), sum(found.tokens), sum(found.tokens),
    )  # fmt: skip


def _cut(found: Vectors) -> tuple[tuple[bytes, bytes], ...]:
    places = [str(at) for at, cut in enumerate(found.cut) if cut]
    more = ",..." if len(places) > _CUT_SHOWN_MAX else ""
    return ((CUT_HEADER, (",".join(places[:_CUT_SHOWN_MAX]) + more).encode()),) if places else ()


def _described(endpoint: Endpoint) -> dict[str, object]:
    created = int(endpoint.since.timestamp())
    return {"id": endpoint.name, "object": "model", "created": created, "owned_by": "aias"}
