"""Endpoints → models in memory. A new version is loaded beside the old, tried out, and only then put in its place.

What is deployed and not in memory is loaded when it is asked (`versions/fetching.py`);
what stays there: `versions/residency.py`.
"""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NoReturn, cast

from aias.core.events import Event, Watch
from aias.core.limits import LOADS_MAX
from aias.core.suggestions import did_you_mean
from aias.registry.values import Endpoint
from aias.serving.bounds import Bounds
from aias.serving.observability.metrics import Metrics
from aias.serving.refusals import NotReady, UnknownEndpoint
from aias.serving.rollout.stage import RolloutStore, Shadows, Stage
from aias.serving.versions.directory import Directory, is_same
from aias.serving.versions.model import Answering, Model
from aias.serving.versions.residency import (
    AT_START_MAX,
    START_SECONDS,
    Aside,
    LoadSlots,
    MemoryGrowth,
    Residency,
    let_go,
    longest_ago,
    note_asked,
)
from aias.serving.versions.warming import Attended, Warming, alone
from aias.serving.versions.widths import Widths

RETRY_SECONDS: Final = 30.0
"""A version that could not be loaded is tried again this long after, or as soon as anything is deployed."""


class Router:
    """Requests read `_models`, which is replaced whole and never changed; so each sees one version throughout.

    `_wanted`: where endpoints point; `_endpoints`: what each answers with, in memory or not. What needs no load is gone
    by at once (`follow`), the rest when it is there (`load_next`). `asked_before`: the endpoints to load first at the
    start, `suspects`: the versions to load behind it; `width`: of a version's vectors, found without loading it.
    """

    def __init__(
        self, directory: Directory, load: Callable[[Endpoint], Answering], *, metrics: Metrics, watch: Watch,
        bounds: Bounds | None = None, also: Callable[[], None] = lambda: None, suspects: frozenset[str] = frozenset(),
        clock: Callable[[], float] = time.monotonic, rollouts: RolloutStore | None = None,
        shadow: Shadows | None = None, residency: Residency | None = None, asked_before: Sequence[str] = (),
        width: Callable[[Endpoint], int] | None = None, attended: Attended = alone,
    ) -> None:  # fmt: skip
        self._directory, self._also, self._suspects = directory, also, suspects
        self._metrics, self._watch, self._clock = metrics, watch, clock
        self._warming = Warming(
            load, held=self._held, attended=attended, bounds=bounds or Bounds(), metrics=metrics, watch=watch
        )
        self.residency = residency or Residency()
        self._asked_before = {name: place for place, name in enumerate(asked_before)}
        self.width = Widths(self.known, width or (lambda endpoint: load(endpoint).manifest.task.width)).of
        self.stage = Stage(rollouts, warmed=self._tried, watch=watch, clock=clock, shadow=shadow)
        self._models, self._alone, self._aside = dict[str, Model](), dict[str, Model](), Aside(clock)
        self._endpoints: dict[str, Endpoint] = {}
        self._on_trial: frozenset[str] = frozenset()
        self._wanted: dict[str, Endpoint] = {}
        self.missing: frozenset[str] = frozenset()
        """Endpoints that no version answers for."""
        self.due: frozenset[str] = frozenset()
        """Endpoints of which a version has to be loaded yet."""
        self._at_work, self._soon, self._in_order = set[str](), deque[str](), list[str]()
        self._began_at, self._at_start = 0.0, cast("set[str] | None", None)
        self._generation: int | None = None
        self._looked: int | None = None
        self._retry_at: float | None = None
        self._following, self._changing = threading.Lock(), threading.RLock()
        self._loading = LoadSlots(self._loads_max)

    @property
    def ready(self) -> bool:
        """Whether every endpoint has a model that answers, at the latest when it has been loaded for who asks."""
        return self._generation is not None and not self.missing

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
        return endpoint in self._endpoints or endpoint in self.missing

    def bring(self, endpoint: str) -> Model:
        """The model behind an endpoint, loaded now where it is not in memory. Raises `UnknownEndpoint`, `NotReady`."""
        while True:
            pointer = self.pointer(endpoint)
            with self._loading.turn(pointer.digest, hurry=True):
                if (model := self._brought(pointer)) is not None:
                    return model

    def try_out(self, endpoint: Endpoint, *, keep: bool = True) -> None:
        """Load a version that is to be deployed, so that it is in memory then. Raises whatever hinders it."""
        model = self._tried(endpoint)
        if keep:
            with self._changing:
                self._aside.put(endpoint.name, endpoint.digest, model, tried=True)

    def pointer(self, endpoint: str) -> Endpoint:
        """What an endpoint answers with. Raises `UnknownEndpoint`, `NotReady`."""
        return self._endpoints.get(endpoint) or self._refuse(endpoint)

    def deployed(self) -> list[Endpoint]:
        """Each endpoint that answers, by name."""
        return sorted(self._endpoints.copy().values(), key=lambda each: each.name)

    def answering(self) -> list[tuple[str, str]]:
        """Each endpoint that answers, and the version behind it."""
        return [(name, str(each.ref)) for name, each in self._endpoints.copy().items()]

    def loaded(self) -> list[tuple[str, str]]:
        """The same of those that are in memory."""
        return [(name, model.version) for name, model in self._models.items()]

    def fault(self, endpoint: Endpoint) -> str:
        """Why the version that it points at could not be loaded; empty where it could, or has not been tried."""
        return self._warming.faults.get((endpoint.name, str(endpoint.ref)), "")

    def tiers(self) -> list[tuple[str, str]]:
        """Each endpoint in memory, and where its model runs."""
        return [(name, model.tier.name) for name, model in self._models.items()]

    def by_last_asked(self) -> list[str]:
        """The endpoints in memory, those that were asked last first."""
        self._note_asked()
        return longest_ago({name: model.resident for name, model in self._models.items()})[::-1]

    @property
    def held_bytes(self) -> int:
        """What all models in memory take; a version behind several endpoints is there once."""
        return sum({digest: model.resident.bytes for digest, model in self._held()}.values())

    def refresh(self, stops: Callable[[], bool] = lambda: False) -> None:
        """Look whether anything was deployed since, and follow: what it takes is in memory then, unless it `stops`."""
        self.follow()
        but = frozenset[str]()
        if self._at_start is None:
            self._at_start, self._began_at, but = {*self.due}, self._clock(), self._suspects
        while not stops() and self._load_one(but=but):
            pass

    def retry(self, name: str) -> None:
        """Follow, and try again now what could not be loaded; waits for nothing but this endpoint."""
        self._retry_at = self._clock()
        self.follow()
        self._load_due(name)

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

    def follow(self) -> None:
        """Go by what has been deployed since, as far as nothing has to be loaded for it: what that is, is `due` then.
        Waits for no load. Raises whatever a database does."""
        with self._following:
            self._note_asked()
            generation = self._directory.generation()
            with self._changing:
                self._aside.expire()
                retry = self._retry_at is not None and self._clock() >= self._retry_at
                if generation == self._generation and not retry:
                    return
                self._retry_at = None
            self._also()
            with self._changing:
                self._go_by({endpoint.name: endpoint for endpoint in self._directory.endpoints()})
            self.stage.follow(self._wanted.values(), lambda: self._models)
            with self._changing:
                self._tell_alone()
                self.due |= {each.name for each in self._wanted.values() if self.stage.pending(each)}
                self._in_order = sorted(self.due, key=self._rank)
            self._generation = generation

    def _go_by(self, wanted: dict[str, Endpoint]) -> None:
        for name in (self._endpoints.keys() | self.missing) - wanted.keys():
            self._put(name, None, None)
            self._aside.drop(name)
        self._wanted, self._on_trial = wanted, frozenset(each.name for each in wanted.values() if each.trials)
        due = {name for name in wanted if name in self.due or name in self.missing or not self.knows(name)}
        for name, endpoint in wanted.items():
            if not self.knows(name):
                # Who asks it now waits for it.
                self._endpoints[name] = endpoint
            elif not self._is_followed(endpoint):
                # Its model may have answered before, been tried out or be on trial.
                if (model := self._aside.find(endpoint) or self.stage.canary(endpoint)) is None:
                    due.add(name)
                else:
                    self._answer_with(endpoint, model)
                    self._warming.tell_loaded(name, model, 0.0)
        self.due, self._in_order = frozenset(due), sorted(due, key=self._rank)

    def _is_followed(self, endpoint: Endpoint) -> bool:
        name, same = endpoint.name, is_same(self._endpoints.get(endpoint.name), endpoint)
        return same and (name in self._models or not (self._stays_put(name) or name in self.due))

    def _load_due(self, name: str) -> None:
        """Load what is due of an endpoint, unless that is done meanwhile."""
        if (endpoint := self._wanted.get(name)) is None or name not in self.due:
            return
        if not self._is_followed(endpoint):
            with self._loading.turn(endpoint.digest):
                if name in self.due and not self._is_followed(endpoint):
                    self._replace(endpoint)
        self.stage.begin(endpoint, lambda: self._models)
        with self._changing:
            self._tell_alone()
            if self._wanted.get(name) == endpoint:
                self.due -= {name}

    def _rank(self, name: str) -> tuple[bool, int, float]:
        """Who is loaded first: who must be, then who was asked last before, then what was deployed last."""
        asked = self._asked_before.get(name, len(self._asked_before))
        return not self._stays_put(name), asked, -self._wanted[name].since.timestamp()

    def _stays_put(self, name: str) -> bool:
        """Whether it is in memory whoever asks: pinned, or beside it another version is on trial."""
        return name in self._on_trial or self.residency.pins(name)

    def _room(self) -> int:
        """How many more are loaded before anybody asks."""
        full = self.residency.surplus(2 * self.held_bytes)
        return 0 if full else max(0, AT_START_MAX - len(self._models) - len(self._soon))

    def load_next(self) -> bool:
        """Load one of those that are due, or else of those that are to be loaded soon; whether there was one."""
        if self._load_one():
            return True
        with self._changing:
            soon = self._soon.popleft() if self._soon else ""
        if (endpoint := self._endpoints.get(soon)) is not None:
            with contextlib.suppress(NotReady, UnknownEndpoint), self._loading.turn(endpoint.digest):
                self._brought(endpoint)
        elif not soon:
            self._warming.again(self._alone, self._clock(), self._exchange)
        return bool(soon)

    def _load_one(self, *, but: frozenset[str] = frozenset()) -> bool:
        """Load one of those that are due, but for some versions; whether there was one."""
        with self._changing:
            free = (each for each in self._in_order if each in self.due and each not in self._at_work)
            due = (each for each in free if not (but and but.intersection(self._wanted[each].versions)))
            if (name := next(due, None)) is None:
                return False
            at_start, may_wait = self._at_start or set(), not self._stays_put(name)
            if name in at_start and may_wait and not (self._clock() - self._began_at < START_SECONDS and self._room()):
                # Nor for any behind it; what there was no time for follows soon.
                left = [name, *(each for each in due if each in at_start)]
                self._soon.extend(left[: self._room()])
                self.due -= {*left}
                at_start.difference_update(left)
                return True
            self._at_work.add(name)
        try:
            self._load_due(name)
        finally:
            at_start.discard(name)
            self._at_work.discard(name)
        return True

    def _exchange(self, name: str, model: Model, other: Model) -> None:
        with self._changing:
            if self._alone.get(name) is model:
                self._put(name, self._endpoints[name], other)

    def _loads_max(self) -> int:
        """Where room is short, one load after the other: of each it shows only then what it takes."""
        largest = max((model.resident.bytes for _, model in self._held()), default=0)
        return 1 if self.residency.surplus(self.held_bytes + LOADS_MAX * largest) else LOADS_MAX

    def _brought(self, endpoint: Endpoint) -> Model | None:
        """The model behind an endpoint; None where that points elsewhere by now."""
        name = endpoint.name
        model = self._models.get(name) or self._replace(endpoint, only_where=endpoint)
        with self._changing:
            if model is None and self._endpoints.get(name) is None:
                self._refuse(name)
        return model

    def _replace(self, endpoint: Endpoint, *, only_where: Endpoint | None = None) -> Model | None:
        """Load it, and have it answer, where it is wanted still, or its name stands for what it did before; None where
        it cannot."""
        name = endpoint.name
        try:
            with MemoryGrowth() as grown:
                model = self._warmed(endpoint)
        except Exception as fault:  # noqa: BLE001  a version that cannot be loaded must not take others with it
            with self._changing:
                now = self._endpoints.get(name)
                self._retry_at = self._clock() + RETRY_SECONDS
                if is_same(now, endpoint) and name not in self._models:
                    # It is tried again like any other that cannot be loaded; until then nobody waits for it.
                    del self._endpoints[name]
                    self.missing |= {name}
            self._warming.tell_failed(endpoint, now, fault)
            return None
        with self._changing:
            pointed, wanted = self._endpoints.get(name), self._wanted.get(name)
            if (pointed is not only_where) if only_where is not None else not is_same(wanted, endpoint):
                return None
            self._answer_with(endpoint, model)
        self._warming.tell_loaded(name, model, grown.seconds)
        with self._changing:
            self._make_room(name)
        return model

    def _answer_with(self, endpoint: Endpoint, model: Model) -> None:
        if (old := self._models.get(endpoint.name)) is not None:
            self._aside.put(endpoint.name, self._endpoints[endpoint.name].digest, old)
        self._put(endpoint.name, endpoint, model)

    def _tried(self, endpoint: Endpoint) -> Model:
        with self._loading.turn(endpoint.digest):
            return self._warmed(endpoint)

    def _warmed(self, endpoint: Endpoint) -> Model:
        model = self._warming.model(endpoint)
        model.resident.asked_at = model.resident.measured_at = self._clock()
        return model

    def _make_room(self, new: str) -> None:
        """The newest stays, whatever it takes."""
        if not self.residency.surplus(self.held_bytes):
            return
        self._note_asked()
        movable = {name: m.resident for name, m in self._models.items() if not self._stays_put(name) and name != new}
        if not let_go(self._aside, movable, self._unload, fits=lambda: not self.residency.surplus(self.held_bytes)):
            message = f"models take {self.held_bytes:,} bytes, more than the {self.residency.bytes_max:,} they may"
            self._watch(Event("serve.memory-exceeded", message, "warning", {"endpoint": new}))

    def _unload(self, name: str) -> None:
        self._metrics.unloads[name] += 1
        self._put(name, self._endpoints[name], None)
        self._watch(Event("serve.unloaded", f"`{name}` is loaded again when it is asked", facts={"endpoint": name}))

    def _held(self) -> Iterator[tuple[str, Model]]:
        """All models in memory, by their digest; others may come and go meanwhile."""
        models, endpoints = self._models, self._endpoints.copy()
        yield from ((endpoints[name].digest, model) for name, model in models.items() if name in endpoints)
        yield from self._aside.models()
        yield from self.stage.models()

    def _note_asked(self) -> None:
        note_asked((model.resident for model in self._models.values()), self._clock())

    def _put(self, name: str, endpoint: Endpoint | None, model: Model | None) -> None:
        models = {each: found for each, found in self._models.items() if each != name}
        self.missing -= {name}
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
        if endpoint in self.missing:
            raise NotReady(f"endpoint `{endpoint}` has no version that can answer", hint="the server's log says why")
        hint = did_you_mean(endpoint, [*self._endpoints]) or "`aias deploy` makes one"
        raise UnknownEndpoint(f"there is no endpoint `{endpoint[:100]}`", hint=hint)
