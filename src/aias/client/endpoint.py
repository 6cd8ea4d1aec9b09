"""`aias.endpoint`, `aias.endpoints` and `Endpoint`: what a name answers with, what is on trial, and how both move."""

from pathlib import Path
from typing import Any

from aias.core.names import Ref, check_name
from aias.core.settings import home_at
from aias.registry.lookup import UnknownEndpoint
from aias.registry.registry import Registry
from aias.registry.rollout.trial import told
from aias.registry.values import Move


def endpoint(name: str, *, home: Path | str | None = None) -> "Endpoint":
    """The endpoint of that name. Raises `UnknownEndpoint`."""
    found = Endpoint(Registry.open(home_at(home)), check_name(name))
    found.registry.endpoint(name)
    return found


def endpoints(*, home: Path | str | None = None) -> list["Endpoint"]:
    """Every endpoint, by name."""
    registry = Registry.open(home_at(home))
    return [Endpoint(registry, each.name) for each in registry.endpoints()]


class Endpoint:
    """A name that clients call. What it tells is looked up each time; running servers have followed when it has moved.

    `Model.deploy` points it at a version, or puts one on trial beside it.
    """

    def __init__(self, registry: Registry, name: str) -> None:
        self.registry, self.name = registry, name

    @property
    def version(self) -> str:
        """The live version: `tumours@2`. Raises `UnknownEndpoint`."""
        return str(self.registry.endpoint(self.name).ref)

    @property
    def trials(self) -> list[dict[str, Any]]:
        """The canaries and shadows beside it, and how they fare, as `aias endpoints --json` has them."""
        return [told(each) for each in self.registry.endpoint(self.name).trials]

    @property
    def history(self) -> list[dict[str, Any]]:
        """All trials, the oldest first; those that have ended with `outcome` and `why`."""
        return [told(each) for each in self.registry.rollouts.history(self.name)]

    @property
    def moves(self) -> list[Move]:
        """Where it has pointed, the oldest first: `ref`, `at` and `how`."""
        return self.registry.history(self.name)

    def promote(self, version: str | Ref | None = None) -> str:
        """Make the canary the live version, which is returned. `version` is needed if there are several canaries, or to
        promote a shadow. Raises `NothingToPromote`, `BadTrial`."""
        canary = None if version is None else Ref.parse(str(version))
        return str(self.registry.rollouts.promote(self.name, canary=canary).ref)

    def rollback(self) -> str:
        """End every canary and shadow; if there is none, go back to the previous version. Returns the live one.

        Repeated, to the one before that. Raises `NothingBefore`.
        """
        now, _ = self.registry.rollouts.rollback(self.name)
        return str(now.ref)

    def undeploy(self) -> None:
        """Remove the endpoint; its versions stay. Doing so again changes nothing."""
        try:
            self.registry.undeploy(self.name)
        except UnknownEndpoint:
            if not self.moves:
                raise

    def __repr__(self) -> str:
        found = {each.name: each for each in self.registry.endpoints()}.get(self.name)
        if found is None:
            return f"<Endpoint {self.name}: undeployed>"
        beside = "".join(f", {each.ref} as {each.role} of {each.part}" for each in found.trials)
        return f"<Endpoint {self.name}: {found.ref}{beside}>"
