"""The first model of a training, published while it goes on."""

from typing import Any

from aias.artifact.manifest import Manifest
from aias.client.model import publish_one
from aias.core.errors import Damaged
from aias.core.events import Event, Watch
from aias.registry.registry import Registry
from aias.registry.values import Version


def publish_first(registry: Registry, trained: Any, *, resume: bool, watch: Watch) -> None:
    """Unless the training that goes on had published one already: it is then the newest version."""
    before = registry.versions(trained.manifest.name)[-1:] if resume else []
    if before and _is_first(registry, before[0], trained.manifest):
        version = before[0]
        watch(Event("train.stands", f"{version}, the first form, stands already", facts={"version": str(version)}))
    else:
        publish_one(registry, trained, watch=watch)


def _is_first(registry: Registry, version: Version, manifest: Manifest) -> bool:
    """Whether a version is a first form of the same rows and task."""
    try:
        found = registry.manifest(version)
    except Damaged:
        return False
    return (found.form, found.task, found.lineage.dataset) == ("first", manifest.task, manifest.lineage.dataset)
