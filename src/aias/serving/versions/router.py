"""Endpoints → models in memory. A new version is loaded beside the old, tried out, and only then put in its place.

What is deployed and not in memory is loaded when it is asked (`versions/fetching.py`);
what stays there: `versions/residency.py`.
"""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NoReturn, Protocol

from aias.core.errors import AiasError
from aias.core.events import Event, Watch
from aias.core.limits import LOADS_MAX
from aias.core.memory import give_back
from aias.core.suggestions import did_you_mean
from aias.registry.values import Endpoint
from aias.runtimes.contract import Sharing
from aias.serving.bounds import Bounds
from aias.serving.observability.metrics import Metrics
from aias.serving.refusals import NotReady, UnknownEndpoint
from aias.serving.rollout.stage import RolloutStore, Shadows, Stage
from aias.serving.versions.model import Answering, Model, warm
from aias.serving.versions.residency import (
    AT_START_MAX,
    START_SECONDS,
    LoadSlots,
    MemoryGrowth,
    Residency,
    longest_ago,
    note_asked,
    taken_bytes,
)

RETRY_SECONDS: Final = 30.0
"""A version that could not be loaded is tried again this long after, or as soon as anything is deployed."""

KEEP_SECONDS: Final = 600.0
"""What was answering stays in memory so long after it was replaced, so that going back to it loads nothing."""


class Directory(Protocol):
    """The part of a registry that the router needs."""

    def endpoints(self) -> Sequence[Endpoint]: ...

    def generation(self) -> int: ...


