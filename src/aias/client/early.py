"""The first model of a training, published while the training continues."""

from typing import Any

from aias.artifact.manifest import Manifest
from aias.client.model import publish_one
from aias.core.errors import Damaged
from aias.core.events import Event, Watch
from aias.registry.registry import Registry
from aias.registry.values import Version


def publish_first(registry: Registry, trained: Any, *, resume: bool, watch: Watch) -> None:
    """Publish it, unless the resumed training has published one already: as the newest version, or the one before the
    quality form."""
    before = registry.versions(trained.manifest.name)[-2:] if resume else []
    stands = next((each for each in reversed(before) if _is_first(registry, each, trained.manifest)), None)
    if stands:
        watch(Event("train.stands", f"{stands}, the first form, stands already", facts={"version": str(stands)}))
    else:
        publish_one(registry, trained, watch=watch)


def _is_first(registry: Registry, version: Version, manifest: Manifest) -> bool:
    """Whether a version is the first model of a training on the same rows and task."""
    try:
        found = registry.manifest(version)
    except Damaged:
        return False
    return (found.form, found.task, found.lineage.dataset) == ("first", manifest.task, manifest.lineage.dataset)
