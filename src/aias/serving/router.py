"""Endpoints → models in memory. A new version is loaded beside the old, tried out, and only then put in its place."""

import difflib
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final, NoReturn, Protocol

from aias.core.errors import AiasError
from aias.core.events import Event, Watch
from aias.registry.values import Endpoint
from aias.serving.bounds import Bounds
from aias.serving.metrics import Metrics
from aias.serving.models import Answering, Model, warm
from aias.serving.refusals import NotReady, UnknownEndpoint
from aias.serving.rollout.stage import Book, Shadows, Stage

RETRY_SECONDS: Final = 30.0
"""A version that could not be loaded is tried again this long after, or as soon as anything is deployed."""

KEEP_SECONDS: Final = 600.0
"""What was answering stays in memory so long after it was replaced, so that going back to it loads nothing."""


class Directory(Protocol):
    """The part of a registry that the router needs."""

    def endpoints(self) -> Sequence[Endpoint]: ...

    def generation(self) -> int: ...


class Router:
    """Requests read `_models`, which is replaced whole and never changed; so each sees one version throughout."""

    def __init__(
        self,
        directory: Directory,
        load: Callable[[Endpoint], Answering],
        *,
        metrics: Metrics,
        watch: Watch,
        bounds: Bounds | None = None,
        also: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        book: Book | None = None,
        shadow: Shadows | None = None,
    ) -> None:
        self._directory, self._load, self._also = directory, load, also
        self._metrics, self._watch, self._clock = metrics, watch, clock
        self._bounds = bounds or Bounds()
        self.stage = Stage(book, warmed=self._warmed, watch=watch, clock=clock, shadow=shadow)
        self._models: dict[str, Model] = {}
        self._alone: dict[str, Model] = {}
        self._before: dict[str, tuple[str, Model, float]] = {}
        self._endpoints: dict[str, Endpoint] = {}
        self._missing: frozenset[str] = frozenset()
        self._generation: int | None = None
        self._retry_at: float | None = None
        self._stop = threading.Event()
        self._refreshing = threading.Lock()

    @property
    def ready(self) -> bool:
        """Whether every endpoint has a model that answers now."""
        return self._generation is not None and not self._missing

    def find(self, endpoint: str) -> Model:
        """The model behind an endpoint. Raises `UnknownEndpoint`, `NotReady`."""
        model = self._models.get(endpoint)
        return model if model is not None else self._refuse(endpoint)

    def known(self, endpoint: str | None) -> Model | None:
        """The model behind an endpoint, if there is one."""
        return None if endpoint is None else self._models.get(endpoint)

    def peek(self, endpoint: str) -> Model | None:
        """The same model, if there is one now, and it is alone behind its endpoint."""
        return self._alone.get(endpoint)

    def deployed(self) -> list[tuple[Endpoint, Model]]:
        """Each endpoint that answers, with its model, by name."""
        models = self._models
        return sorted(
            ((each, models[name]) for name, each in list(self._endpoints.items()) if name in models),
            key=lambda pair: pair[0].name,
        )

    def loaded(self) -> list[tuple[str, str]]:
        """Each endpoint that answers, and the version behind it."""
        return [(name, model.version) for name, model in self._models.items()]

    def tiers(self) -> list[tuple[str, str]]:
        """Each endpoint that answers, and where its model runs."""
        return [(name, model.tier.name) for name, model in self._models.items()]

    @property
    def missing(self) -> frozenset[str]:
        """Endpoints that no version answers for."""
        return self._missing

    def refresh(self) -> None:
        """Look whether anything has been deployed since, and follow."""
        with self._refreshing:
            self._refresh()

    def retry(self) -> None:
        """Refresh, and try again now what could not be loaded."""
        with self._refreshing:
            self._retry_at = self._clock()
            self._refresh()

    def _refresh(self) -> None:
        if self._before:
            now = self._clock()
            self._before = {name: kept for name, kept in self._before.items() if kept[2] > now}
        generation = self._directory.generation()
        retry = self._retry_at is not None and self._clock() >= self._retry_at
        if generation == self._generation and not retry:
            return
        self._also()
        self._follow({endpoint.name: endpoint for endpoint in self._directory.endpoints()})
        self._generation = generation

    def watch(self, seconds: float) -> None:
        """Refresh every so often until `stop`; for a thread of its own."""
        told = ""
        while not self._stop.wait(seconds):
            try:
                self.refresh()
                if self.stage.report():
                    self.refresh()
                told = ""
            except Exception as fault:  # noqa: BLE001  whatever a disk or a database does, what is loaded goes on
                message = f"cannot see what is deployed: {fault}"
                # What stays broken over a weekend should not fill the disk with its log too.
                if message != told:
                    self._watch(Event("serve.refresh-failed", message, "warning"))
                told = message

    def stop(self) -> None:
        self._stop.set()

    def _follow(self, wanted: dict[str, Endpoint]) -> None:
        self._retry_at = None
        for name in self._endpoints.keys() - wanted.keys():
            self._put(name, None, None)
            self._before.pop(name, None)
        for name, endpoint in wanted.items():
            now = self._endpoints.get(name)
            if now is None or (now.digest, now.ref) != (endpoint.digest, endpoint.ref):
                self._replace(endpoint)
        self._missing = frozenset(wanted.keys() - self._models.keys())
        self.stage.follow(wanted.values(), self._models)
        self._tell_alone()

    def _replace(self, endpoint: Endpoint) -> None:
        try:
            model = self._warmed(endpoint)
        except Exception as fault:  # noqa: BLE001  a version that cannot be loaded must not take others with it
            self._retry_at = self._clock() + RETRY_SECONDS
            self._metrics.load_failures[endpoint.name] += 1
            why = fault.message if isinstance(fault, AiasError) else repr(fault)
            message = f"{endpoint.ref} cannot answer for `{endpoint.name}`: {why}"
            if (old := self._models.get(endpoint.name)) is not None:
                message += f"; {old.version} goes on answering"
            self._watch(Event("serve.load-failed", message, "warning", {"endpoint": endpoint.name}))
            return
        if (old := self._models.get(endpoint.name)) is not None:
            self._before[endpoint.name] = self._endpoints[endpoint.name].digest, old, self._clock() + KEEP_SECONDS
        self._put(endpoint.name, endpoint, model)
        facts: dict[str, object] = {
            "endpoint": endpoint.name,
            "version": model.version,
            "row_seconds": model.row_seconds,
            "tier": model.tier.name,
            "together": int(model.lane.together),
        }
        self._watch(Event("serve.loaded", f"`{endpoint.name}` answers with {model.version}", facts=facts))

    def _warmed(self, endpoint: Endpoint) -> Model:
        here = [*((e.digest, self._models[n]) for n, e in self._endpoints.items()), *self.stage.models()]
        here += [(digest, model) for digest, model, _ in self._before.values()]
        runtime = next((model.runtime for digest, model in here if digest == endpoint.digest), None)
        return warm(
            runtime or self._load(endpoint), version=str(endpoint.ref), number=endpoint.number, bounds=self._bounds
        )

    def _put(self, name: str, endpoint: Endpoint | None, model: Model | None) -> None:
        models = {each: found for each, found in self._models.items() if each != name}
        self._endpoints.pop(name, None)
        if endpoint is not None and model is not None:
            models[name] = model
            self._endpoints[name] = endpoint
        self._models = models
        self._tell_alone()

    def _tell_alone(self) -> None:
        self._alone = {name: model for name, model in self._models.items() if name not in self.stage.splits}

    def _refuse(self, endpoint: str) -> NoReturn:
        if endpoint in self._missing:
            raise NotReady(f"endpoint `{endpoint}` has no version that can answer", hint="the server's log says why")
        known = list(self._models)
        near = difflib.get_close_matches(endpoint[:100], known, n=3)
        hint = f"did you mean {', '.join(f'`{name}`' for name in near)}?" if near else "`aias deploy` makes one"
        raise UnknownEndpoint(f"there is no endpoint `{endpoint[:100]}`", hint=hint)
