"""The trials of a server: loaded beside the live versions, seen, reported, and let go when they have ended."""

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Protocol

from aias.access.idempotency import IdempotencyKey
from aias.core.errors import AiasError
from aias.core.events import Event, Watch
from aias.core.names import Ref
from aias.registry.rollout.evidence import Evidence
from aias.registry.rollout.trial import WHOLE, Guard, Role, Trial
from aias.registry.values import Endpoint
from aias.serving.refusals import without_folders
from aias.serving.rollout.collector import ALONE_AFTER, EvidenceCollector, Kind, Seen
from aias.serving.rollout.split import Canary, Mirror, Split
from aias.serving.versions.model import Model

REPORT_SECONDS: Final = 0.5
"""Between two reports of a worker: each is a write to the database."""

QUARANTINED: Final = "it has ended its process several times, and is not run any more"


class RolloutStore(Protocol):
    """The part of a registry that keeps trials."""

    def start(
        self, endpoint: str, ref: Ref, *, role: Role, share: float, sticky: str, guard: Guard | None
    ) -> Trial: ...

    def promote(self, endpoint: str, *, canary: Ref | None = None, once: IdempotencyKey | None = None) -> Endpoint: ...

    def rollback(self, endpoint: str, *, once: IdempotencyKey | None = None) -> tuple[Endpoint, list[Trial]]: ...

    def report(self, trial: int, more: Evidence) -> Trial | None: ...

    def withdraw(self, trial: int, why: str) -> None: ...

    def history(self, endpoint: str) -> Sequence[Trial]: ...

    def active(self) -> Sequence[Trial]: ...

    def outcomes(self) -> Sequence[tuple[str, str, int]]:
        """How many trials of each endpoint ended how."""


class Shadowing(Mirror, Protocol):
    """A shadow that runs."""

    def take(self) -> Evidence | None: ...

    def close(self) -> None: ...


Shadows = Callable[[Trial, Endpoint], Shadowing]
"""What starts a shadow."""

Live = Callable[[], Mapping[str, Model]]
"""The models that answer by now."""


