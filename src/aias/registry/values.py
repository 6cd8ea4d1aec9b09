"""What the registry speaks of, as frozen values."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from aias.core.names import Ref
from aias.registry.rollout.trial import Trial

BACK: Final = "rolled back"


@dataclass(frozen=True, slots=True)
class Version:
    """One numbered artifact of a model."""

    name: str
    number: int
    digest: str
    created_at: datetime
    size_bytes: int

    @property
    def ref(self) -> Ref:
        return Ref(self.name, self.number)

    def __str__(self) -> str:
        return str(self.ref)

    def __repr__(self) -> str:
        return f"<Version {self.ref}, {self.size_bytes:,} bytes, made {self.created_at:%Y-%m-%d %H:%M}>"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A name that clients call, and the version that answers. `revision` counts its moves, undeployments included.
    `trials`: the versions beside it."""

    name: str
    model: str
    number: int
    digest: str
    revision: int
    since: datetime
    trials: tuple[Trial, ...] = ()

    @property
    def ref(self) -> Ref:
        return Ref(self.model, self.number)

    @property
    def versions(self) -> list[str]:
        """The one that answers, and those beside it."""
        return [str(self.ref), *(str(each.ref) for each in self.trials)]


@dataclass(frozen=True, slots=True)
class Move:
    """One step in an endpoint's history; without a model it is an undeployment. `how`: `deployed`, `promoted`, or
    `rolled back` to."""

    endpoint: str
    revision: int
    model: str | None
    number: int | None
    at: datetime
    how: str

    @property
    def ref(self) -> Ref | None:
        return None if self.model is None or self.number is None else Ref(self.model, self.number)


def behind(moves: Iterable[Move]) -> list[Ref]:
    """The versions that an endpoint can be rolled back to, the nearest last; what it answers with is not among them.

    It is a pile: a deployment lays a version on top, rolling back takes the top off. So rolling back twice goes two
    back, and what was taken off is never come back to but by deploying it.
    """
    pile: list[Ref] = []
    for move in moves:
        if move.ref is None or pile[-1:] == [move.ref]:
            continue
        if move.how == BACK:
            while pile and pile[-1] != move.ref:
                pile.pop()
        if pile[-1:] != [move.ref]:
            pile.append(move.ref)
    return pile[:-1]


@dataclass(frozen=True, slots=True)
class Ancestor:
    """An artifact that another descends from, `steps` back; `versions` is empty when none of it is left here."""

    digest: str
    steps: int
    versions: tuple[Version, ...]
