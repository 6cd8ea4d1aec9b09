"""Where a ledger lies that a training left, for whoever goes on from it."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from aias.core.locks import locked
from aias.training.table import digest_in


def lock_of(work: Path) -> Path:
    """Beside the folder, which training begins by clearing. Whoever trains holds it alone, others together."""
    return work.parent / f".{work.name}.lock"


@contextlib.contextmanager
def room(work: Path | None, digest: str, *, otherwise: Path | None = None) -> Iterator[Path]:
    """Training's own folder unless it holds other rows or folds by now, or is being trained in; else a part of
    `otherwise` for these rows or, where that is not given, a folder that is gone afterwards."""
    if work is not None and work.is_dir():
        with locked(lock_of(work), shared=True, wait=False) as ours:
            if ours and digest_in(work / "table") in (None, digest):
                yield work
                return
    if otherwise is not None:
        own = otherwise / digest.removeprefix("sha256:")[:16]
        own.mkdir(parents=True, exist_ok=True)
        yield own
        return
    with tempfile.TemporaryDirectory(prefix="aias-") as folder:
        yield Path(folder)
