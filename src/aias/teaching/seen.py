"""Whether a version learned from the rows that judge: it knows their answers by heart.

A number of each row that is learned from is kept in the home, which tells it from others and nothing of what it holds:
files move, and others come under their names. Of services and imported versions nobody knows what they have read.
"""

import contextlib
import io
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

import numpy as np

from aias.artifact.manifest import Manifest
from aias.core.atomic_files import write_atomically
from aias.core.names import digest_of
from aias.core.schema import Field
from aias.data.copies import keys_of
from aias.data.dataset import Dataset

LEARNED: Final = "learned"
LEARNED_ROWS_MAX: Final = 10_000_000
"""8 bytes each."""


def seen(manifest: Manifest, judges: Dataset, *, home: Path) -> int:
    """How many of the rows that judge have the inputs of rows that the version was trained on; 0 where that is not
    known."""
    keys, place = keys_of(judges, manifest.inputs), _place(manifest.lineage.dataset, manifest.inputs, home)
    if manifest.lineage.verb == "import" or keys is None or not place.is_file():
        return 0
    try:
        learned = np.load(place, allow_pickle=False)
    except (OSError, ValueError):
        return 0
    return int(np.isin(keys.to_numpy(), learned).sum())


def remember(learned: Dataset, fields: Sequence[Field], *, digest: str, home: Path) -> None:
    """`fields`: the inputs; `digest`: what the versions that learn from these rows call them. Where they cannot be kept
    nothing is known of them later, and that is all."""
    place, keys = _place(digest, fields, home), keys_of(learned, fields)
    if learned.rows > LEARNED_ROWS_MAX or keys is None or place.is_file():
        return
    held = io.BytesIO()
    np.save(held, np.unique(keys.to_numpy()))
    with contextlib.suppress(OSError):
        write_atomically(place, held.getvalue())


def _place(digest: str, fields: Sequence[Field], home: Path) -> Path:
    """Another version of Polars makes other numbers of the same rows."""
    told = [digest, version("polars"), *(each.name for each in fields)]
    return home / LEARNED / f"{digest_of([repr(told).encode()]).rpartition(':')[2]}.npy"
