"""A version from the registry into memory: verified, read, its engine chosen, and asked its golden rows."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import cast

from aias.core.catalog import member
from aias.core.events import Watch, nobody
from aias.core.names import Ref
from aias.registry.registry import Registry
from aias.registry.values import Endpoint
from aias.serving.models import Answering


def loader(registry: Registry, home: Path, watch: Watch) -> Callable[[Endpoint], Answering]:
    """What loads the version behind an endpoint. Raises `Damaged`, `OtherAnswers`."""
    return lambda endpoint: load(registry, home, Ref(endpoint.model, endpoint.number), watch=watch)


def load(registry: Registry, home: Path, ref: Ref, *, watch: Watch = nobody) -> Answering:
    """A version in memory. Raises `Damaged`, `OtherAnswers`."""
    from aias.runtimes.golden import GOLDEN, check
    from aias.runtimes.onnxruntime import OnnxRuntime, sealed_graph
    from aias.runtimes.race import CACHE, race

    version = registry.version(ref)
    manifest, folder = registry.manifest(version), registry.folder(version)
    runtime: OnnxRuntime = member("runtimes", "onnxruntime").load(folder, manifest)
    race(runtime, partial(sealed_graph, folder, manifest), cache=home / CACHE, watch=watch)
    # Versions that were published before there were any have none.
    if any(entry.path == GOLDEN for entry in manifest.files):
        check(runtime, (folder / GOLDEN).read_bytes())
    return cast("Answering", runtime)
