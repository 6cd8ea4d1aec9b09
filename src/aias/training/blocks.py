"""Blocks: derived columns beside the encoded ones, fitted, kept and read again.

text_sums      what a linear model makes of the texts, out of fold
log_text_sums  the same of the logarithms of the amounts
target_means   the mean answer of each category and of pairs of them, out of fold
time_gaps      how long it is between two points in time
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from aias.core.arrays import Floats
from aias.core.catalog import member
from aias.core.events import nobody
from aias.core.graph import GraphWriter
from aias.data.straddling import apart
from aias.encoders.rows import Encoded
from aias.learners.contract import Fit, State
from aias.training.logarithms import Logarithms
from aias.training.pipeline import TEXTS, WITHOUT_SENTENCES, Block, Features, LinearPipeline
from aias.training.table import Table

TEXT_FOLDS: Final = 4
MEAN_FOLDS: Final = 5
CHOOSING_SHARE: Final = 0.5
"""Of a block's time for the first fold, on which the strength of regularisation is chosen."""


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
    count, copies = int(folds.max()) + 1, table.copies_in(rows)
    sums = np.zeros((len(rows), 1 if table.task.outputs == 2 else table.task.outputs))
    settings: dict[str, Any] = {}
    for fold in range(count):
        share = replace(
            how,
            settings=dict(settings),
            deadline=how.deadline.share(1 / (count + 1 - fold) if settings else CHOOSING_SHARE),
        )
        inside, outside = rows[apart(folds, fold, copies)], rows[folds == fold]
        valid = None if settings else part.examples(outside, x[outside])
        model = linear.fit(part.examples(inside, x[inside]), valid, share)
        settings = settings or model.settings
        sums[folds == fold] = np.asarray(x[outside] @ model.weights)
    whole = linear.fit(part.examples(rows, x[rows]), None, replace(how, settings=dict(settings)))
    return TextSums(LinearPipeline(features.some(texts), whole)), sums


def _fit_log_text_sums(
    table: Table, rows: Any, how: Fit, features: Features, read: Sequence[str]
) -> tuple[Block, Floats] | None:
    logs = Logarithms.of(table.task, table.whole.y).to(table.whole.y)
    return _fit_text_sums(replace(table, whole=replace(table.whole, y=logs)), rows, how, features, read)


def _load_text_sums(
    state: State, settings: dict[str, Any], table: Table, features: Features, read: Sequence[str]
) -> Block:
    texts = features.some([name for name in read if name in TEXTS])
    return TextSums(LinearPipeline(texts, member("learners", "linear").load(state, table.task, settings)))


def _fit_target_means(
    table: Table, rows: Any, how: Fit, _features: Features, _read: Sequence[str]
) -> tuple[Block, Floats] | None:
    layout, copies = table.encoder.layout, table.copies_in(rows)
    folds = table.inner_folds(rows, count=MEAN_FOLDS, seed=how.seed)
    told_by = None if copies is None else [apart(folds, fold, copies) for fold in range(int(folds.max()) + 1)]
    found = member("features", "target_means").fit(
        table.whole.encoded.columns[rows], table.whole.y[rows], categories=layout.categories,
        category_sizes=layout.category_sizes, classes=len(table.task.classes),
        folds=folds, told_by=told_by,
    )  # fmt: skip
    return None if found is None else (TargetMeans(found[0]), found[1])


def _load_target_means(
    state: State, _settings: dict[str, Any], _table: Table, _features: Features, _read: Sequence[str]
) -> Block:
    return TargetMeans(member("features", "target_means").load(state))


def _fit_time_gaps(
    table: Table, rows: Any, _how: Fit, _features: Features, _read: Sequence[str]
) -> tuple[Block, Floats] | None:
    """Knows nothing of the answers."""
    gaps = member("features", "time_gaps").fit(table.encoder.layout)
    return None if gaps is None else (gaps, gaps.between(table.whole.encoded.columns[rows]))


def _load_time_gaps(
    state: State, _settings: dict[str, Any], _table: Table, _features: Features, _read: Sequence[str]
) -> Block:
    return member("features", "time_gaps").load(state)  # type: ignore[no-any-return]


_BLOCKS: Final[dict[str, tuple[Callable[..., Any], Callable[..., Any]]]] = {
    "text_sums": (_fit_text_sums, _load_text_sums),
    "log_text_sums": (_fit_log_text_sums, _load_text_sums),
    "target_means": (_fit_target_means, _load_target_means),
    "time_gaps": (_fit_time_gaps, _load_time_gaps),
}
