"""Which requests are traced, as W3C's Trace Context and OpenTelemetry's environment say; none of its code is here.

Spans go out by OTLP where `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_TRACES_EXPORTER` say so. A caller who sends
`traceparent` decides by its flag; the others are chosen by the sampler and its ratio (`OTEL_TRACES_SAMPLER`,
`OTEL_TRACES_SAMPLER_ARG`). What is not traced costs a comparison.
"""

import os
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from aias.core.events import Event, Watch, nobody

if TYPE_CHECKING:
    from aias.serving.observability.spans import Spans

TRACEPARENT: Final = b"traceparent"
TRACESTATE: Final = b"tracestate"

_PARENT: Final = re.compile(rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class Parent(NamedTuple):
    """The span of the caller; ids in hexadecimal."""

    trace: str
    span: str
    sampled: bool


def parent_of(headers: Mapping[bytes, bytes]) -> Parent | None:
    """What `traceparent` says; None where there is none, or none that the specification allows."""
    given = headers.get(TRACEPARENT)
    if given is None or (found := _PARENT.fullmatch(given.strip())) is None:
        return None
    if found[1] == b"00" and found[5]:
        return None
    return Parent(found[2].decode(), found[3].decode(), bool(int(found[4], 16) & 1))


@dataclass(frozen=True, slots=True)
class Sampling:
    """`ratio` of the requests that no caller has decided about; `asks_parent`: whether callers decide."""

    ratio: float = 1.0
    asks_parent: bool = True

    def takes(self, parent: Parent | None) -> bool:
        if parent is not None and self.asks_parent:
            return parent.sampled
        return self.ratio >= 1.0 or (self.ratio > 0.0 and random.random() < self.ratio)  # noqa: S311 no secret


def sampling_of(environment: Mapping[str, str]) -> Sampling:
    """As OpenTelemetry names its samplers; what it does not know is, as there, the default. Raises `ValueError`."""
    name = environment.get("OTEL_TRACES_SAMPLER", "").strip().lower() or "parentbased_always_on"
    kind = name.removeprefix("parentbased_")
    ratio = {"always_on": 1.0, "always_off": 0.0}.get(kind)
    if ratio is None:
        if kind != "traceidratio":
            raise ValueError(f"OTEL_TRACES_SAMPLER={name} is not known here")
        given = environment.get("OTEL_TRACES_SAMPLER_ARG", "") or "1.0"
        try:
            ratio = float(given)
        except ValueError:
            ratio = -1.0
        if not 0.0 <= ratio <= 1.0:
            raise ValueError(f"OTEL_TRACES_SAMPLER_ARG={given} is no share between 0 and 1")
    return Sampling(ratio, name != kind)


def open_spans(watch: Watch = nobody, environment: Mapping[str, str] = os.environ) -> "Spans | None":
    """Where the environment wants traces: what makes and sends them. What stands in the way is told, and none are."""
    if not _wanted(environment):
        return None
    try:
        sampling = sampling_of(environment)
        from aias.serving.observability.spans import Spans, exporter

        return Spans(exporter(environment), sampling, environment)
    except ValueError as fault:
        why = str(fault)
    except ModuleNotFoundError as missing:
        lacks = str(missing.name)
        package = "opentelemetry-exporter-otlp-proto-grpc" if "proto.grpc" in lacks else "'aias[otel]'"
        why = f"that needs `{lacks}`: pip install {package}"
    watch(Event("serve.not-traced", f"the environment asks for traces, but {why}", "warning"))
    return None


def _wanted(environment: Mapping[str, str]) -> bool:
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporters = environment.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    return exporters != "none" and bool(exporters or any(environment.get(name) for name in _ENDPOINTS))
