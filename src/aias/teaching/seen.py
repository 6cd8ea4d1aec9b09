"""Whether a teacher that is a version of this registry learned from the rows that judge what it teaches.

It knows their answers by heart, so what it says of rows like them is better than what it will say of others, and its
student looks better than it is. The rows of a file are read again; of a table in memory a number of each row is kept in
the home, which tells it from others and nothing of what it holds. Of services and imported versions nobody knows what
they have read.
"""

import contextlib
import datetime as dt
import io
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from aias.artifact.manifest import Manifest
from aias.core.atomic_files import write_atomically
from aias.core.errors import AiasError
from aias.core.schema import Schema
from aias.data.dataset import Dataset
from aias.data.read import located, read

LEARNED: Final = "cache/learned"
LEARNED_ROWS_MAX: Final = 1_000_000
"""Read again to be compared: some seconds; or kept, 8 bytes each."""

Numbers = npt.NDArray[np.uint64]


def seen(manifest: Manifest, judging: Any, *, home: Path) -> tuple[int, int]:
    """How many of the rows that judge, by their inputs, the version was trained on, and how many judge; (0, 0) where
    that is not known: where the file is not to be had any more, was written since, or never was."""
    if manifest.lineage.verb == "import" or manifest.rows.get("train", 0) > LEARNED_ROWS_MAX:
        return 0, 0
    schema = Schema(manifest.inputs)
    try:
        learned = _learned(manifest, schema, home)
        judges = read(judging, schema=schema) if learned is not None else None
    except (AiasError, OSError, ValueError):
        return 0, 0
    if learned is None or judges is None:
        return 0, 0
    return int(np.isin(_numbers(judges, schema), learned).sum()), judges.rows


def remember(learned: Any, manifest: Manifest, *, home: Path) -> None:
    """Of a table in memory, which nobody can read again. The version is there already: where the rows cannot be kept
    nothing is known of them later, and that is all."""
    place, schema = _place(manifest, home), Schema(manifest.inputs)
    if manifest.rows.get("train", 0) > LEARNED_ROWS_MAX or place.is_file():
        return
    with contextlib.suppress(AiasError, OSError):
        held = io.BytesIO()
        np.save(held, np.unique(_numbers(read(learned, schema=schema), schema)))
        write_atomically(place, held.getvalue())


def _learned(manifest: Manifest, schema: Schema, home: Path) -> Numbers | None:
    source, encoding = manifest.lineage.settings.get("source"), manifest.lineage.settings.get("encoding")
    if isinstance(source, str):
        if located(source)[0].stat().st_mtime >= _began(manifest) + 1:
            return None
        return _numbers(read(source, schema=schema, encoding=encoding if isinstance(encoding, str) else None), schema)
    place = _place(manifest, home)
    return np.asarray(np.load(place, allow_pickle=False), np.uint64) if place.is_file() else None


def _began(manifest: Manifest) -> float:
    """When it was trained, in whole seconds since 1970. Raises `ValueError`."""
    return dt.datetime.fromisoformat(manifest.lineage.started_at).timestamp()


def _place(manifest: Manifest, home: Path) -> Path:
    """Another version of Polars makes other numbers of the same rows."""
    rows = manifest.lineage.dataset.rpartition(":")[2]
    return home / LEARNED / f"{rows}-{len(manifest.inputs)}-{version('polars')}.npy"


def _numbers(dataset: Dataset, schema: Schema) -> Numbers:
    """One of each row's inputs, (rows,), equal for equal rows."""
    found = np.zeros(dataset.rows, np.uint64)
    for name in schema.names:
        found = found * np.uint64(31) + dataset.column(name).hash(seed=0).to_numpy()
    return found