class Stage:
    """`splits` is read by requests, replaced whole, and empty where every endpoint has one version. The rest is changed
    by who follows or loads, in turn. `rollouts` is absent where trials cannot be reported: there are none then."""

    def __init__(
        self,
        rollouts: RolloutStore | None,
        *,
        warmed: Callable[[Endpoint], Model],
        watch: Watch,
        clock: Callable[[], float],
        shadow: Shadows | None = None,
    ) -> None:
        self._rollouts, self._warmed, self._watch, self._clock, self._shadow = rollouts, warmed, watch, clock, shadow
        self.splits: dict[str, Split] = {}
        self._canaries: dict[int, tuple[Trial, Model]] = {}
        self._collectors: dict[int, EvidenceCollector] = {}
        self._shadows: dict[int, Shadowing] = {}
        self._wanted: dict[int, Endpoint] = {}
        self._changing = threading.Lock()
        self._unsaid: dict[int, Evidence] = {}
        self.endpoints: Sequence[Endpoint] = ()
        self.known: Sequence[Trial] = ()
        """The trials that go on, with what all workers have seen of them."""
        self.outcomes: Sequence[tuple[str, str, int]] = ()
        self.quarantined: Collection[str] = ()
        """Versions that are not run any more."""
        self._report_at = 0.0

    def models(self) -> Iterator[tuple[str, Model]]:
        """Those of canaries, by their digest."""
        return ((trial.digest, model) for trial, model in [*self._canaries.values()])

    def loaded(self) -> list[tuple[str, str]]:
        """Each endpoint with canaries, and the versions of those."""
        return [(name, each.model.version) for name, split in self.splits.items() for each in split.canaries]

    def numbers(self, endpoint: str, live: int) -> list[int]:
        """Of the versions of an endpoint that can be asked by number."""
        split = self.splits.get(endpoint)
        return [live] if split is None else split.numbers

    def canary(self, endpoint: Endpoint) -> Model | None:
        """The model of a canary that is what this endpoint points at."""
        for trial, model in [*self._canaries.values()]:
            if (trial.endpoint, trial.digest, trial.ref) == (endpoint.name, endpoint.digest, endpoint.ref):
                return model
        return None

    def follow(self, endpoints: Iterable[Endpoint], live: Live) -> None:
        """Let go what has ended; what has begun and has to be loaded is `pending`."""
        with self._changing:
            self.endpoints = sorted(endpoints, key=lambda endpoint: endpoint.name)
            self._wanted = {trial.id: endpoint for endpoint in self.endpoints for trial in endpoint.trials}
            for gone in [each for each in self._shadows if each not in self._wanted]:
                self._shadows.pop(gone).close()
            for endpoint in self.endpoints:
                for trial in self.pending(endpoint):
                    # One that goes on with another share is in memory already.
                    if trial.role == "canary" and (model := self.canary(_alone(trial, endpoint))) is not None:
                        self._put(trial, model)
            for gone in [each for each in self._canaries if each not in self._wanted]:
                self._canaries.pop(gone)
            for gone in [each for each in [*self._collectors] if each not in self._wanted]:
                self._collectors.pop(gone)
            self.splits = dict(self._split(live()))
        if self._rollouts is not None:
            self.known, self.outcomes = self._rollouts.active(), self._rollouts.outcomes()

    def pending(self, endpoint: Endpoint) -> list[Trial]:
        """Its trials that have to be loaded yet."""
        begun = self._canaries.keys() | self._shadows.keys()
        return [
            trial for trial in endpoint.trials
            if trial.id not in begun and (trial.role == "canary" or self._shadow is not None)
        ]  # fmt: skip

    def begin(self, endpoint: Endpoint, live: Live) -> None:
        """Load those, and have them asked."""
        for trial in self.pending(endpoint):
            self._begin(trial, endpoint)
        with self._changing:
            # Last, so that the router tells at the same moment who is no longer alone.
            self.splits = dict(self._split(live()))

    def runs(self, version: str) -> list[str]:
        """The endpoints for which it is asked."""
        return [
            each.name for each in self.endpoints
            if version in (str(each.ref), *(str(trial.ref) for trial in each.trials if trial.role == "canary"))
        ]  # fmt: skip

    def blame(self, endpoint: str, version: str, kind: Kind) -> None:
        """Note that a process has ended in the run of a version, which may not be in memory since."""
        for each in self.endpoints:
            for trial in each.trials if each.name == endpoint else ():
                if trial.role == "canary" and version in (str(each.ref), str(trial.ref)):
                    self._collector(trial).see(Seen(version == str(trial.ref), kind, True, None))

    def report(self) -> bool:
        """Tell what has been seen since, and whether a trial has ended by it."""
        if self._rollouts is None or not self.known or self._clock() < self._report_at:
            return False
        self._report_at = self._clock() + REPORT_SECONDS
        ended = False
        for trial, model in [*self._canaries.values()]:
            if model.version in self.quarantined:
                # It answers nobody: how it fares would never be known.
                self._rollouts.withdraw(trial.id, QUARANTINED)
                self._tell(replace(trial, outcome="rolled back", why=QUARANTINED))
                ended = True
        self._take()
        for each, evidence in list(self._unsaid.items()):
            # Forgotten only when it is kept: a database that is busy for a while costs nothing.
            became = self._rollouts.report(each, evidence)
            del self._unsaid[each]
            if became is None or became.ended_at is not None:
                ended = True
                self._tell(became)
        self.known = self._rollouts.active()
        return ended

    def _take(self) -> None:
        with self._changing:
            sources: dict[int, EvidenceCollector | Shadowing] = {**self._collectors, **self._shadows}
            for each, source in sources.items():
                if (fresh := source.take()) is not None:
                    self._unsaid.setdefault(each, Evidence()).add(fresh)

    def close(self) -> None:
        with self._changing:
            for each in self._shadows.values():
                each.close()

    def _begin(self, trial: Trial, endpoint: Endpoint) -> None:
        try:
            if trial.role == "canary":
                model = self._warmed(_alone(trial, endpoint))
                with self._changing:
                    self._put(trial, model)
            else:
                self._begin_shadow(trial, endpoint)
        except Exception as fault:  # noqa: BLE001  it must not take the live version with it
            why = fault.message if isinstance(fault, AiasError) else repr(fault)
            facts: dict[str, object] = {"endpoint": endpoint.name, "version": str(trial.ref)}
            message = f"{trial.ref} cannot be tried beside `{endpoint.name}`: {why}"
            self._watch(Event("serve.trial-failed", message, "warning", facts))
            if self._rollouts is not None:
                self._rollouts.withdraw(trial.id, f"it could not be loaded: {without_folders(why)}")

    def _put(self, trial: Trial, model: Model) -> None:
        if trial.id in self._wanted:
            self._canaries.setdefault(trial.id, (trial, model))

    def _collector(self, trial: Trial) -> EvidenceCollector:
        alone_after = 0 if trial.share == WHOLE else ALONE_AFTER
        return self._collectors.setdefault(trial.id, EvidenceCollector(trial.guard, alone_after=alone_after))

    def _begin_shadow(self, trial: Trial, endpoint: Endpoint) -> None:
        with self._changing:
            if self._shadow is not None and trial.id in self._wanted and trial.id not in self._shadows:
                self._shadows[trial.id] = self._shadow(trial, endpoint)

    def _split(self, live: Mapping[str, Model]) -> Iterator[tuple[str, Split]]:
        for endpoint in self.endpoints:
            if (model := live.get(endpoint.name)) is None:
                continue
            canaries, upper = [], 0
            for trial in endpoint.trials:
                if (found := self._canaries.get(trial.id)) is not None:
                    upper += trial.share
                    canaries.append(Canary(trial, found[1], self._collector(trial), min(upper, WHOLE)))
            mirrors = [self._shadows[trial.id] for trial in endpoint.trials if trial.id in self._shadows]
            if canaries or mirrors:
                found_split = Split(endpoint.name, endpoint.revision, live=model, canaries=canaries, mirrors=mirrors)
                yield endpoint.name, found_split

    def _tell(self, trial: Trial | None) -> None:
        if trial is not None:
            said = f"{trial.ref} beside `{trial.endpoint}` was {trial.outcome}: {trial.why}"
            level: Any = "warning" if trial.outcome == "rolled back" else "info"
            facts: dict[str, object] = {"endpoint": trial.endpoint, "version": str(trial.ref), "outcome": trial.outcome}
            self._watch(Event("serve.trial-ended", said, level, facts))


def _alone(trial: Trial, endpoint: Endpoint) -> Endpoint:
    """As if it were all that the endpoint points at."""
    return Endpoint(endpoint.name, trial.model, trial.number, trial.digest, endpoint.revision, trial.started_at)
