"""What is deployed, as the router sees it."""

from collections.abc import Sequence
from typing import Protocol

from aias.registry.values import Endpoint


class Directory(Protocol):
    """The part of a registry that the router needs."""

    def endpoints(self) -> Sequence[Endpoint]: ...

    def generation(self) -> int: ...


def is_same(one: Endpoint | None, other: Endpoint) -> bool:
    """Whether both point at one version, whatever is beside it."""
    return one is not None and (one.digest, one.ref) == (other.digest, other.ref)
