"""Versions on their way into memory: loaded, tried out, measured, and told of."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Final

from aias.core.errors import AiasError
from aias.core.events import Event, Watch
from aias.registry.values import Endpoint
from aias.runtimes.contract import Sharing
from aias.serving.bounds import Bounds
from aias.serving.observability.metrics import Metrics
from aias.serving.refusals import without_folders
from aias.serving.versions.model import Answering, Model, faster, warm
from aias.serving.versions.residency import MemoryGrowth, taken_bytes

Attended = Callable[[Endpoint], AbstractContextManager[Callable[[Model], None]]]


alone: Final[Attended] = lambda _: nullcontext(lambda _model: None)  # noqa: E731
"""With nobody there whom a model could take along."""


class Warming:
    """`held`: the models in memory, by digest; what is there already is not loaded again. `attended`: around loading
    and trying out the others; it gives what examines them then."""

    def __init__(
        self,
        load: Callable[[Endpoint], Answering],
        *,
        held: Callable[[], Iterator[tuple[str, Model]]],
        attended: Attended,
        bounds: Bounds,
        metrics: Metrics,
        watch: Watch,
    ) -> None:
        self._load, self._held, self._attended = load, held, attended
        self._bounds, self._metrics, self._watch = bounds, metrics, watch
        self.faults: dict[tuple[str, str], str] = {}
        """Why versions could not be loaded, by endpoint and version; the last for each endpoint."""

    def model(self, endpoint: Endpoint) -> Model:
        """Raises whatever hinders it."""
        found = next((model for digest, model in self._held() if digest == endpoint.digest), None)
        if found is not None:
            model = self._warm(found.runtime, endpoint)
            model.resident.bytes = found.resident.bytes
            return model
        with self._attended(endpoint) as examine:
            with MemoryGrowth() as grown:
                model = self._warm(self._load(endpoint), endpoint)
            examine(model)
        model.resident.bytes = self._taken(model, grown)
        return model

    def _warm(self, runtime: Answering, endpoint: Endpoint) -> Model:
        return warm(runtime, version=str(endpoint.ref), number=endpoint.number, bounds=self._bounds)

    def again(self, models: Mapping[str, Model], now: float, put: Callable[[str, Model, Model], None]) -> None:
        """Measure what has been asked for a while, and `put` what turns out to be much faster in its place."""
        for name, model in models.items():
            if not model.resident.is_to_be_measured(now) or (found := faster(model, self._bounds)) is None:
                continue
            put(name, model, found)
            facts: dict[str, object] = {"endpoint": name, "version": model.version}
            facts |= {"row_seconds": found.row_seconds, "before": model.row_seconds, "tier": found.tier.name}
            said = f"{model.version} takes {1e6 * found.row_seconds:.3g} µs a row, not {1e6 * model.row_seconds:.3g}"
            self._watch(Event("serve.measured-again", f"{said} as when it was loaded", facts=facts))

    def tell_loaded(self, name: str, model: Model, seconds: float) -> None:
        self._forget(name)
        self._metrics.loads[name] += 1
        self._metrics.load_seconds.add(seconds)
        facts: dict[str, object] = {
            "endpoint": name,
            "version": model.version,
            "row_seconds": model.row_seconds,
            "tier": model.tier.name,
            "together": int(model.flow.together),
            "load_seconds": seconds,
            "bytes": model.resident.bytes,
        }
        self._watch(Event("serve.loaded", f"`{name}` answers with {model.version}", facts=facts))

    def tell_failed(self, endpoint: Endpoint, now: Endpoint | None, fault: Exception) -> None:
        """`now`: what answers instead, if anything."""
        self._metrics.load_failures[endpoint.name] += 1
        why = fault.message if isinstance(fault, AiasError) else repr(fault)
        self._forget(endpoint.name)
        said = without_folders(why) if isinstance(fault, AiasError) else "the server's log says why"
        self.faults[endpoint.name, str(endpoint.ref)] = said
        message = f"{endpoint.ref} cannot answer for `{endpoint.name}`: {why}"
        if now is not None and now.digest != endpoint.digest:
            message += f"; {now.ref} goes on answering"
        told: dict[str, object] = {"endpoint": endpoint.name, "version": str(endpoint.ref)}
        self._watch(Event("serve.load-failed", message, "warning", told))

    def _forget(self, name: str) -> None:
        self.faults = {what: why for what, why in self.faults.items() if what[0] != name}

    def _taken(self, model: Model, grown: MemoryGrowth) -> int:
        mapped = model.runtime.mapped_bytes if isinstance(model.runtime, Sharing) else 0
        return taken_bytes(model.manifest, grown.bytes, mapped=mapped, sharers=self._bounds.workers)
