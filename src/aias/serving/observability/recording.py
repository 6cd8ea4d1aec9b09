"""What is kept of a request once it is answered: counts, a line of the access log, and its span."""

import logging
import time
from typing import TYPE_CHECKING, Final

from aias.core.errors import AiasError
from aias.serving.http.messages import Reply, Request
from aias.serving.observability.logs import ACCESS
from aias.serving.observability.metrics import Metrics, Tally
from aias.serving.observability.traces import parent_of
from aias.serving.refusals import Refusal

if TYPE_CHECKING:
    from aias.serving.observability.spans import Spans

log = logging.getLogger("aias.serving")

GONE: Final = "serving.caller-gone"

_NO_ANSWER: Final = 499
"""As nginx has it; nobody sees it but the log and the counts."""


class Recording:
    """`spans` where requests are traced; `name_of` a key's id."""

    def __init__(self, metrics: Metrics, *, spans: "Spans | None" = None) -> None:
        self._metrics, self._spans, self.traces = metrics, spans, spans is not None

    def begin(self, request: Request, rpc: str = "") -> None:
        """As soon as the headers are known. `rpc`: the method over gRPC, with its service."""
        if self._spans is not None:
            request.span = self._spans.begin(request.headers, rpc)

    def note(self, request: Request, reply: Reply, seconds: float) -> None:
        """An answer of any status, `seconds` after the request."""
        endpoint, version = asked(request)
        model = request.model
        if model is not None and reply.phases is not None:
            self._metrics.predicted(
                endpoint, version, reply.rows, reply.phases, seconds=seconds, queue=reply.queue, status=reply.status,
                batch_rows=request.batch_rows,
            )  # fmt: skip
        else:
            self._metrics.answered(endpoint, version, reply.status)
            if version and request.method == "POST":
                self._metrics.unrun(endpoint, version, reply, seconds)
        if ACCESS.share and ACCESS.wants():
            ACCESS.add((time.time(), request.id, trace_id(request), *line_of(request, reply, seconds)))
        if self._spans is not None and request.span is not None:
            self._spans.end(request.span, request, reply, endpoint=endpoint, version=version, seconds=seconds)

    def refused(self, request: Request, code: str) -> None:
        request.fault = code
        self._metrics.refused(code, *asked(request))

    def failed(self, request: Request, fault: Exception) -> None:
        """Tell the log of a fault of ours. One that is known, such as a full disk, needs no frames to be understood."""
        trace = trace_id(request)
        where = f" (trace {trace})" if trace else ""
        if isinstance(fault, AiasError) and fault.code != AiasError.code:
            log.error("request %s failed%s: %s (%s)", request.id, where, fault, fault.code)
        else:
            log.error("request %s failed%s", request.id, where, exc_info=fault)

    def tally(self, request: Request, reply: Reply, code: str) -> Tally:
        """Where refusals like this one are counted, of which nothing else is kept."""
        endpoint, version = asked(request)
        return self._metrics.tally(code, endpoint, version, status=reply.status)

    def gone(self, request: Request, seconds: float, cut: Refusal | None = None) -> None:
        """Its caller has hung up before there was an answer, or its connection was `cut`, and has told it why."""
        self.refused(request, GONE if cut is None else cut.code)
        self.note(request, Reply(b"", _NO_ANSWER if cut is None else cut.status), seconds)

    def close(self) -> None:
        if self._spans is not None:
            self._spans.close()


def asked(request: Request) -> tuple[str, str]:
    """The endpoint and the version that a request has come to. A name that leads to no model is the caller's own."""
    model = request.model
    return request.came_to if model is None else (request.places["endpoint"], model.version)


def line_of(
    request: Request, reply: Reply, seconds: float = 0.0
) -> tuple[
    str, str, str, str, str, int, str, int, int, int, float, tuple[float, float, float] | None, float | None
]:  # fmt: skip
    """Of the access log, what stands behind the trace."""
    endpoint, version = asked(request)
    return (
        request.key, request.method, request.path, endpoint, version, reply.status, request.fault, reply.rows,
        len(request.body), len(reply.body), seconds, reply.phases, reply.queue,
    )  # fmt: skip


def trace_id(request: Request) -> str:
    """Of the trace that a request belongs to, whether its own spans are kept or only its caller's."""
    if request.span is not None:
        return f"{request.span.get_span_context().trace_id:032x}"
    parent = parent_of(request.headers)
    return "" if parent is None else parent.trace


def trace_headers(request: Request) -> tuple[tuple[bytes, bytes], ...]:
    """What W3C's `traceresponse` tells a caller whose request is traced: where to find it."""
    if request.span is None:
        return ()
    context = request.span.get_span_context()
    return ((b"traceresponse", b"00-%032x-%016x-01" % (context.trace_id, context.span_id)),)
