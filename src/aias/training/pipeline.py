"""A fitted pipeline: features and a learner as Python objects, alive only inside a job.

    sparse     columns, terms, vectors → features → linear, or a network on words
    all else   columns + derived columns → learner

Features know nothing of the answers and are fitted once, on all rows; derived columns (`blocks`) may know them, and are
then made out of fold. Learners that cannot read texts see what a linear model makes of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from aias.core.arrays import Floats, Ints
from aias.core.catalog import member
from aias.core.graph import GraphWriter
from aias.core.memory import give_back
from aias.core.side_by_side import SideBySide
from aias.encoders.rows import Encoded, RowEncoder
from aias.features.contract import Feature
from aias.learners.contract import Fitted, State
from aias.training.selection.configuration import Configuration
from aias.training.table import Table

FEATURES: Final = ("sentences", "numbers", "categories", "terms")
"""The one that is dense comes first."""

WITHOUT_SENTENCES: Final = FEATURES[1:]
TEXTS: Final = ("sentences", "terms")

SINGLE_FROM: Final = 3_000_000
"""Values from which a matrix is held in single precision, as a linear model of so many computes in it anyway."""

BLOCK_ROWS: Final = 65_536

BOTH: Final = np.array([[-1.0, 1.0]])
"""The log odds of the two classes, from those of the second."""

Answers = npt.NDArray[Any]


class Pipeline(Protocol):
    @property
    def settings(self) -> Mapping[str, Any]: ...

    def scores(self, encoded: Encoded) -> Floats:
        """Probabilities (rows, classes), or predictions (rows, 1)."""

    def export(self, graph: GraphWriter) -> str:
        """Write everything fitted into the graph; gives the scores' tensor."""

    def state(self) -> State:
        """What the learner learned, as arrays."""


@dataclass(eq=False)
class Features:
    """The features of all rows, fitted once and shared by everything linear."""

    encoder: RowEncoder
    encoded: Encoded

    def __post_init__(self) -> None:
        self._fitted: dict[str, Feature | None] = {}
        self._matrices: dict[tuple[str, ...], Any] = {}

    def some(self, names: Sequence[str]) -> list[Feature]:
        """Those of them for which the rows hold anything."""
        for name in names:
            if name not in self._fitted:
                self._fitted[name] = member("features", name).fit(self.encoded, self.encoder)
        return [feature for name in names if (feature := self._fitted[name]) is not None]

    def matrix(self, names: Sequence[str], *, kept: bool = True) -> Any:
        """All rows, with the blocks of these features side by side, (rows, width): CSR, or `SideBySide` where
        sentences are among them; in single precision where it is large. `kept`: for the next who asks.
        """
        if tuple(names) not in self._matrices:
            some = self.some(names)
            dense = [feature.columns(self.encoded) for feature in some if isinstance(feature, Dense)]
            rest = [feature for feature in some if not isinstance(feature, Dense)]
            sparse = self._in_blocks(rest, np.arange(self.encoded.rows)) if self._long else _beside(rest, self.encoded)
            if sparse.nnz > SINGLE_FROM:
                sparse = sparse.astype(np.float32, copy=False)
            # The vectors are float32, and so is a product with them for all rows at twice the speed.
            matrix = SideBySide(np.hstack(dense).astype(np.float32), sparse) if dense else sparse
            if not kept:
                return matrix
            self._matrices[tuple(names)] = matrix
        return self._matrices[tuple(names)]

    def parts(self, names: Sequence[str], *parts: Ints, kept: bool) -> list[Any]:
        """The same of some rows each. Where it is not `kept`, and there are no texts, that of all is never held."""
        if kept or not self._long:
            x = self.matrix(names, kept=kept)
            return [x if len(rows) == self.encoded.rows else x[rows] for rows in parts]
        some = self.some(names)
        return [self._in_blocks(some, rows) for rows in parts]

    @property
    def _long(self) -> bool:
        return not self.encoded.texts and self.encoded.rows > BLOCK_ROWS

    def _in_blocks(self, features: Sequence[Feature], rows: Ints) -> Any:
        """What a feature needs on its way is many times what comes of it."""
        single = self.encoded.columns.size > SINGLE_FROM
        blocks = []
        for start in range(0, max(1, len(rows)), BLOCK_ROWS):
            columns = self.encoded.columns[rows[start : start + BLOCK_ROWS]]
            block = _beside(features, replace(self.encoded, columns=columns))
            blocks.append(block.astype(np.float32) if single else block)
        return _below(blocks)


def _beside(features: Sequence[Feature], encoded: Encoded) -> Any:
    from scipy import sparse

    blocks = [feature.matrix(encoded) for feature in features]
    return sparse.hstack(blocks, format="csr") if blocks else sparse.csr_matrix((encoded.rows, 0))


