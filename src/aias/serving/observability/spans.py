"""Spans of requests: made when a request comes, told what it was when it is answered, and sent from a thread.

    POST /predict/{endpoint}  ├───────────────────────────────┤
                     decode      ├──┤
                     queue          ├─────┤
                     run                  ├────────┤
                     encode                        ├─┤

A request knows how long each phase took; they are laid end to end before the moment of its answer.
"""

import logging
import sys
import threading
from collections.abc import Mapping
from typing import Any, Final, cast

from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Span, SpanKind, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from aias import __version__
from aias.core.limits import TRACES_SECONDS_MAX
from aias.serving.http.messages import Reply, Request
from aias.serving.observability.traces import TRACEPARENT, TRACESTATE, Sampling, parent_of

_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_HTTP: Final = "http/protobuf"

_OWN_STATUS: Final = ("Ready", "ModelStreamInfer")
"""Methods that answer that something is not so, and do not fail."""

_READERS: Final = ("opentelemetry.trace.span", "opentelemetry.trace.propagation.tracecontext")
"""What they warn of is what callers have sent, which W3C's Trace Context says is to be ignored."""


def exporter(environment: Mapping[str, str]) -> SpanExporter:
    """Where spans go. Raises `ValueError`, `ModuleNotFoundError`."""
    name = environment.get("OTEL_TRACES_EXPORTER", "").strip().lower() or "otlp"
    if name == "console":
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter

        # A worker's standard output is for whoever has started it.
        return ConsoleSpanExporter(out=sys.stderr)
    if name != "otlp":
        raise ValueError(f"OTEL_TRACES_EXPORTER={name} is not known here; otlp, console and none are")
    protocol = next((environment[each] for each in _PROTOCOLS if environment.get(each)), _HTTP).strip().lower()
    if protocol == _HTTP:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        return OTLPSpanExporter()
    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as OverGrpc

        found: SpanExporter = OverGrpc()
        return found
    raise ValueError(f"OTEL_EXPORTER_OTLP_PROTOCOL={protocol} is not known here; {_HTTP} and grpc are")


class Spans:
    """Of one server. What a request's span is begun with says who its parent is."""

    def __init__(
        self, out: SpanExporter, sampling: Sampling, environment: Mapping[str, str], *,
        close_seconds: float = TRACES_SECONDS_MAX,
    ) -> None:  # fmt: skip
        self._sampling, self._close_seconds = sampling, close_seconds
        self._provider = TracerProvider(
            # It is decided here, before anything is made for a request that is not traced.
            sampler=ALWAYS_ON, resource=_resource(environment), span_limits=SpanLimits(), shutdown_on_exit=False,
        )  # fmt: skip
        self._provider.add_span_processor(BatchSpanProcessor(out))
        self._tracer = self._provider.get_tracer("aias", __version__)
        self._propagator = TraceContextTextMapPropagator()
        for each in _READERS:
            logging.getLogger(each).setLevel(logging.ERROR)

    def begin(self, headers: Mapping[bytes, bytes], rpc: str = "") -> Span | None:
        """The span of a request that has just come, over gRPC by the method `rpc`; None when it is not to be traced."""
        parent = parent_of(headers) if TRACEPARENT in headers else None
        if not self._sampling.takes(parent):
            return None
        context = None
        if parent is not None:
            carried = {name.decode(): headers[name].decode("latin-1") for name in (TRACEPARENT, TRACESTATE)
                       if name in headers}  # fmt: skip
            context = self._propagator.extract(carried)
        attributes = {"url.scheme": _scheme(headers), "network.protocol.name": "http"}
        if rpc:
            attributes |= {"rpc.system.name": "grpc", "rpc.method": rpc, "network.protocol.name": "grpc"}
        return self._tracer.start_span("request", context=context, kind=SpanKind.SERVER, attributes=attributes)

    def end(
        self, span: Span, request: Request, reply: Reply, *, endpoint: str, version: str, seconds: float
    ) -> None:  # fmt: skip
        """What it was, and its phases. It ends so many `seconds` after it began, though the clock was set meanwhile."""
        now = (cast("ReadableSpan", span).start_time or 0) + round(seconds * 1e9)
        span.update_name(f"{request.method} {request.route}" if request.route else request.method)
        span.set_attributes(_attributes(request, reply, endpoint, version))
        method = (cast("ReadableSpan", span).attributes or {}).get("rpc.method")
        if method and not str(method).endswith(_OWN_STATUS):
            span.set_attribute("rpc.response.status_code", _status_over_grpc(reply.status))
        if reply.status >= 500:
            span.set_status(StatusCode.ERROR)
        if reply.phases is not None:
            self._add_phases(span, reply, now)
        span.end(now)

    def close(self) -> None:
        """Send what waits; a collector that does not answer holds nobody up for longer than the bound."""
        sending = threading.Thread(target=self._provider.shutdown, name="aias-traces", daemon=True)
        sending.start()
        sending.join(self._close_seconds)

    def _add_phases(self, span: Span, reply: Reply, now: int) -> None:
        assert reply.phases is not None
        decode, run, encode = reply.phases
        queue = reply.queue or 0.0
        context, end = set_span_in_context(span), now
        for name, seconds in (("encode", encode), ("run", run - queue), ("queue", queue), ("decode", decode)):
            if name == "queue" and reply.queue is None:
                continue
            start = end - max(0, round(seconds * 1e9))
            self._tracer.start_span(name, context=context, start_time=start).end(end)
            end = start


def _attributes(request: Request, reply: Reply, endpoint: str, version: str) -> dict[str, Any]:
    """By OpenTelemetry's names where it has some."""
    found: dict[str, Any] = {
        "http.request.method": request.method,
        "http.response.status_code": reply.status,
        "http.request.body.size": len(request.body),
        "http.response.body.size": len(reply.body),
        "url.path": request.path[:1000],
        "aias.request_id": request.id,
    }
    said = {
        "http.route": request.route, "error.type": request.fault,
        "aias.endpoint": endpoint, "aias.version": version, "aias.rows": reply.rows,
    }  # fmt: skip
    return found | {name: value for name, value in said.items() if value}


def _status_over_grpc(status: int) -> str:
    from aias.serving.grpc.wire import CODES

    return "OK" if status == 200 else CODES[status].name if status in CODES else "INTERNAL"


def _scheme(headers: Mapping[bytes, bytes]) -> str:
    """As its caller had it, if a proxy says so: this server knows no TLS."""
    return "https" if headers.get(b"x-forwarded-proto", b"").strip().lower() == b"https" else "http"


def _resource(environment: Mapping[str, str]) -> Resource:
    named = environment.get("OTEL_SERVICE_NAME") or "service.name" in environment.get("OTEL_RESOURCE_ATTRIBUTES", "")
    return Resource.create({} if named else {SERVICE_NAME: "aias"})
