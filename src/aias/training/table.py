"""The table: encoded rows, answers, folds and weights; what every unit is fitted on, shared by all processes."""

import shutil
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from aias.core.arrays import Floats, Ints
from aias.core.names import digest_of
from aias.core.schema import Field
from aias.core.task import Task
from aias.data.straddling import LEFT_OUT, beside, tells
from aias.encoders.rows import Encoded, RowEncoder
from aias.learners.contract import Examples
from aias.training.kin import is_part, kin
from aias.training.ledger import not_written
from aias.training.selection.configuration import ALL

NEARLY_ALL: Final = 0.95

_META: Final = "table.json"
_PARTED: Final = ("folds", "blocks", "clusters", "copies")


@dataclass(frozen=True, slots=True)
class Part:
    """Encoded rows with their answers and, unless all count alike, their weights. `said`: how likely a teacher holds
    each class, NaN for rows of which only their answer is known."""

    encoded: Encoded
    y: npt.NDArray[Any]
    weight: Floats | None = None
    said: Floats | None = None  # (rows, classes)

    def examples(self, rows: Ints, x: Any) -> Examples:
        """`x`: what is learned from of these rows."""
        return Examples(x, self.y[rows], None if self.weight is None else self.weight[rows])


@dataclass(frozen=True, eq=False)
class Table:
    """`folds`, `blocks`: those of `data.split.Folds`. Lives in memory or is mapped from a folder."""

    task: Task
    encoder: RowEncoder
    whole: Part
    folds: npt.NDArray[np.int16]  # (rows,)
    blocks: npt.NDArray[np.int16] | None = None  # (rows,)
    parted: int = 0
    """How many folds there were before fewer judged; 0 for all of them."""
    clusters: Ints | None = None  # (rows,)
    """`data.split.clusters_of`: rows that belong together in scores, and in what is derived from answers."""
    copies: Ints | None = None  # (rows,)
    """`data.copies.copies_across`: where copies of a row are in several clusters, the number of each row's."""

    @property
    def fold_count(self) -> int:
        """Of those that judge."""
        return int(self.folds.max()) + 1

    @property
    def holds_out(self) -> bool:
        """Whether there is one fit of each, by chance: in time, the latest rows are always fitted on in the end."""
        return self.fold_count == 1 and self.blocks is None

    @property
    def counts(self) -> dict[str, int]:
        """`folds` that rows were parted into and, where not all of them do, how many are `judging`."""
        return {"folds": self.parted, "judging": self.fold_count} if self.parted else {"folds": self.fold_count}

    @property
    def rows(self) -> int:
        return len(self.folds)

    @property
    def class_costs(self) -> Floats | None:
        """How much a row of each class counts, (classes,); None where all count alike."""
        weight, classes = self.whole.weight, len(self.task.classes)
        if weight is None or not classes:
            return None
        rows = np.bincount(self.whole.y, minlength=classes)
        return np.asarray(np.bincount(self.whole.y, weight, classes) / np.maximum(rows, 1))

    @cached_property
    def judged(self) -> Ints:
        """The rows that judge in some fold."""
        return np.flatnonzero(self.folds >= 0)

    @property
    def judged_clusters(self) -> Ints | None:
        return None if self.clusters is None else self.clusters[self.judged]

    def kin(self, rows: Ints) -> Ints | None:
        """Of these rows, those that belong together wherever they are parted, by number, (rows,): of one cluster, and
        copies of one another that stand in several, where that leaves parts; None where each stands for itself."""
        if self.clusters is None:
            return None
        found = self.clusters[rows]
        joined = found if self.copies is None else kin(found, self.copies[rows])
        return joined if is_part(joined) else found

    def inside(self, fold: int) -> Ints:
        """The rows to fit on."""
        if fold == ALL:
            return np.arange(self.rows)
        if self.blocks is not None:
            return np.flatnonzero(self.blocks <= fold)
        return np.flatnonzero((self.folds != fold) & (self.folds != beside(fold)) & (self.folds != LEFT_OUT))

    def outside(self, fold: int) -> Ints:
        """The rows that judge."""
        return np.flatnonzero(self.folds == fold) if fold != ALL else np.arange(0)

    def judging(self, fold: int) -> Ints:
        """The same in an order of which every second row is one of the halves by which learners choose
        (`learners.contract.halves`): none of `kin` is in both, but for those in the middle."""
        rows = self.outside(fold)
        if (found := self.kin(rows)) is None:
            return rows
        numbers = np.unique(found, return_inverse=True)[1]
        drawn = np.random.default_rng(fold + 1).permutation(len(rows))  # clusters are at most as many
        order, middle = np.argsort(drawn[numbers], kind="stable"), (len(rows) + 1) // 2
        mixed = np.empty_like(rows)
        mixed[0::2], mixed[1::2] = rows[order[:middle]], rows[order[middle:]]
        return mixed

    def inner_folds(self, rows: Ints, *, count: int, seed: int) -> Ints:
        """Of these rows, for what is derived from answers out of fold: (rows,), from 0, at most `count`.

        Rows of `kin` are in one fold, as they are in those that judge; unless one holds most of the rows. Copies may
        then be in several, which tell each other nothing (`data.straddling.apart`); where too few would be left to tell
        anything, they are together, and clusters are not.
        """
        found = self.kin(rows)
        folds = _dealt(found, rows=len(rows), count=count, seed=seed)
        copies = self.copies_in(rows)
        if copies is None or all(tells(folds, fold, copies) for fold in range(int(folds.max()) + 1)):
            return folds
        return _dealt(copies, rows=len(rows), count=count, seed=seed)

    def copies_in(self, rows: Ints) -> Ints | None:
        """Of these rows, where some may be copies in several inner folds: the number of each row's."""
        return None if self.copies is None else self.copies[rows]

    @cached_property
    def inside_rows(self) -> float:
        """How many rows a fold is fitted on, in the mean."""
        return float(np.mean([len(self.inside(fold)) for fold in range(self.fold_count)]))

    @property
    def seen_whole(self) -> bool:
        """Whether the only fold is fitted on nearly all rows: to fit again on all of them gains nothing."""
        return self.fold_count == 1 and self.blocks is None and self.inside_rows >= NEARLY_ALL * self.rows

    @property
    def together(self) -> tuple[int, ...]:
        """The folds whose fits answer together: all, or under time the last, which has seen the most."""
        return tuple(range(self.fold_count)) if self.blocks is None else (self.fold_count - 1,)

    def narrowed(self, count: int) -> "Table":
        """Where only the first `count` folds judge. Each is fitted on as many rows as before, and is the same unit."""
        folds = np.where(self.folds < count, self.folds, -1).astype(self.folds.dtype)
        table = replace(self, folds=folds, parted=self.parted or self.fold_count)
        table.__dict__["digest"] = self.digest
        return table

    @cached_property
    def digest(self) -> str:
        encoded = self.whole.encoded
        arrays = [getattr(encoded, each.name) for each in fields(encoded)]
        parts = [*arrays, self.whole.y, self.folds, self.blocks, self.whole.weight, self.whole.said]
        together = (self.clusters, self.copies)
        chunks = (np.ascontiguousarray(each) for each in (*parts, *together) if each is not None)
        return digest_of(chain([msgspec.json.encode(self.task)], (each.data for each in chunks if each.size)))

    def save(self, folder: Path) -> None:
        """Into files that `load` maps into memory; `table.json` comes last and makes them whole.

        Files are replaced, never written over: somebody may have mapped them. Raises `StorageFailed`.
        """
        encoded = self.whole.encoded
        held = {each.name: getattr(encoded, each.name) for each in fields(encoded)}
        numbers = {name: int(each) for name, each in held.items() if isinstance(each, int)}
        subwords = self.encoder.subwords.table() if self.encoder.subwords else None
        meta = _Meta(self.task, self.digest, self.encoder.fields, self.encoder.tables(), numbers, subwords)
        said, path = msgspec.json.encode(meta), folder / _META
        if path.exists() and path.read_bytes() == said:
            return
        whole = {"y": self.whole.y, "weight": self.whole.weight, "said": self.whole.said}
        arrays = held | whole | {name: getattr(self, name) for name in _PARTED}
        try:
            path.unlink(missing_ok=True)
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            for name, each in arrays.items():
                if isinstance(each, np.ndarray):
                    np.save(folder / f"{name}.npy", each)
            path.write_bytes(said)
        except OSError as fault:
            shutil.rmtree(folder, ignore_errors=True)
            raise not_written(folder, fault) from fault

    def mapped(self, folder: Path) -> "Table":
        """The same as it lies in a folder: what its pages hold is there once for all processes, and can be let go."""
        self.save(folder)
        held = Table.load(folder)
        table = replace(self, whole=held.whole, **{name: getattr(held, name) for name in _PARTED})
        table.__dict__["digest"] = self.digest
        return table

    @classmethod
    def load(cls, folder: Path) -> "Table":
        """From the files of `save`; the arrays are read when they are used."""
        meta = msgspec.json.decode((folder / _META).read_bytes(), type=_Meta)
        held: dict[str, Any] = dict(meta.numbers)
        for each in fields(Encoded):
            if each.name not in held:
                held[each.name] = _mapped(folder / f"{each.name}.npy")
        part = Part(Encoded(**held), *(_mapped(folder / f"{name}.npy") for name in ("y", "weight", "said")))
        encoder = RowEncoder.load(meta.fields, meta.tables, subwords=meta.subwords)
        table = cls(meta.task, encoder, part, **{name: _mapped(folder / f"{name}.npy") for name in _PARTED})
        table.__dict__["digest"] = meta.digest
        return table