class Router:
    """Requests read `_models`, which is replaced whole and never changed; so each sees one version throughout.

    `_endpoints`: what each endpoint answers with, whether it is in memory or not. `asked_before`: the endpoints to load
    first at the start; `width`: of a version's vectors, found without loading it.
    """

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
        rollouts: RolloutStore | None = None,
        shadow: Shadows | None = None,
        residency: Residency | None = None,
        asked_before: Sequence[str] = (),
        width: Callable[[Endpoint], int] | None = None,
        examine: Callable[[Model], None] = lambda _model: None,
    ) -> None:
        self._directory, self._load, self._also, self._examine = directory, load, also, examine
        self._metrics, self._watch, self._clock = metrics, watch, clock
        self._bounds = bounds or Bounds()
        self.residency = residency or Residency()
        self._asked_before = {name: place for place, name in enumerate(asked_before)}
        self._width = width or (lambda endpoint: load(endpoint).manifest.task.width)
        self._widths: dict[str, int] = {}
        self.stage = Stage(rollouts, warmed=self._tried, watch=watch, clock=clock, shadow=shadow)
        self._models: dict[str, Model] = {}
        self._alone: dict[str, Model] = {}
        self._before: dict[str, tuple[str, Model, float]] = {}
        self._endpoints: dict[str, Endpoint] = {}
        self._on_trial: frozenset[str] = frozenset()
        self._missing: frozenset[str] = frozenset()
        self._soon: deque[str] = deque()
        self._generation: int | None = None
        self._looked: int | None = None
        self._retry_at: float | None = None
        self._refreshing, self._changing = threading.Lock(), threading.RLock()
        self._loading = LoadSlots(self._loads_max)

    @property
    def ready(self) -> bool:
        """Whether every endpoint has a model that answers, at the latest when it has been loaded for who asks."""
        return self._generation is not None and not self._missing

    def find(self, endpoint: str) -> Model | None:
        """The model behind an endpoint, None where it has to be loaded. Raises `UnknownEndpoint`, `NotReady`."""
        model = self._models.get(endpoint)
        if model is None:
            return None if endpoint in self._endpoints else self._refuse(endpoint)
        model.resident.asked = True
        return model

    def peek(self, endpoint: str) -> Model | None:
        """The same model, if there is one now, and it is alone behind its endpoint."""
        model = self._alone.get(endpoint)
        if model is not None:
            model.resident.asked = True
        return model

    def known(self, endpoint: str | None) -> Model | None:
        """The model behind an endpoint, if there is one in memory."""
        return None if endpoint is None else self._models.get(endpoint)

    def knows(self, endpoint: str) -> bool:
        """Whether there is such an endpoint, for all that has been seen."""
        return endpoint in self._endpoints or endpoint in self._missing

    def bring(self, endpoint: str) -> Model:
        """The model behind an endpoint, loaded now where it is not in memory. Raises `UnknownEndpoint`, `NotReady`."""
        while True:
            pointer = self.pointer(endpoint)
            with self._loading.turn(pointer.digest, hurry=True):
                model = self._brought(pointer)
            if model is not None:
                return model

    def try_out(self, endpoint: Endpoint) -> None:
        """Load a version that is to be deployed, so that it is in memory then. Raises whatever hinders it."""
        model = self._tried(endpoint)
        with self._changing:
            self._before[endpoint.name] = endpoint.digest, model, self._clock() + KEEP_SECONDS

    def pointer(self, endpoint: str) -> Endpoint:
        """What an endpoint answers with. Raises `UnknownEndpoint`, `NotReady`."""
        return self._endpoints.get(endpoint) or self._refuse(endpoint)

    def width(self, endpoint: Endpoint) -> int:
        """Of the vectors that it gives; 0 where it gives none. Reads a file the first time."""
        if (model := self._models.get(endpoint.name)) is not None:
            return model.manifest.task.width
        if endpoint.digest not in self._widths:
            # What cannot be read gives none, and takes no other with it; who asks it is told why.
            with contextlib.suppress(AiasError, OSError):
                self._widths[endpoint.digest] = self._width(endpoint)
        return self._widths.get(endpoint.digest, 0)

    def deployed(self) -> list[Endpoint]:
        """Each endpoint that answers, by name."""
        return sorted(self._endpoints.copy().values(), key=lambda each: each.name)

    def answering(self) -> list[tuple[str, str]]:
        """Each endpoint that answers, and the version behind it."""
        return [(name, str(each.ref)) for name, each in self._endpoints.copy().items()]

    def loaded(self) -> list[tuple[str, str]]:
        """The same of those that are in memory."""
        return [(name, model.version) for name, model in self._models.items()]

    def versions(self) -> set[str]:
        """All that are in memory to answer, on trial too."""
        return {version for _, version in (*self.loaded(), *self.stage.loaded())}

    def tiers(self) -> list[tuple[str, str]]:
        """Each endpoint in memory, and where its model runs."""
        return [(name, model.tier.name) for name, model in self._models.items()]

    def by_last_asked(self) -> list[str]:
        """The endpoints in memory, those that were asked last first."""
        models = self._models
        self._note_asked()
        return longest_ago({name: model.resident for name, model in models.items()})[::-1]

    @property
    def held_bytes(self) -> int:
        """What all models in memory take; a version behind several endpoints is there once."""
        return sum({digest: model.resident.bytes for digest, model in self._held()}.values())

    @property
    def missing(self) -> frozenset[str]:
        """Endpoints that no version answers for."""
        return self._missing

    def refresh(self) -> None:
        """Look whether anything has been deployed since, and follow."""
        with self._refreshing:
            self._refresh()

    def look(self) -> None:
        """Know new keys and endpoints, however busy `refresh` is with others; these are loaded soon, or when asked.
        Raises whatever a database does."""
        # What is read is put in its place before anything else is read.
        with self._changing:
            if (generation := self._directory.generation()) in (self._generation, self._looked):
                return
            self._also()
            new = {each.name: each for each in self._directory.endpoints() if not self.knows(each.name)}
            self._endpoints |= new
            self._soon.extend(new)
            self._looked = generation

    def retry(self) -> None:
        """Refresh, and try again now what could not be loaded."""
        with self._refreshing:
            self._retry_at = self._clock()
            self._refresh()

    def _refresh(self) -> None:
        self._note_asked()
        with self._changing:
            self._before = {name: kept for name, kept in self._before.items() if kept[2] > self._clock()}
        generation = self._directory.generation()
        retry = self._retry_at is not None and self._clock() >= self._retry_at
        if generation == self._generation and not retry:
            return
        self._also()
        with self._changing:
            wanted = {endpoint.name: endpoint for endpoint in self._directory.endpoints()}
            for name in self._endpoints.keys() - wanted.keys():
                self._put(name, None, None)
                self._before.pop(name, None)
        self._follow(wanted)
        self._generation = generation

    def _follow(self, wanted: dict[str, Endpoint]) -> None:
        self._retry_at = None
        began, first = self._clock(), self._generation is None
        self._on_trial = frozenset(each.name for each in wanted.values() if each.trials)
        for endpoint in sorted(wanted.values(), key=self._rank):
            now, here = self._endpoints.get(endpoint.name), endpoint.name in self._models
            same = now is not None and (now.digest, now.ref) == (endpoint.digest, endpoint.ref)
            if same and (here or not self._stays_put(endpoint.name)):
                continue
            if first and not self._stays_put(endpoint.name) and not self._room(began, endpoint.name):
                self._endpoints[endpoint.name] = endpoint
                continue
            with self._loading.turn(endpoint.digest):
                self._replace(endpoint)
        with self._changing:
            self._missing = frozenset(wanted.keys() - self._endpoints.keys())
        self.stage.follow(wanted.values(), self._models)
        with self._changing:
            self._tell_alone()

    def _rank(self, endpoint: Endpoint) -> tuple[bool, int, float]:
        """Who is loaded first: who must be, then who was asked last before, then what was deployed last."""
        asked = self._asked_before.get(endpoint.name, len(self._asked_before))
        return not self._stays_put(endpoint.name), asked, -endpoint.since.timestamp()

    def _stays_put(self, name: str) -> bool:
        """Whether it is in memory whoever asks: pinned, or beside it another version is on trial."""
        return name in self._on_trial or self.residency.pins(name)

    def _room(self, began: float, name: str) -> bool:
        """Whether one more is loaded before anybody asks; what there is no time for now follows soon."""
        if len(self._models) + len(self._soon) >= AT_START_MAX or self.residency.surplus(2 * self.held_bytes):
            return False
        if self._clock() - began < START_SECONDS:
            return True
        self._soon.append(name)
        return False

    def load_next(self) -> bool:
        """One of those that are to be loaded soon; whether there are more."""
        if self._soon and (endpoint := self._endpoints.get(self._soon.popleft())) is not None:
            with contextlib.suppress(NotReady, UnknownEndpoint), self._loading.turn(endpoint.digest):
                self._brought(endpoint)
        return bool(self._soon)

    def _loads_max(self) -> int:
        """Where room is short, one load after the other: of each it shows only then what it takes."""
        largest = max((model.resident.bytes for _, model in self._held()), default=0)
        return 1 if self.residency.surplus(self.held_bytes + LOADS_MAX * largest) else LOADS_MAX

    def _brought(self, endpoint: Endpoint) -> Model | None:
        """The model behind an endpoint; None where that points elsewhere by now."""
        name = endpoint.name
        model = self._models.get(name) or self._replace(endpoint, only_where=endpoint)
        with self._changing:
            if model is None and self._endpoints.get(name) is endpoint:
                # It is tried again like any other that cannot be loaded; until then nobody waits for it.
                del self._endpoints[name]
                self._missing |= {name}
                self._refuse(name)
        return model

    def _replace(self, endpoint: Endpoint, *, only_where: Endpoint | None = None) -> Model | None:
        """Load it, and have it answer, where its name stands for what it did before; None where it cannot."""
        try:
            with MemoryGrowth() as grown:
                model = self._warmed(endpoint)
        except Exception as fault:  # noqa: BLE001  a version that cannot be loaded must not take others with it
            self._retry_at = self._clock() + RETRY_SECONDS
            self._metrics.load_failures[endpoint.name] += 1
            why = fault.message if isinstance(fault, AiasError) else repr(fault)
            message = f"{endpoint.ref} cannot answer for `{endpoint.name}`: {why}"
            now = self._endpoints.get(endpoint.name)
            if now is not None and now.digest != endpoint.digest:
                message += f"; {now.ref} goes on answering"
            told: dict[str, object] = {"endpoint": endpoint.name, "version": str(endpoint.ref)}
            self._watch(Event("serve.load-failed", message, "warning", told))
            return None
        with self._changing:
            if only_where is not None and self._endpoints.get(endpoint.name) is not only_where:
                return None
            if (old := self._models.get(endpoint.name)) is not None:
                self._before[endpoint.name] = self._endpoints[endpoint.name].digest, old, self._clock() + KEEP_SECONDS
            self._put(endpoint.name, endpoint, model)
        self._metrics.loads[endpoint.name] += 1
        self._metrics.load_seconds.add(grown.seconds)
        facts: dict[str, object] = {
            "endpoint": endpoint.name,
            "version": model.version,
            "row_seconds": model.row_seconds,
            "tier": model.tier.name,
            "together": int(model.flow.together),
            "load_seconds": grown.seconds,
            "bytes": model.resident.bytes,
        }
        self._watch(Event("serve.loaded", f"`{endpoint.name}` answers with {model.version}", facts=facts))
        with self._changing:
            self._make_room(endpoint.name)
        return model

    def _tried(self, endpoint: Endpoint) -> Model:
        """For a trial."""
        with self._loading.turn(endpoint.digest):
            return self._warmed(endpoint)

    def _warmed(self, endpoint: Endpoint) -> Model:
        found = next((model for digest, model in self._held() if digest == endpoint.digest), None)
        with MemoryGrowth() as grown:
            runtime = self._load(endpoint) if found is None else found.runtime
            model = warm(runtime, version=str(endpoint.ref), number=endpoint.number, bounds=self._bounds)
        if found is None:
            self._examine(model)
        model.resident.bytes = self._taken(model, grown) if found is None else found.resident.bytes
        model.resident.asked_at = self._clock()
        return model

    def _taken(self, model: Model, grown: MemoryGrowth) -> int:
        mapped = model.runtime.mapped_bytes if isinstance(model.runtime, Sharing) else 0
        return taken_bytes(model.manifest, grown.bytes, mapped=mapped, sharers=self._bounds.workers)

    def _make_room(self, new: str) -> None:
        """Let go of what was asked longest ago until the others fit; the newest stays, whatever it takes."""
        if not self.residency.surplus(self.held_bytes):
            return
        self._note_asked()
        for name in [*self._before]:
            if self.residency.surplus(self.held_bytes):
                self._before.pop(name, None)
        movable = {name: each for name, each in self._models.items() if not self._stays_put(name) and name != new}
        for name in longest_ago({name: each.resident for name, each in movable.items()}):
            if not self.residency.surplus(self.held_bytes):
                break
            self._metrics.unloads[name] += 1
            self._put(name, self._endpoints[name], None)
            self._watch(Event("serve.unloaded", f"`{name}` is loaded again when it is asked", facts={"endpoint": name}))
        give_back()
        if self.residency.surplus(self.held_bytes):
            message = f"models take {self.held_bytes:,} bytes, more than the {self.residency.bytes_max:,} they may"
            self._watch(Event("serve.memory-exceeded", message, "warning", {"endpoint": new}))

    def _held(self) -> Iterator[tuple[str, Model]]:
        """All models in memory, by their digest; others may come and go meanwhile."""
        models, endpoints = self._models, self._endpoints.copy()
        yield from ((endpoints[name].digest, model) for name, model in models.items() if name in endpoints)
        yield from ((digest, model) for digest, model, _ in self._before.copy().values())
        yield from self.stage.models()

    def _note_asked(self) -> None:
        note_asked((model.resident for model in self._models.values()), self._clock())

    def _put(self, name: str, endpoint: Endpoint | None, model: Model | None) -> None:
        models = {each: found for each, found in self._models.items() if each != name}
        if endpoint is None:
            self._endpoints.pop(name, None)
        else:
            self._endpoints[name] = endpoint
        if model is not None:
            models[name] = model
        self._models = models
        self._tell_alone()

    def _tell_alone(self) -> None:
        self._alone = {name: model for name, model in self._models.items() if name not in self.stage.splits}

    def _refuse(self, endpoint: str) -> NoReturn:
        if endpoint in self._missing:
            raise NotReady(f"endpoint `{endpoint}` has no version that can answer", hint="the server's log says why")
        hint = did_you_mean(endpoint, [*self._endpoints]) or "`aias deploy` makes one"
        raise UnknownEndpoint(f"there is no endpoint `{endpoint[:100]}`", hint=hint)
