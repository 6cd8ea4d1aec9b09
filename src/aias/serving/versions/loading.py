"""A version from the registry into memory: verified, read, its engine chosen, and asked its golden rows."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from aias.artifact.manifest import read_manifest
from aias.core.errors import Damaged, NotFound
from aias.core.events import Watch, nobody
from aias.core.names import Ref
from aias.registry.registry import Registry
from aias.registry.values import Endpoint, Version
from aias.serving.refusals import NotReady, UnknownEndpoint, without_folders
from aias.serving.versions.model import Answering

if TYPE_CHECKING:
    from aias.runtimes.onnxruntime import OnnxRuntime
    from aias.serving.inference.repository import Control
    from aias.serving.versions.router import Router


def loader(registry: Registry, home: Path, watch: Watch) -> Callable[[Endpoint], Answering]:
    """What loads the version behind an endpoint."""
    return lambda endpoint: load(registry, registry.version(endpoint.ref), home, watch)


def load(registry: Registry, version: Version, home: Path, watch: Watch) -> Answering:
    """As it answers here. Raises `Damaged`, `OtherAnswers`."""
    from aias.runtimes.arrival import CACHE as HOSTS
    from aias.runtimes.arrival import arrive, moved
    from aias.runtimes.engine_choice import choose_at
    from aias.runtimes.golden import check, recorded_in
    from aias.runtimes.mapped import CACHE as WEIGHTS
    from aias.runtimes.mapped import load as load_mapped

    manifest, folder = registry.manifest(version), registry.folder(version)
    runtime = load_mapped(folder, manifest, cache=home / WEIGHTS, watch=watch)
    choose_at(home, runtime, folder, manifest, watch=watch)
    recorded = recorded_in(folder, manifest)
    if recorded is not None:
        check(runtime, recorded, moved=moved(manifest))
    above = partial(made_from, registry, version, home=home)
    arrive(runtime, recorded, above=above, cache=home / HOSTS, watch=watch)
    return cast("Answering", runtime)


def try_out(registry: Registry, home: Path, ref: Ref, *, watch: Watch) -> None:
    """Load a version as a server will, and ask its golden rows; what has none is asked nothing. Raises `Damaged`,
    `OtherAnswers`, `UnknownVersion`."""
    from aias.runtimes.golden import recorded_in

    version = registry.version(ref)
    if recorded_in(registry.folder(version), registry.manifest(version)) is not None:
        load(registry, version, home, watch)


def deploy(control: "Control", router: "Router", name: str, ref: Ref) -> None:
    """Point an endpoint at a version that answers here: none that servers could not answer with, as a process that
    takes the place of another has nothing else to answer with than what is deployed. Raises `UnknownVersion`, and
    `NotReady` for one that is damaged or does not answer its golden rows."""
    found = tried_out(control, router, name, ref)
    with telling_why(f"{found.ref} cannot be deployed"):
        control.deploy(name, found.ref)


def undeploy(control: "Control", router: "Router", name: str) -> None:
    """Remove an endpoint; again is as good as once, for whoever did not hear the first answer. Raises
    `UnknownEndpoint`."""
    try:
        control.undeploy(name)
    except NotFound:
        if not control.history(name):
            raise UnknownEndpoint(f"there is no endpoint `{name[:100]}`") from None
    router.retry(name)


def tried_out(control: "Control", router: "Router", name: str, ref: Ref, *, keep: bool = True) -> Version:
    """The version, once it has been loaded here, and answered its golden rows; where it is to be asked, it is kept.
    Raises `UnknownVersion`, `NotReady`."""
    found = control.version(ref)
    with telling_why(f"{ref} cannot answer for `{name}`"):
        router.try_out(Endpoint(name, found.name, found.number, found.digest, 0, found.created_at), keep=keep)
    return found


@contextmanager
def telling_why(what: str) -> Iterator[None]:
    """For callers who may deploy: they are told which file of a version is damaged. Raises `NotReady` for that."""
    try:
        yield
    except Damaged as fault:
        raise NotReady(f"{what}: {without_folders(fault.message)}", hint=fault.hint) from None


def width_in(registry: Registry, endpoint: Endpoint) -> int:
    """Of the vectors that a version gives, 0 where it gives none: from its manifest alone. Raises `Damaged`."""
    folder = registry.folder(registry.version(endpoint.ref))
    return read_manifest((folder / "manifest.json").read_bytes()).task.width


def made_from(registry: Registry, version: Version, *, home: Path) -> "tuple[str, OnnxRuntime] | None":
    """What a version was made from, to be timed beside it with the engine that answers for it here; None where it is
    not here any more."""
    from aias.runtimes.engine_choice import choose_at
    from aias.runtimes.onnxruntime import OnnxRuntime

    for above in registry.lineage(version.ref):
        for each in above.versions if above.steps == 1 else ():
            folder, manifest = registry.folder(each), registry.manifest(each)
            runtime = OnnxRuntime.load(folder, manifest)
            # Nobody is told: it does not serve.
            choose_at(home, runtime, folder, manifest, watch=nobody)
            return str(each), runtime
    return None