def _dealt(numbers: Ints | None, *, rows: int, count: int, seed: int) -> Ints:
    """Each to one of so many folds, whole numbers at a time, where there are any that part the rows."""
    drawn = np.random.default_rng(seed)
    if numbers is None or not is_part(numbers):
        return np.asarray(drawn.permutation(rows) % count)
    numbers = np.unique(numbers, return_inverse=True)[1]
    sizes = np.bincount(numbers)
    order = drawn.permutation(len(sizes))
    sizes, folds = sizes[order], np.empty(len(sizes), np.int64)
    folds[order] = (np.cumsum(sizes) - sizes / 2) * count // rows
    return np.asarray(np.unique(folds, return_inverse=True)[1][numbers])


class _Named(msgspec.Struct, frozen=True):
    digest: str


@dataclass(frozen=True, slots=True)
class _Meta:
    task: Task
    digest: str
    fields: tuple[Field, ...]
    tables: dict[str, dict[str, Any]]
    numbers: dict[str, int]
    subwords: dict[str, Any] | None = None


def digest_in(folder: Path) -> str | None:
    """Of the table that lies there whole."""
    try:
        return msgspec.json.decode((folder / _META).read_bytes(), type=_Named).digest
    except (OSError, msgspec.MsgspecError):
        return None


def _mapped(path: Path) -> Any:
    return np.load(path, mmap_mode="r", allow_pickle=False) if path.exists() else None
