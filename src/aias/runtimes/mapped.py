"""Weights that all processes of a host share: mapped from a file, and not read into the memory of each.

    model.onnx ──once a host──▶ optimised, its weights packed as this processor multiplies them
                                  └▶ cache/weights/KEY: model.graph, model.weights ──verified, mapped──▶ session

What ONNX Runtime makes of a graph when it reads it is kept as it is; so the answers are the same to the last bit, which
is looked at once. Trees have no weights in this sense: they are rebuilt in the memory of each process as before.
"""

import hashlib
import os
import shutil
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from aias.artifact.manifest import FileEntry, Manifest
from aias.core.atomic_files import read_cached, write_cached
from aias.core.errors import AiasError
from aias.core.events import Event, Watch
from aias.core.host import host
from aias.core.locks import locked
from aias.core.names import digest_of
from aias.runtimes.engine_choice import example_rows
from aias.runtimes.onnxruntime import MODEL, OnnxRuntime, weights_of

CACHE: Final = "cache/weights"
"""In the home."""

SHARED_FROM_BYTES: Final = 1 << 20
"""Of a graph, and of its weights; less is not worth two more files."""

KEPT_BYTES_MAX: Final = 16 << 30
"""Of all files; beyond it those go that were loaded longest ago. A process that has mapped them keeps them."""

ROWS: Final = 2
"""That are compared; one may take seconds."""

GRAPH: Final = "model.graph"
SEALED: Final = "sealed.json"
"""What each file must hash to, by name; of none where there are no weights to share. Written last."""

FORM: Final = 1
"""Of these files."""


def load(folder: Path, manifest: Manifest, *, cache: Path, watch: Watch) -> OnnxRuntime:
    """A version from its folder, its weights shared where it has any. Raises `Damaged`."""
    entry = next((each for each in manifest.files if each.path == MODEL), None)
    found = None
    if entry is not None and entry.size_bytes >= SHARED_FROM_BYTES:
        try:
            found = _shared(cache / _key(entry), folder, manifest, watch)
        except (OSError, AiasError) as fault:
            # Of a disk that is full, or of the graph itself: which, shows now.
            said = f"the weights of `{manifest.name}` are not shared, each process has its own: {fault}"
            watch(Event("runtime.unshared", said, "warning", {"model": manifest.name}))
    return OnnxRuntime.load(folder, manifest) if found is None else found


def _shared(place: Path, folder: Path, manifest: Manifest, watch: Watch) -> OnnxRuntime | None:
    place.parent.mkdir(parents=True, exist_ok=True)
    lock = place.with_suffix(".lock")
    with locked(lock, shared=True):
        found = _kept(place, folder, manifest)
    if found is None:
        with locked(lock):
            # Another may have made it meanwhile.
            if (found := _kept(place, folder, manifest)) is None:
                _make(place, folder, manifest, watch)
                found = _kept(place, folder, manifest)
    return found


def _kept(place: Path, folder: Path, manifest: Manifest) -> OnnxRuntime | None:
    """By the files that were made before; None where there are none, or they are not what they were."""
    sealed = read_cached(place / SEALED, dict[str, str])
    if sealed is None or any(_digest(place / name) != digest for name, digest in sealed.items()):
        return None
    os.utime(place)
    return OnnxRuntime.load(folder, manifest, graph=place / GRAPH if sealed else None)


def _make(place: Path, folder: Path, manifest: Manifest, watch: Watch) -> None:
    making = place.with_suffix(".making")
    for each in (making, place):
        shutil.rmtree(each, ignore_errors=True)
    making.mkdir(mode=0o700)
    graph = making / GRAPH
    own = OnnxRuntime.load(folder, manifest, keep_as=graph)
    files = [graph, weights_of(graph)]
    if not files[1].exists() or files[1].stat().st_size < SHARED_FROM_BYTES:
        files = []
    else:
        shared = OnnxRuntime.load(folder, manifest, graph=graph)
        facts: dict[str, object] = {"model": manifest.name, "bytes": shared.mapped_bytes}
        if _same(own, shared):
            said = f"the weights of `{manifest.name}` are shared by all processes that load it"
            watch(Event("runtime.shared", said, facts=facts))
        else:
            said = f"the weights of `{manifest.name}` are not shared: mapped from a file they answer otherwise"
            watch(Event("runtime.unshared", said, "warning", facts))
            files = []
    for each in {*making.iterdir()} - {*files}:
        each.unlink()
    write_cached(making / SEALED, {each.name: _digest(each) for each in files})
    making.rename(place)
    _forget(place)


def _same(own: OnnxRuntime, shared: OnnxRuntime) -> bool:
    """Whether some rows are answered the same, to the last bit."""
    encoded = own.encoder.rows(example_rows(own.manifest)[:ROWS])
    return np.array_equal(own.run(encoded), shared.run(encoded), equal_nan=True)


def _forget(kept: Path) -> None:
    """Remove what was loaded longest ago, beyond what may be kept."""
    ages = {each: each.stat().st_mtime for each in kept.parent.iterdir() if each.is_dir() and each != kept}
    held = sum(map(_bytes, (kept, *ages)))
    for place in sorted(ages, key=ages.__getitem__):
        if held <= KEPT_BYTES_MAX:
            break
        with locked(place.with_suffix(".lock"), wait=False) as ours:
            if ours:
                held -= _bytes(place)
                shutil.rmtree(place, ignore_errors=True)


def _bytes(place: Path) -> int:
    return sum(each.stat().st_size for each in place.iterdir())


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ""


def _key(entry: FileEntry) -> str:
    """The graph, and what decides how its weights are packed."""
    here = host()
    packed = [FORM, here.processor, here.flags, here.libraries["onnxruntime"]]
    return digest_of([entry.sha256.encode(), msgspec.json.encode(packed)])[-32:]
