"""The ledger: what every unit came to, each written whole or not at all, so that nothing is fitted twice.

<folder>/table/       the table, as all processes map it
<folder>/units/<key>/ unit.json, arrays.npz     key: a digest of data, configuration, fold and seed
<folder>/../.vectors/ what sentence encoders made of texts (`training.vectors`), for all models of a home
"""

import contextlib
import os
import shutil
import threading
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from aias.core.arrays import Floats
from aias.core.errors import StorageFailed

Arrays = Mapping[str, npt.NDArray[Any]]

VECTORS: Final = ".vectors"
"""No model can have this name."""

_READING: Final = threading.Lock()
"""NumPy parses an array's header as Python; in 3.11 two threads that do so at once raise SystemError."""

_SCORES: Final = "scores"
_STATE: Final = "state."


@dataclass(frozen=True, slots=True)
class Entry:
    """What a fit came to. `scores` are those of the rows that judged: (rows of the fold, outputs)."""

    settings: dict[str, Any]
    seconds: float
    cut: bool
    """Whether the time ended the fit: only then could it have come out otherwise, or if it cut what the fit read, which
    `facts["cuts"]` names."""
    state: Arrays
    scores: Floats
    facts: dict[str, Any] = field(default_factory=dict)


class Ledger:
    """Used by all processes of a run at once; a key never changes what it holds. `of_home`: the folder is one of those
    of a home's models, `home/work/name`."""

    def __init__(self, folder: Path, *, of_home: bool = False) -> None:
        self.folder = folder
        self.vectors = (folder.parent if of_home else folder) / VECTORS
        self.table = folder / "table"
        self._units = folder / "units"
        self._units.mkdir(parents=True, exist_ok=True)

    def has(self, key: str) -> bool:
        return (self._units / key / "unit.json").exists()

    def put(self, key: str, entry: Entry) -> None:
        """Write beside, then rename: a process that dies leaves no half of a unit. Raises `StorageFailed`."""
        room = self._units / f".{key}.{os.getpid()}"
        arrays = {_STATE + name: array for name, array in entry.state.items()} | {_SCORES: entry.scores}
        said = {"settings": entry.settings, "seconds": entry.seconds, "cut": entry.cut, "facts": entry.facts}
        try:
            room.mkdir(exist_ok=True)
            with (room / "arrays.npz").open("wb") as file:
                np.savez(file, allow_pickle=False, **arrays)
            (room / "unit.json").write_bytes(msgspec.json.encode(said, order="sorted"))
        except OSError as fault:
            shutil.rmtree(room, ignore_errors=True)
            raise not_written(room, fault) from fault
        try:
            room.rename(self._units / key)
        except OSError:  # another process was first, with the same unit
            shutil.rmtree(room, ignore_errors=True)

    def get(self, key: str) -> Entry | None:
        """None when the unit is not there, or is no longer whole: it is then fitted again."""
        room = self._units / key
        try:
            said = msgspec.json.decode((room / "unit.json").read_bytes())
            with _READING, np.load(room / "arrays.npz", allow_pickle=False) as held:
                arrays = {name: held[name] for name in held.files}
            scores = arrays.pop(_SCORES)
        except FileNotFoundError:
            return None
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, msgspec.MsgspecError):
            shutil.rmtree(room, ignore_errors=True)
            return None
        state = {name.removeprefix(_STATE): array for name, array in arrays.items()}
        return Entry(said["settings"], said["seconds"], said["cut"], state, scores, said["facts"])

    def take(self, key: str) -> Entry:
        """What was put there before. Raises `StorageFailed` where somebody has deleted or damaged it since."""
        if (entry := self.get(key)) is None:
            raise StorageFailed(
                f"what was fitted is no longer whole in {self.folder}",
                hint="let nobody change that folder while it is worked in; then try again",
            )
        return entry

    def drop(self, key: str) -> None:
        """Forget a unit, so that it is fitted again."""
        shutil.rmtree(self._units / key, ignore_errors=True)

    def drop_cut(self) -> None:
        """Forget all that time cut short, and what was fitted on that."""
        for unit in self._units.glob("[!.]*/unit.json"):
            with contextlib.suppress(OSError, msgspec.MsgspecError):
                said = msgspec.json.decode(unit.read_bytes())
                if said["cut"] or said["facts"].get("cuts"):
                    self.drop(unit.parent.name)

    def keep(self, key: str, entry: Entry) -> None:
        """The best state so far of a unit that is still being fitted; a kill meanwhile leaves the one before."""
        last, before = self._units / f"{key}-kept", self._units / f"{key}-before"
        if last.exists():
            shutil.rmtree(before, ignore_errors=True)
            last.rename(before)
        self.put(f"{key}-kept", entry)
        shutil.rmtree(before, ignore_errors=True)

    def kept(self, key: str) -> Entry | None:
        return self.get(f"{key}-kept") or self.get(f"{key}-before")


def not_written(path: Path, fault: OSError) -> StorageFailed:
    return StorageFailed(
        f"could not write {path}: {fault.strerror or fault}",
        hint="make room on the disk, or check its owner and health",
    )
