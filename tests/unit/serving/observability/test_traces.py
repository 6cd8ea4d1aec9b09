"""Traces: whose request is traced, under which id, and what its spans say; sent to a collector that takes OTLP."""

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

import artifacts
from aias.core.events import Event
from aias.serving.http.messages import Reply, Request
from aias.serving.observability.metrics import Metrics
from aias.serving.observability.recording import Recording
from aias.serving.observability.traces import Parent, Sampling, open_spans, parent_of, sampling_of
from live_server import PATIENCE, live_server

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED, NOT_SAMPLED = f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-00"


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (SAMPLED, Parent(TRACE, SPAN, True)),
        (NOT_SAMPLED, Parent(TRACE, SPAN, False)),
        (f"00-{TRACE}-{SPAN}-03", Parent(TRACE, SPAN, True)),
        (f" {SAMPLED} ", Parent(TRACE, SPAN, True)),
        (f"cc-{TRACE}-{SPAN}-01-what-comes-later", Parent(TRACE, SPAN, True)),
        (f"00-{TRACE}-{SPAN}-01-what-comes-later", None),
        (f"ff-{TRACE}-{SPAN}-01", None),
        (f"00-{'0' * 32}-{SPAN}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (SAMPLED.upper(), None),
        (SAMPLED[:-1], None),
        ("", None),
    ],
)
def test_the_header_is_read_as_the_specification_has_it(given: str, found: Parent | None) -> None:
    assert parent_of({b"traceparent": given.encode()}) == found


def test_a_caller_decides_by_its_flag_and_the_ratio_over_the_rest() -> None:
    yes, no = Parent(TRACE, SPAN, True), Parent(TRACE, SPAN, False)

    assert Sampling(0.0).takes(yes)
    assert not Sampling(1.0).takes(no)
    assert Sampling(1.0).takes(None)
    assert not Sampling(0.0).takes(None)
    assert Sampling(1.0, asks_parent=False).takes(no)
    taken = sum(Sampling(0.25).takes(None) for _ in range(4_000))
    assert 800 < taken < 1_200


@pytest.mark.parametrize(
    ("name", "argument", "found"),
    [
        ("", "", Sampling(1.0)),
        ("parentbased_traceidratio", "0.1", Sampling(0.1)),
        ("traceidratio", "0.1", Sampling(0.1, asks_parent=False)),
        ("parentbased_always_off", "", Sampling(0.0)),
        ("always_on", "0.3", Sampling(1.0, asks_parent=False)),
    ],
)
def test_the_sampler_is_named_as_opentelemetry_names_it(name: str, argument: str, found: Sampling) -> None:
    assert sampling_of({"OTEL_TRACES_SAMPLER": name, "OTEL_TRACES_SAMPLER_ARG": argument}) == found


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"},
        {"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"},
    ],
)
def test_nobody_who_did_not_ask_for_traces_has_them(environment: dict[str, str]) -> None:
    told: list[Event] = []

    assert open_spans(told.append, environment) is None
    assert told == []


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "zipkin"),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}, "http/json"),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_TRACES_SAMPLER": "jaeger_remote"}, "jaeger_remote"),
        (
            {
                "OTEL_TRACES_EXPORTER": "console",
                "OTEL_TRACES_SAMPLER_ARG": "many",
                "OTEL_TRACES_SAMPLER": "traceidratio",
            },
            "many",
        ),
        (
            {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "2"},
            "no share",
        ),
    ],
)
def test_what_cannot_be_had_is_told_and_stops_nothing(environment: dict[str, str], said: str) -> None:
    pytest.importorskip("opentelemetry.sdk", reason="needs the extra `otel`")
    told: list[Event] = []

    assert open_spans(told.append, environment) is None
    assert [(each.name, each.level) for each in told] == [("serve.not-traced", "warning")]
    assert said in told[0].message


def test_on_the_console_spans_are_not_where_a_worker_tells_its_supervisor_what_happens() -> None:
    """Its standard output; spans there were read as events, and lost."""
    pytest.importorskip("opentelemetry.sdk", reason="needs the extra `otel`")
    program = """
from live_server import PATIENCE, live_server
with live_server() as server:
    server.call("POST", "/predict/churn", [{"age": 50}])
"""
    environment = artifacts.importable() | {"OTEL_TRACES_EXPORTER": "console", "OTEL_TRACES_SAMPLER": "always_on"}
    path = f"import sys\nsys.path[:0] = {[each for each in sys.path if each]!r}\n"
    ran = subprocess.run(
        [sys.executable, "-c", path + program], capture_output=True, text=True, env=environment, check=True
    )

    assert '"name": "POST /predict/{endpoint}"' in ran.stderr
    assert ran.stdout == ""


