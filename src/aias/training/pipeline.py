"""A fitted pipeline: features and a learner as Python objects, alive only inside a job.

    sparse     columns, terms, vectors → features → linear, or a network on words
    all else   columns + derived columns → learner

Features know nothing of the answers and are fitted once, on all rows; derived columns know them, and are made out of
fold. Learners that cannot read texts see what a linear model makes of them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from aias.core.arrays import Floats, Ints
from aias.core.catalog import member
from aias.core.events import nobody
from aias.core.graph import GraphWriter
from aias.core.memory import give_back
from aias.core.side_by_side import SideBySide
from aias.encoders.rows import Encoded, RowEncoder
from aias.features.contract import Feature
from aias.learners.contract import Fit, Fitted, State
from aias.training.selection.configuration import Configuration
from aias.training.table import Table

FEATURES: Final = ("sentences", "numbers", "categories", "terms")
"""The one that is dense comes first."""

WITHOUT_SENTENCES: Final = FEATURES[1:]
TEXTS: Final = ("sentences", "terms")

TEXT_FOLDS: Final = 4
MEAN_FOLDS: Final = 5
CHOOSING_SHARE: Final = 0.5
"""Of a block's time for the first fold, on which the strength of regularisation is chosen."""

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
    """Columns made from others with knowledge of the answers."""

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


@dataclass(frozen=True, slots=True)
class TextSums:
    """What a linear model makes of the texts."""

    linear: LinearPipeline

    @property
    def width(self) -> int:
        return int(self.linear.model.weights.shape[1])

    def columns(self, encoded: Encoded) -> Floats:
        return self.linear.sums(encoded)

    def export(self, graph: GraphWriter) -> str:
        return self.linear.export_sums(graph)

    def state(self) -> State:
        return self.linear.state()


@dataclass(frozen=True, slots=True)
class TargetMeans:
    """The mean answer of each category and of pairs of them."""

    means: Any

    @property
    def width(self) -> int:
        return int(self.means.width)

    def columns(self, encoded: Encoded) -> Floats:
        return self.means.columns(encoded.columns)  # type: ignore[no-any-return]

    def export(self, graph: GraphWriter) -> str:
        return self.means.export(graph, graph.columns)  # type: ignore[no-any-return]

    def state(self) -> State:
        return self.means.state()  # type: ignore[no-any-return]


def read_by(configuration: Configuration) -> tuple[str, ...]:
    """The names of the features that its linear learner reads."""
    return configuration.features or WITHOUT_SENTENCES


def fit_block(
    name: str, table: Table, rows: Any, how: Fit, features: Features, *, read: Sequence[str] = WITHOUT_SENTENCES
) -> tuple[Block, Floats] | None:
    """The block fitted on these rows of the table, and its columns for these very rows, made out of fold.

    `read`: the features, for those that read any.
    """
    fit: Callable[..., tuple[Block, Floats] | None] = _BLOCKS[name][0]
    return fit(table, rows, how, features, read)


def load_block(
    name: str, state: State, settings: dict[str, Any], table: Table, features: Features,
    *, read: Sequence[str] = WITHOUT_SENTENCES,
) -> Block:  # fmt: skip
    load: Callable[..., Block] = _BLOCKS[name][1]
    return load(state, settings, table, features, read)


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


def _fit_text_sums(
    table: Table, rows: Any, how: Fit, features: Features, read: Sequence[str]
) -> tuple[Block, Floats] | None:
    """Four models that each did not see a quarter of the rows, and one of all of them for rows to come. They tell
    nothing: it would be heard as rounds of the learner that reads them. Groups and copies are seen whole or not at all,
    as by what is judged: or trees would trust words of a group's own, of which new groups have none."""
    how = replace(how, watch=nobody, score=None)
    texts = [name for name in read if name in TEXTS]
    if not features.some(texts):
        return None
    x = features.matrix(texts)
    linear = member("learners", "linear")
    part = table.whole
    folds = table.inner_folds(rows, count=TEXT_FOLDS, seed=how.seed)
    count = int(folds.max()) + 1
    sums = np.zeros((len(rows), 1 if table.task.outputs == 2 else table.task.outputs))
    settings: dict[str, Any] = {}
    for fold in range(count):
        share = replace(
            how,
            settings=dict(settings),
            deadline=how.deadline.share(1 / (count + 1 - fold) if settings else CHOOSING_SHARE),
        )
        inside, outside = rows[folds != fold], rows[folds == fold]
        valid = None if settings else part.examples(outside, x[outside])
        model = linear.fit(part.examples(inside, x[inside]), valid, share)
        settings = settings or model.settings
        sums[folds == fold] = np.asarray(x[outside] @ model.weights)
    whole = linear.fit(part.examples(rows, x[rows]), None, replace(how, settings=dict(settings)))
    return TextSums(LinearPipeline(features.some(texts), whole)), sums


def _load_text_sums(
    state: State, settings: dict[str, Any], table: Table, features: Features, read: Sequence[str]
) -> Block:
    texts = features.some([name for name in read if name in TEXTS])
    return TextSums(LinearPipeline(texts, member("learners", "linear").load(state, table.task, settings)))


def _fit_target_means(
    table: Table, rows: Any, how: Fit, _features: Features, _read: Sequence[str]
) -> tuple[Block, Floats] | None:
    layout = table.encoder.layout
    found = member("features", "target_means").fit(
        table.whole.encoded.columns[rows], table.whole.y[rows], categories=layout.categories,
        category_sizes=layout.category_sizes, classes=len(table.task.classes),
        folds=table.inner_folds(rows, count=MEAN_FOLDS, seed=how.seed),
    )  # fmt: skip
    return None if found is None else (TargetMeans(found[0]), found[1])


def _load_target_means(
    state: State, _settings: dict[str, Any], _table: Table, _features: Features, _read: Sequence[str]
) -> Block:
    return TargetMeans(member("features", "target_means").load(state))


_BLOCKS: Final[dict[str, tuple[Callable[..., Any], Callable[..., Any]]]] = {
    "text_sums": (_fit_text_sums, _load_text_sums),
    "target_means": (_fit_target_means, _load_target_means),
}
