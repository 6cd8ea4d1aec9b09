"""What a system is asked, and what it must be able to do. Read in every environment: standard library only."""

import importlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Job:
    """`folder` is the process's own: everything that it writes lies there. `option` is for the system's module."""

    system: str
    module: str
    option: str
    target: str
    kind: str
    metric: str
    classes: tuple[str, ...]
    train: str
    test: str
    folder: str
    budget_seconds: float
    seed: int
    cores: tuple[int, ...]

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> "Job":
        found = json.loads(path.read_text())
        return cls(**(found | {name: tuple(found[name]) for name in ("classes", "cores")}))


class Deployed(Protocol):
    """A model read back from disk."""

    def scores(self) -> Any:
        """Of the test rows: probabilities (rows, classes) in the order of `job.classes`, or values (rows,)."""

    def rows(self, n: int) -> Sequence[Any]:
        """The first test rows, one by one, in the form that the system likes best."""

    def answer(self, row: Any) -> Any: ...


class Peer(Protocol):
    """A module in `peers/`."""

    def imports(self) -> str:
        """Load all libraries that fitting will use; gives the system's version."""

    def fit(self, job: Job) -> None:
        """From the training file to a model on disk. This is what the budget is for."""

    def forms(self, job: Job) -> dict[str, Path]:
        """What lies on disk now, by the name of the form; the first is the one that is scored."""

    def load(self, job: Job, form: str) -> Deployed: ...


def import_all(*names: str) -> None:
    """Load modules now that would otherwise be loaded while the time is running."""
    for name in names:
        importlib.import_module(name)


def in_order(job: Job, labels: Sequence[Any]) -> list[int]:
    """Where each class of the job stands among a system's own labels."""
    own = [str(label) for label in labels]
    return [own.index(label) for label in job.classes]