NOTHING_IMPORTED = """
import sys
sys.path[:0] = PATH
from live_server import PATIENCE, live_server
with live_server() as server:
    server.call("POST", "/predict/churn", [{"age": 50}], headers={"traceparent": "SAMPLED"})
assert not [name for name in sys.modules if name.startswith("opentelemetry")]
"""


def test_without_a_word_in_the_environment_nothing_of_opentelemetry_is_imported() -> None:
    path = repr([entry for entry in sys.path if entry])
    program = NOTHING_IMPORTED.replace("PATH", path).replace("SAMPLED", SAMPLED)

    subprocess.run([sys.executable, "-c", program], check=True)


class Collector:
    """A receiver of OTLP over HTTP."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.resources: list[dict[str, str]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(handler) -> None:
                body = handler.rfile.read(int(handler.headers["Content-Length"]))
                assert handler.path == "/v1/traces"
                self.take(body)
                handler.send_response(200)
                handler.end_headers()

            def log_message(handler, *_: object) -> None:
                """Quiet."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def take(self, body: bytes) -> None:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        for each in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.resources.append({one.key: one.value.string_value for one in each.resource.attributes})
            self.spans += [span for scope in each.scope_spans for span in scope.spans]

    def named(self, name: str) -> Any:
        (found,) = [span for span in self.spans if span.name == name]
        return found

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    pytest.importorskip("opentelemetry.sdk", reason="needs the extra `otel`")
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="needs the extra `otel`")
    from aias.serving.observability.spans import Spans

    found = Collector()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.url)
    # However long a busy machine takes to send them.
    monkeypatch.setitem(Spans.__init__.__kwdefaults__, "close_seconds", PATIENCE)
    with contextlib.closing(found):
        yield found


def said(span: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in span.attributes}


def test_a_traced_request_sends_itself_and_its_phases(collector: Collector) -> None:
    headers = {"traceparent": SAMPLED, "tracestate": "vendor=abc", "X-Request-Id": "mine"}
    with live_server() as server:
        answer = server.call("POST", "/predict/churn", [{"age": 50}], headers=headers)
        silent = server.call("POST", "/predict/churn", [{"age": 50}], headers={"traceparent": NOT_SAMPLED})
        wrong = server.call("POST", "/predict/churn", [{"age": "x"}], headers={"traceparent": SAMPLED})

    whole, failed = [span for span in collector.spans if span.name == "POST /predict/{endpoint}"]
    assert answer.headers["traceresponse"] == f"00-{TRACE}-{whole.span_id.hex()}-01"
    assert wrong.headers["traceresponse"] == f"00-{TRACE}-{failed.span_id.hex()}-01"
    assert "traceresponse" not in silent.headers
    assert (whole.trace_id.hex(), whole.parent_span_id.hex(), whole.trace_state) == (TRACE, SPAN, "vendor=abc")
    attributes = said(whole)
    assert attributes["http.response.status_code"] == 200
    assert (attributes["network.protocol.name"], attributes["url.scheme"]) == ("http", "http")
    assert not [name for name in attributes if name.startswith("rpc.")]
    assert (attributes["aias.endpoint"], attributes["aias.version"]) == ("churn", "churn@1")
    assert (attributes["aias.rows"], attributes["aias.request_id"]) == (1, "mine")
    assert (said(failed)["error.type"], said(failed)["http.response.status_code"]) == ("data.bad-value", 422)
    phases = [collector.named(name) for name in ("decode", "run", "encode")]
    assert {span.parent_span_id for span in phases} == {whole.span_id}
    ends = [span.end_time_unix_nano for span in phases]
    assert [span.start_time_unix_nano for span in phases[1:]] == ends[:-1]
    assert ends[-1] == whole.end_time_unix_nano
    assert collector.resources[0]["service.name"] == "aias"


@pytest.mark.parametrize(
    "state", ["a=1,b", "=", "x" * 300 + "=1", ",".join(f"k{at}=v" for at in range(40)), "k=" + "v" * 900]
)
def test_a_caller_cannot_write_into_the_log_by_what_it_says_of_its_trace(
    collector: Collector, caplog: pytest.LogCaptureFixture, state: str
) -> None:
    with live_server() as server:
        answer = server.call(
            "POST", "/predict/churn", [{"age": 50}], headers={"traceparent": SAMPLED, "tracestate": state}
        )

    assert answer.headers["traceresponse"].startswith(f"00-{TRACE}-")
    assert collector.named("POST /predict/{endpoint}").trace_state == ""
    assert [each.message for each in caplog.records if each.name.startswith("opentelemetry")] == []


