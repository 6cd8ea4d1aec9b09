"""The promise of a store: artifacts by digest. Putting twice is putting once; a digest never changes its bytes."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Protocol

from aias.artifact.manifest import Manifest


class Store(Protocol):
    """Nothing is kept about names and versions here; the registry says what is still needed."""

    def put(self, files: Mapping[str, bytes], manifest: Manifest) -> Manifest:
        """Keep an artifact and return its manifest with `files` filled in. On return it survives a power cut.

        Raises `StorageFailed`, after which it is kept wholly or not at all.
        """

    def folder(self, digest: str) -> Path:
        """Where its files can be read on this machine, not verified. Raises `DamagedArtifact` when it is not kept."""

    def digests(self) -> set[str]:
        """Every artifact that is kept, whole or damaged."""

    def collect(self, needed: Collection[str], *, older_than_seconds: float) -> list[str]:
        """Remove artifacts that are not needed, and what broken-off work has left; return what was removed.

        Nobody may put meanwhile: the registry sees to that.
        """
