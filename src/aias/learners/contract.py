"""The promise of a learner: fit on some rows, stop by looking at others, and write itself into a graph."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from aias.core.deadline import Deadline
from aias.core.events import Watch
from aias.core.task import Task
from aias.encoders.contract import Floats, Ints


@dataclass(frozen=True, slots=True)
class Examples:
    """Rows with their answers. `y`: class indices (int64) or values (float64)."""

    x: Any  # (rows, width) a CSR matrix or an array
    y: Floats | Ints  # (rows,)


@dataclass(frozen=True, slots=True)
class Fit:
    """How to fit. `settings` override the learner's own choices; `valid` is None when they are all given."""

    task: Task
    seed: int
    deadline: Deadline
    threads: int
    watch: Watch
    settings: dict[str, Any] = field(default_factory=dict)
    categories: tuple[int, ...] = ()
    """Which columns of `x` hold category codes."""
    score: Callable[[Any, Floats], float] | None = None
    """The task's metric of `y` and scores, to be told as fitting goes on."""


class Fitted(Protocol):
    settings: dict[str, Any]
    """Everything that was chosen while fitting; given back as `Fit.settings`, no validation rows are needed."""

    def scores(self, x: Any) -> Floats:
        """Probabilities (rows, classes), or predictions (rows, 1)."""


class Learner(Protocol):
    """`sparse`: whether it wants a CSR matrix of features or the encoded columns as they are."""

    name: ClassVar[str]
    sparse: ClassVar[bool]

    @staticmethod
    def fit(train: Examples, valid: Examples | None, how: Fit) -> Fitted:
        """Stops early by `valid`, and in any case by `how.deadline` with the best state so far."""