def test_a_call_of_grpc_is_traced_under_its_callers_trace(collector: Collector) -> None:
    grpc = pytest.importorskip("grpc", reason="needs the extra `grpc`")
    from aias.serving.grpc.calls import message

    with live_server(grpc=True) as server, grpc.insecure_channel(server.grpc) as channel:
        ask = channel.unary_unary("/inference.GRPCInferenceService/ModelMetadata")
        request = message("ModelMetadataRequest")(name="churn").SerializeToString()
        metadata = ("authorization", "Bearer all-key"), ("traceparent", SAMPLED), ("x-request-id", "mine")
        _, call = ask.with_call(request, metadata=metadata, timeout=PATIENCE)

    span = collector.named("GET /v2/models/{endpoint}")
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, SPAN)
    attributes = said(span)
    assert (attributes["rpc.system.name"], attributes["rpc.response.status_code"]) == ("grpc", "OK")
    assert attributes["rpc.method"] == "inference.GRPCInferenceService/ModelMetadata"
    assert attributes["network.protocol.name"] == "grpc"
    told = dict(call.trailing_metadata())
    assert (told["x-request-id"], told["traceresponse"]) == ("mine", f"00-{TRACE}-{span.span_id.hex()}-01")


def test_a_collector_that_is_gone_costs_spans_and_no_answer(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector.close()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")

    with live_server() as server:
        answer = server.call("POST", "/predict/churn", [{"age": 50}], headers={"traceparent": SAMPLED})

    assert answer.status == 200


def test_a_collector_that_never_answers_does_not_hold_up_the_end(collector: Collector) -> None:
    from opentelemetry.sdk.trace.export import SpanExporter

    from aias.serving.observability.spans import Spans

    asked, answers, given_up = threading.Event(), threading.Event(), threading.Event()

    class Silent(SpanExporter):
        def export(self, spans: Any) -> Any:
            asked.set()
            answers.wait(60)

        def shutdown(self) -> None:
            given_up.set()

    spans = Spans(Silent(), Sampling(), {}, close_seconds=0.01)
    begun = spans.begin({}, "http")
    assert begun is not None
    begun.end()
    spans.close()

    assert asked.wait(PATIENCE)
    assert not given_up.is_set()
    answers.set()


def test_a_span_lasts_as_long_as_its_request_though_the_clock_of_the_wall_is_set_back(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from aias.serving.observability.spans import Spans

    out = InMemorySpanExporter()
    recording = Recording(Metrics(), spans=Spans(out, Sampling(), {}))
    request = Request("POST", "/predict/churn", "1", {}, {})
    recording.begin(request)
    set_back = time.time_ns() - 3_600 * 10**9
    monkeypatch.setattr(time, "time_ns", lambda: set_back)
    recording.note(request, Reply(b"", phases=(0.125, 0.25, 0.125)), 0.5)
    recording.close()

    (begun,) = [each.start_time for each in out.get_finished_spans() if each.name == "POST"]
    lasted = {each.name: (each.start_time - begun, each.end_time - begun) for each in out.get_finished_spans()}
    eighth = 125_000_000
    assert lasted == {
        "POST": (0, 4 * eighth), "decode": (0, eighth), "run": (eighth, 3 * eighth), "encode": (3 * eighth, 4 * eighth)
    }  # fmt: skip


LOGGED = """
import sys
sys.path[:0] = PATH
from live_server import PATIENCE, live_server
from aias.serving.observability.logs import log_accesses
log_accesses()
with live_server() as server:
    for headers in ({"traceparent": "SAMPLED"}, {"traceparent": "SILENT"}, {"traceparent": "nonsense"}):
        server.call("POST", "/predict/churn", [{"age": 50}], headers=headers)
"""


@pytest.mark.parametrize("traced", [True, False])
def test_the_access_log_names_the_trace(collector: Collector, traced: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not traced:
        monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT")
    path = repr([entry for entry in sys.path if entry])
    program = LOGGED.replace("PATH", path).replace("SAMPLED", SAMPLED).replace("SILENT", NOT_SAMPLED)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    lines = [json.loads(line) for line in done.stderr.splitlines()]
    of = [line.get("trace", "") for line in lines]
    assert of[:2] == [TRACE, TRACE]
    assert (len(of[2]) == 32 and of[2] != TRACE) if traced else of[2] == ""
