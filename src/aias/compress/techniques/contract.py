"""The promise of a technique: what it would try on this parent, or why it cannot help.

A file exports one function of its own name. It gives in its order

    Candidate       made by the technique itself, for any fold, from what the parent knew without that fold's rows
    Configuration   fitted as training fits, on all folds, and kept in its ledger
    Ladder          such a one, with milder ones to repair it by

or raises `NotApplicable`. Nothing is fitted before it is asked for.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from aias.compress.context import Context
from aias.core.arrays import Floats
from aias.core.errors import AiasError
from aias.encoders.rows import RowEncoder
from aias.training.embedding import Embedding
from aias.training.pipeline import Pipeline
from aias.training.selection.configuration import Configuration


class NotApplicable(AiasError):
    """A technique that has nothing to do on this version; it says why."""

    code = "compress.not-applicable"

    def __init__(self, message: str, *, enough: float = 0.0) -> None:
        """`enough`: about how many seconds in all it takes, where it has nothing to do because these are too few."""
        super().__init__(message)
        self.enough = enough


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """A pipeline, and the encoder it reads by. `embedding`: what reads its sentences, where the parent's does not;
    `precision`: what an engine may compute in (`runtimes.engine_choice`), where that is not what the graph says;
    `seconds`: to make it where nothing is kept of what others had made, if that is known."""

    pipeline: Pipeline
    encoder: RowEncoder
    embedding: Embedding | None = None
    precision: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """`make(fold)`: fitted without the rows of the fold, or on all rows for `ALL`. `scores`: out of fold, of all rows
    that judge, where they are known already: (rows, outputs). `milder`: what loses less and takes longer, the harshest
    first; asked for only where this one is fast and loses too much (`compress.repair`). `whole`: for `ALL` it holds
    what all folds left, and is so much slower and larger than for one: it is timed as it would be published. `sent`:
    the share of rows that go a longer way through it: what a row takes on average decides, and not its median. `timed`:
    as slow and as large as it would be published, and made sooner. `chosen`: by what was found out, which its name does
    not say: with others it is another candidate of that name. `alike`: folds for which it gives the same are made
    once."""

    name: str
    make: Callable[[int], Made]
    scores: Floats | None = None
    milder: "Callable[[], Sequence[Candidate]] | None" = None
    whole: bool = False
    sent: float = 0.0
    timed: Callable[[], Made] | None = None
    chosen: tuple[object, ...] = ()
    alike: Callable[[int], object] = int


@dataclass(frozen=True, slots=True, eq=False)
class Ladder:
    """A configuration, and what loses less and takes longer, the harshest first: fitted only where this one is fast and
    loses too much."""

    harshest: Configuration
    milder: Callable[[], Sequence[Configuration]]


Proposal = Candidate | Configuration | Ladder

Technique = Callable[[Context], Iterator[Proposal]]
