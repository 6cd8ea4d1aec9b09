"""Versions in whose runs workers have ended: run in a process of their own, or not at all."""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Final

from aias.core.events import Event, Watch
from aias.registry.values import Endpoint
from aias.serving.batching.tiers import Tier
from aias.serving.bounds import Bounds
from aias.serving.refusals import quarantined
from aias.serving.survival.crash_record import APART, RELEASE
from aias.serving.survival.isolated_runtime import IsolatedRuntime
from aias.serving.survival.isolation_needs import why_apart
from aias.serving.survival.journal import Runs
from aias.serving.versions.model import Model

RELEASE_SECONDS_MAX: Final = 5.0
"""The supervisor hears at once, and tells all workers; on a busy machine somewhat later."""

Program = Callable[[str], Sequence[str]]
"""A version → what serves it to `IsolatedRuntime`, as arguments of the interpreter."""


class IsolatedVersions:
    """Empty, and false, as long as nothing happens. `watch` is told `serve.apart-ended` of each end in a run."""

    def __init__(self, program: Program, *, bounds: Bounds, watch: Watch) -> None:
        self._program, self._bounds, self._watch = program, bounds, watch
        self.quarantined: frozenset[str] = frozenset()
        self.apart: frozenset[str] = frozenset()
        self._models: dict[str, Model] = {}
        self._retired: list[IsolatedRuntime] = []

    def __bool__(self) -> bool:
        return bool(self.quarantined or self.apart)

    def set(self, *, quarantined: frozenset[str], apart: frozenset[str]) -> None:
        self.quarantined, self.apart = quarantined, apart
        for version in self._models.keys() & quarantined:
            # A run that is on there ends with it, and its caller is told.
            _process_of(self._models.pop(version)).kill()
        self.keep_only(apart)

    def keep_only(self, versions: Collection[str]) -> None:
        """Let go of the processes of all others, when they have answered those that wait."""
        for version in [each for each in self._models if each not in versions]:
            retired = _process_of(self._models.pop(version))
            self._retired = [each for each in self._retired if not each.is_closed] + [retired]
            retired.retire()

    def held(self, version: str) -> str | None:
        """`quarantined`, `apart`, or neither."""
        return "quarantined" if version in self.quarantined else "apart" if version in self.apart else None

    def all_held(self) -> list[tuple[str, str]]:
        found = [(version, "quarantined") for version in sorted(self.quarantined)]
        return found + [(version, "apart") for version in sorted(self.apart - self.quarantined)]

    def release(self, version: str) -> None:
        """Have the supervisor let a version go one step back, and wait until it has; for a thread."""
        before = self.held(version)
        if before is None:
            return
        self._watch(Event(RELEASE, f"{version} is to be released", facts={"version": version}))
        end = time.monotonic() + RELEASE_SECONDS_MAX
        while self.held(version) == before and time.monotonic() < end:
            time.sleep(0.005)

    def move(self, version: str, why: str) -> None:
        """Ask the supervisor to have a version run apart."""
        said = f"{version} is to run in a process of its own: {why}"
        self._watch(Event(APART, said, facts={"version": version, "why": why}))

    def check(self, version: str) -> None:
        """Raises `Quarantined`."""
        if version in self.quarantined:
            raise quarantined(version)

    def attended(self, runs: Runs) -> Callable[[Endpoint], AbstractContextManager[Callable[[Model], None]]]:
        """Loading and trying out, in a `with` block, with a note of what is loaded meanwhile, should this process not
        live to tell; it gives what measures whether the model needs a process of its own."""

        @contextmanager
        def attended(endpoint: Endpoint) -> Iterator[Callable[[Model], None]]:
            self.check(str(endpoint.ref))
            place = runs.load(str(endpoint.ref))
            try:
                yield self._examine
            finally:
                runs.loaded(place)

        return attended

    def instead(self, model: Model) -> Model:
        """The model itself, or the same in a process of its own. Raises `Quarantined`."""
        self.check(model.version)
        if model.version not in self.apart:
            return model
        found = self._models.get(model.version)
        if found is None:
            found = self._models[model.version] = self._moved(model)
        return found

    def close(self) -> None:
        self.quarantined = self.apart = frozenset()
        for each in (*map(_process_of, self._models.values()), *self._retired):
            each.kill()
        self._models, self._retired = {}, []

    def _examine(self, model: Model) -> None:
        if self.held(model.version) is None and (why := why_apart(model)) is not None:
            self.move(model.version, why)

    def _moved(self, model: Model) -> Model:
        version = model.version

        def died() -> None:
            said = f"{version} has ended a process of its own"
            self._watch(Event("serve.apart-ended", said, "warning", {"version": version}))

        def late() -> None:
            said = f"a run of {version} was ended at its caller's deadline, with its process"
            self._watch(Event("serve.apart-late", said, "warning", {"version": version}))

        def renewed() -> None:
            said = f"the process of {version} has grown, and is started anew between two runs"
            self._watch(Event("serve.apart-renewed", said, facts={"version": version}))

        # Half the time for its turn, half for its run.
        runtime = IsolatedRuntime(
            self._program(version), model.manifest, answer_seconds=self._bounds.answer_seconds / 2, died=died,
            late=late, renewed=renewed,
        )  # fmt: skip
        # It is asked rows as they came: what this process could do with them, it cannot be asked to go on with.
        tier = Tier(fast=False, bounds=self._bounds)
        return replace(model, runtime=runtime, flow=model.flow.set_apart(), joins=None, reads=None, tier=tier)


def _process_of(model: Model) -> IsolatedRuntime:
    assert isinstance(model.runtime, IsolatedRuntime), "they are made for nothing else"
    return model.runtime
