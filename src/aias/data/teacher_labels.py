"""A teacher's soft labels, in a file beside the rows: the probability of each label, or the amount to learn.

Rows with an answer of their own are marked; some of them have a teacher's label besides.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from aias.core.arrays import Flags, Floats
from aias.data.errors import NoSuchFile
from aias.data.labelled import keep

OWN: Final = "own"
LABEL: Final = "label:"
AMOUNT: Final = ""


@dataclass(frozen=True, eq=False)
class TeacherLabels:
    """`own`: which rows have an answer of their own. `chances`: the probability of each label, NaN where the teacher
    gave only an answer; amounts have the one label `AMOUNT`."""

    own: Flags  # (rows,)
    labels: tuple[str, ...]
    chances: Floats  # (rows, labels)

    @property
    def rows(self) -> int:
        return len(self.own)

    def take(self, rows: Any) -> "TeacherLabels":
        return TeacherLabels(self.own[rows], self.labels, self.chances[rows])

    def of(self, classes: Sequence[str]) -> Floats | None:
        """(rows, classes), each row of sum 1 or NaN, or amounts, (rows, 1); None where the teacher gave labels only.
        Labels that no row has are left out."""
        if not classes:
            return self.chances if self.labels == (AMOUNT,) else None
        places = {label: at for at, label in enumerate(self.labels)}
        found = np.zeros((self.rows, len(classes)))
        for at, name in enumerate(classes):
            if name in places:
                found[:, at] = self.chances[:, places[name]]
        total = found.sum(axis=1, keepdims=True)
        found = np.divide(found, total, out=np.full_like(found, np.nan), where=total > 0)
        return found if self.labels and np.isfinite(found).any() else None

    def keep(self, folder: Path) -> Path:
        held = {f"{LABEL}{label}": self.chances[:, at] for at, label in enumerate(self.labels)}
        return keep(pl.DataFrame({OWN: self.own, **held}), folder)

    @classmethod
    def load(cls, path: Path) -> "TeacherLabels":
        """Raises `NoSuchFile`."""
        try:
            frame = pl.read_parquet(path)
        except (OSError, pl.exceptions.PolarsError):
            raise NoSuchFile(
                f"what the teacher said of the rows is no longer whole in {path}",
                hint="train once more with the same teacher: what it answered is kept, and it is not asked again",
            ) from None
        names = [each for each in frame.columns if each.startswith(LABEL)]
        chances = frame.select(names).to_numpy() if names else np.zeros((frame.height, 0))
        labels = tuple(each.removeprefix(LABEL) for each in names)
        return cls(frame[OWN].to_numpy(), labels, np.asarray(chances, np.float64))