def _below(blocks: list[Any]) -> Any:
    """One below the other. They are taken from the list, the last first, so that hardly more is held than the whole."""
    from scipy import sparse

    rows, values, width = sum(each.shape[0] for each in blocks), sum(each.nnz for each in blocks), blocks[0].shape[1]
    kind = np.int32 if values < np.iinfo(np.int32).max else np.int64
    data, indices = np.empty(values, blocks[0].dtype), np.empty(values, kind)
    ends, row, end = np.zeros(rows + 1, kind), rows, values
    while blocks:
        block = blocks.pop()
        first, start = row - block.shape[0], end - block.nnz
        data[start:end], indices[start:end] = block.data, block.indices
        ends[first + 1 : row + 1] = start + block.indptr[1:]
        row, end = first, start
        del block
        give_back()  # the system: an array of some megabytes is kept for the next of its size, and there is none
    return sparse.csr_matrix((data, indices, ends), shape=(rows, width))


@runtime_checkable
class Dense(Protocol):
    """A feature without zeros."""

    def columns(self, encoded: Encoded) -> Floats: ...


@runtime_checkable
class Starting(Protocol):
    """A feature whose sums may begin with something without a node more."""

    def export_from(self, graph: GraphWriter, weights: Floats, start: Floats) -> str: ...


class LinearPipeline:
    """Features side by side, each with its block of the weights; what follows from their sums is the model's."""

    def __init__(self, features: Sequence[Feature], model: Any) -> None:
        self.features, self.model = list(features), model
        self.settings: Mapping[str, Any] = model.settings
        ends = np.cumsum([feature.width for feature in features])[:-1]
        self._blocks = np.split(model.weights, ends)

    def parts(self) -> list[tuple[Feature, Floats]]:
        """Each feature with its weights, (width, outputs)."""
        return list(zip(self.features, self._blocks, strict=True))

    def sums(self, encoded: Encoded) -> Floats:
        """Weighted features before the intercept: (rows, outputs)."""
        total = np.zeros((encoded.rows, self.model.weights.shape[1]))
        for feature, weights in zip(self.features, self._blocks, strict=True):
            total += feature.project(encoded, weights)
        return total

    def scores(self, encoded: Encoded) -> Floats:
        return np.asarray(self.model.answer(self.sums(encoded)))

    def state(self) -> State:
        return self.model.state()  # type: ignore[no-any-return]

    def export_sums(self, graph: GraphWriter, *, start: Floats | None = None, signs: Floats | None = None) -> str:
        """The sums, which begin with `start`, (outputs,); with `signs`, (1, signs), times each of them: no node more,
        but larger tables."""
        parts = list(self.parts())
        if signs is not None:
            parts = [(feature, weights @ signs) for feature, weights in parts]
            start = None if start is None else start @ signs
        first, weights = parts[0]
        if start is not None and isinstance(first, Starting):
            total, start = first.export_from(graph, weights, start), None
        else:
            total = first.export(graph, weights)
        for feature, weights in parts[1:]:
            total = graph.op("Add", total, feature.export(graph, weights))
        return total if start is None else graph.op("Add", total, graph.constant(start))

    def export(self, graph: GraphWriter) -> str:
        start = getattr(self.model, "intercept", None)
        both = self.model.classes == 2 and hasattr(self.model, "export_both")
        if both and all(feature.name != "terms" for feature in self.features):
            return str(self.model.export_both(graph, self.export_sums(graph, start=start, signs=BOTH)))
        return str(self.model.export_answer(graph, self.export_sums(graph, start=start)))


class Block(Protocol):
    """Columns made from others, most with knowledge of the answers."""

    @property
    def width(self) -> int: ...

    def columns(self, encoded: Encoded) -> Floats:
        """For new rows: (rows, width)."""

    def export(self, graph: GraphWriter) -> str: ...

    def state(self) -> State: ...


class ColumnsPipeline:
    """A learner over the encoded columns, beside derived ones."""

    def __init__(self, blocks: Sequence[Block], fitted: Fitted) -> None:
        self.blocks, self.fitted = list(blocks), fitted
        self.settings: Mapping[str, Any] = fitted.settings

    def columns(self, encoded: Encoded) -> Floats:
        return _wide(encoded, [block.columns(encoded) for block in self.blocks])

    def scores(self, encoded: Encoded) -> Floats:
        return np.asarray(self.fitted.scores(self.columns(encoded)))

    def state(self) -> State:
        return self.fitted.state()

    def export_columns(self, graph: GraphWriter) -> str:
        names = [block.export(graph) for block in self.blocks]
        return graph.op("Concat", graph.columns, *names, axis=1) if names else graph.columns

    def export(self, graph: GraphWriter) -> str:
        return self.fitted.export(graph, self.export_columns(graph))


def read_by(configuration: Configuration) -> tuple[str, ...]:
    """The names of the features that its linear learner reads."""
    return configuration.features or WITHOUT_SENTENCES


def load_pipeline(
    configuration: Configuration, blocks: Sequence[Block], state: State, settings: dict[str, Any], table: Table,
    features: Features,
) -> Pipeline:  # fmt: skip
    """The pipeline that a unit's state is of."""
    learner = member("learners", configuration.learner)
    fitted = learner.load(state, table.task, settings)
    if learner.sparse:
        return LinearPipeline(features.some(read_by(configuration)), fitted)
    return ColumnsPipeline(blocks, fitted)


def _wide(encoded: Encoded, more: Sequence[Floats]) -> Floats:
    return np.hstack([encoded.columns, *more]) if more else np.ascontiguousarray(encoded.columns)
