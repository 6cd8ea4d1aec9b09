"""Which models stay in memory: pinned ones, and of the others those that were asked last, as many as there is room for.

    asked ─▶ in memory? ──yes──▶ answered
               └ no: loaded while the caller waits ─▶ beyond the budget? ─▶ the one that was asked longest ago goes

What a model takes is measured: by how much the process grew while it was loaded, within what its files can become,
and a part of the weights that all processes share.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

from aias.core.memory import give_back, private_bytes

if TYPE_CHECKING:
    from aias.artifact.manifest import Manifest
    from aias.registry.values import Endpoint
    from aias.serving.versions.model import Model

EVERY: Final = "*"
"""Pinned: all endpoints."""

AT_START_MAX: Final = 32
"""Models that are loaded before anybody asks; of a few deployed that is all. Of hundreds most are not asked."""

START_SECONDS: Final = 10.0
"""What a start may spend on that before the server answers; the rest of them is loaded behind it."""

GROWN_MIN: Final = 1.0
GROWN_MAX: Final = 9.0
"""Bytes in memory for each byte of the graph and the encoders' tables: dense layers take 1.3, trees 3.4 to 4.4, and up
to 8 as tables (`core.bit_vectors`)."""

OWN_BYTES: Final = 1 << 17
"""Of a model without any weights: its session, its manifest, its encoder."""


MEASURED_FOR_SECONDS: Final = 60.0
"""What was measured at load may be of a slow moment; it is looked at again so long after, and then ever less often."""


@dataclass(slots=True)
class Resident:
    """What a model in memory takes, when it was asked last, and whether since; when it was measured, and after how
    many seconds it is again."""

    bytes: int = OWN_BYTES
    asked_at: float = 0.0
    asked: bool = False
    measured_at: float = 0.0
    measured_for: float = MEASURED_FOR_SECONDS

    def is_to_be_measured(self, now: float) -> bool:
        """Whether it has been asked, and was measured long ago; then that counts as done, and the next time is twice
        as far away."""
        if self.asked_at <= self.measured_at or now < self.measured_at + self.measured_for:
            return False
        self.measured_at, self.measured_for = now, 2 * self.measured_for
        return True


@dataclass(frozen=True, slots=True)
class Residency:
    """The rules of a server: `bytes_max` for all of its models, 0 for no bound; the endpoints that are `pinned`."""

    bytes_max: int = 0
    pinned: frozenset[str] = frozenset()

    def pins(self, endpoint: str) -> bool:
        return endpoint in self.pinned or EVERY in self.pinned

    def surplus(self, held_bytes: int) -> bool:
        return bool(self.bytes_max) and held_bytes > self.bytes_max


def longest_ago(residents: Mapping[str, Resident]) -> list[str]:
    """Who has not been asked for the longest time comes first."""
    return sorted(residents, key=lambda name: residents[name].asked_at)


KEEP_SECONDS: Final = 600.0
"""What was answering stays in memory so long after it was replaced, so that going back to it loads nothing."""


class Aside:
    """Models that answer nobody, and stay a while: of each endpoint what answered before, and what was tried out."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._kept: dict[tuple[str, str], tuple[str, Model, float]] = {}

    def put(self, name: str, digest: str, model: "Model", *, tried: bool = False) -> None:
        self._kept[name, "tried" if tried else "before"] = digest, model, self._clock() + KEEP_SECONDS

    def find(self, endpoint: "Endpoint") -> "Model | None":
        """The model of what it points at."""
        for (name, _), (digest, model, _) in self._kept.items():
            if (name, digest, model.version) == (endpoint.name, endpoint.digest, str(endpoint.ref)):
                return model
        return None

    def drop(self, name: str) -> None:
        self._kept = {key: each for key, each in self._kept.items() if key[0] != name}

    def expire(self) -> None:
        self._kept = {key: each for key, each in self._kept.items() if each[2] > self._clock()}

    def models(self) -> "list[tuple[str, Model]]":
        """By their digest."""
        return [(digest, model) for digest, model, _ in self._kept.copy().values()]

    def let_go(self, fits: Callable[[], bool]) -> None:
        """One after the other, until what is left fits."""
        for key in [*self._kept]:
            if not fits():
                del self._kept[key]


def let_go(
    aside: Aside, movable: Mapping[str, Resident], unload: Callable[[str], None], *, fits: Callable[[], bool]
) -> bool:
    """Drop what answers nobody, then `unload` what was asked longest ago, until the others fit; whether they do."""
    aside.let_go(fits)
    for name in longest_ago(movable):
        if fits():
            break
        unload(name)
    give_back()
    return fits()


def note_asked(residents: Iterator[Resident], now: float) -> None:
    """Requests only leave a mark, which costs them nothing; when, is looked up now and then."""
    for each in residents:
        if each.asked:
            each.asked, each.asked_at = False, now


def taken_bytes(manifest: "Manifest", grown: int, *, mapped: int = 0, sharers: int = 1) -> int:
    """What a model takes by which the process grew so much, less what others did to it meanwhile. What is `mapped` of
    it is there once for all who share it."""
    tables = _bytes_of(manifest, "encoders/")
    files = tables + _bytes_of(manifest, "model.")
    least = tables if mapped else files
    return int(min(max(grown, GROWN_MIN * least), GROWN_MAX * files)) + mapped // sharers + OWN_BYTES


def _bytes_of(manifest: "Manifest", start: str) -> int:
    return sum(each.size_bytes for each in manifest.files if each.path.startswith(start))


@dataclass(slots=True)
class MemoryGrowth:
    """How much this process has grown, and how long it took, in a `with` block."""

    clock: Callable[[], float] = time.perf_counter
    bytes: int = 0
    seconds: float = 0.0
    _from: tuple[int, float] = (0, 0.0)

    def __enter__(self) -> Self:
        self._from = private_bytes(), self.clock()
        return self

    def __exit__(self, *_: object) -> None:
        held, at = self._from
        self.bytes, self.seconds = private_bytes() - held, self.clock() - at


@dataclass(slots=True)
class LoadSlots:
    """So many at one time as `most` says by then, each of another version. First comes who is in a hurry: a request
    that waits, before what nobody waits for; unless what it waits for is under way, and may never end."""

    most: Callable[[], int] = lambda: 1
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _under_way: set[str] = field(default_factory=set)
    _hurrying: list[str] = field(default_factory=list)

    @contextmanager
    def turn(self, digest: str, *, hurry: bool = False) -> Iterator[None]:
        with self._changed:
            if hurry:
                self._hurrying.append(digest)
            self._changed.wait_for(
                lambda: self._is_room(digest) and (hurry or self._under_way.issuperset(self._hurrying))
            )
            if hurry:
                self._hurrying.remove(digest)
            self._under_way.add(digest)
        try:
            yield
        finally:
            with self._changed:
                self._under_way.discard(digest)
                self._changed.notify_all()

    def _is_room(self, digest: str) -> bool:
        return not self._under_way or (digest not in self._under_way and len(self._under_way) < self.most())
