"""What the length of a body means for a model, judged once for each head: clients repeat it byte for byte."""

from enum import Enum
from typing import TYPE_CHECKING, Final, Protocol

from aias.serving.http.bodies import encoding_of
from aias.serving.http.messages import Request, is_by_lines, is_table

if TYPE_CHECKING:
    from aias.serving.bounds import Bounds
    from aias.serving.http.heads import Head
    from aias.serving.versions.model import Model

MODELS_MAX: Final = 8
"""Of an endpoint, for which lengths of a body are remembered; each load makes another."""

ROW_BYTES_MIN: Final = 3
"""Of a row, `{},`: so many may stand where the example would once."""


class Length(Enum):
    """Answered at once; on the loop in its turn; not there, or it may be known already; not there, as it has more rows
    than its length tells."""

    SHORT = 1
    LONG = 2
    ELSEWHERE = 3
    MANY = 4


SHORT, LONG, ELSEWHERE, MANY = Length


class Cache(Protocol):
    def pay(self, model: "Model", body_bytes: int) -> bool: ...


class OnLoop(Protocol):
    def is_long(self, model: "Model", body_bytes: int) -> bool: ...


class Lengths:
    """What they ask never changes for a model that is loaded."""

    def __init__(self, bounds: "Bounds", response_cache: Cache, on_loop: OnLoop) -> None:
        self._bounds, self._response_cache, self._on_loop = bounds, response_cache, on_loop

    def of(self, head: "Head", model: "Model", body: bytes) -> Length:
        """Of a body with that head."""
        size, seconds_max = len(body), self._bounds.inline_seconds
        found = head.lengths.get(model.serial) if size == head.body_bytes else None
        if found is None:
            found = self._judge(head, model, size)
        # Rows are only counted where there could be too many.
        if size * model.row_seconds <= ROW_BYTES_MIN * seconds_max or found is MANY:
            return found
        if found is ELSEWHERE and model.seconds_for(size) > seconds_max:
            return found
        if rows_in(body, by_lines=head.by_lines) * model.row_seconds <= seconds_max:
            return found
        if size == head.body_bytes:
            # So the next can be refused before it is read.
            head.lengths[model.serial] = MANY
        return MANY

    def runs_inline(self, head: "Head", model: "Model") -> bool:
        """Whether a request with that head runs on the loop, as far as its length tells, and others of that length."""
        return model.runs_inline(head.body_bytes or 0, self._bounds) and head.lengths.get(model.serial) is not MANY

    def _judge(self, head: "Head", model: "Model", size: int) -> Length:
        """Remembered where the body is as long as its head says."""
        bounds = self._bounds
        is_light = size <= bounds.light_body_bytes and model.seconds_for(size) <= bounds.inline_seconds
        if not is_light or self._response_cache.pay(model, size):
            found = ELSEWHERE
        else:
            found = LONG if self._on_loop.is_long(model, size) else SHORT
        if size == head.body_bytes:
            if len(head.lengths) >= MODELS_MAX:
                head.lengths.clear()
            head.lengths[model.serial] = found
        return found


def rows_in(body: bytes, *, by_lines: bool) -> int:
    """How many rows it has at most, of objects in a list or on lines; 1 of everything else."""
    if by_lines:
        return body.count(b"\n") + 1
    begins = body[:1] if body[:1] in (b"[", b"{") else body.lstrip()[:1]
    return body.count(b"{") if begins == b"[" else 1


def runs_inline(request: Request, model: "Model", bounds: "Bounds") -> bool:
    """Whether a request that has been read may run on the loop, by its bytes and its rows."""
    body = request.body
    if not model.runs_inline(len(body), bounds):
        return False
    return model.runs_inline(len(body), bounds, rows_in(body, by_lines=is_by_lines(request.headers)))


def rows_of(request: Request, model: "Model | None") -> int:
    """How many rows it brings, by its length; 1 where that does not tell."""
    if model is None or encoding_of(request.headers) is not None or is_table(request.headers, b""):
        return 1
    return int(model.units_of(int(request.headers.get(b"content-length", b"0"))))
