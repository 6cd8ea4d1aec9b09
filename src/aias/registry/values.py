"""What the registry speaks of, as frozen values."""

from dataclasses import dataclass
from datetime import datetime

from aias.core.names import Ref
from aias.registry.rollout.trial import Trial


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


@dataclass(frozen=True, slots=True)
class Move:
    """One step in an endpoint's history; without a model it is an undeployment."""

    endpoint: str
    revision: int
    model: str | None
    number: int | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Ancestor:
    """An artifact that another descends from, `steps` back; `versions` is empty when none of it is left here."""

    digest: str
    steps: int
    versions: tuple[Version, ...]
