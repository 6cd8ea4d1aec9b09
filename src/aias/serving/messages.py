"""A request as handlers see it, and their reply."""

from dataclasses import dataclass
from typing import Final

from aias.serving.models import Model

JSON: Final = b"application/json"
TEXT: Final = b"text/plain; version=0.0.4; charset=utf-8"
JSON_LINES: Final = (b"application/jsonlines", b"application/x-ndjson", b"application/jsonl")
"""One form by the names that people give it; the first is SageMaker's."""

BINARY: Final = b"application/octet-stream"


@dataclass(slots=True)
class Request:
    """`headers` by lower-case name; `places` are the parts of the path that the route leaves open."""

    method: str
    path: str
    id: str
    headers: dict[bytes, bytes]
    places: dict[str, str]
    body: bytes = b""
    model: Model | None = None

    @property
    def asked(self) -> Model:
        """The model behind the endpoint that the path names."""
        assert self.model is not None, "only routes with `{endpoint}` ask for a model"
        return self.model

    @property
    def media_type(self) -> bytes:
        """What the body is said to be, without parameters."""
        return self.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()

    def parameter(self, name: bytes) -> str | None:
        """One of the type's parameters, such as the charset; None when it is not given."""
        for each in self.headers.get(b"content-type", b"").split(b";")[1:]:
            key, _, value = each.partition(b"=")
            if key.strip().lower() == name:
                return value.strip().strip(b'"').decode("latin-1")
        return None


@dataclass(slots=True)
class Reply:
    """`phases`: seconds of decoding, running and encoding, when a model has answered."""

    body: bytes
    status: int = 200
    media_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()
    rows: int = 0
    phases: tuple[float, float, float] | None = None
