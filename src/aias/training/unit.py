"""One fit of one configuration on one fold: made in a worker, kept in the ledger, made again into a pipeline."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np

from aias.core.arrays import Floats, Ints
from aias.core.catalog import member
from aias.core.deadline import Deadline
from aias.core.events import Watch
from aias.learners.contract import Fit, Fitted, State
from aias.training.blocks import fit_block, load_block
from aias.training.ledger import Entry, Ledger
from aias.training.logarithms import Logarithms, LogPipeline, learned_as
from aias.training.outliers import Fences
from aias.training.pipeline import Block, ColumnsPipeline, Features, LinearPipeline, Pipeline, load_pipeline, read_by
from aias.training.scoring import metrics
from aias.training.selection.configuration import ALL, Configuration, Unit
from aias.training.soft_labels import learned
from aias.training.table import Table

KEEP_EVERY_SECONDS: Final = 2.0
"""Between two states that are kept in case the fit has to be killed."""

KEEP_SHARE_MAX: Final = 0.03
"""Of the time of a fit that may go into keeping."""

BLOCK_SHARE: Final = 0.4
"""Of what is left of a unit's time for each block of derived columns."""

CHOOSING_FOLDS: Final = 5
CHOOSING_ROWS: Final = (50, 1_000)
CHOOSING_VALUES_MAX: Final = 200_000
"""Of a matrix, times outputs, up to which what one fold chooses for all others is chosen by inner folds too. Of
more rows one fold knows enough, of fewer a part of them says nothing, and of more values it takes seconds."""

START_SHARE: Final = 0.6
"""Of a unit's time for what it goes on from, where that is no longer there."""

OURS: Final = ("seed_shift", "start", "hidden", "rows_share", "log_target", "smear", "clip_target")
"""Settings for every learner, which do not get to see them.

seed_shift   another seed, everything else alike
start        go on from what these settings came to: `asked` on a fold, `refit` on all rows (`Fit.start`)
hidden       columns that learn nothing, for trees: they are constant while fitting, hence never asked for
rows_share   fit on this share of the rows, drawn from each class alike
log_target   learn the logarithms of the amounts (`training.logarithms`); `smear` is what came of it
clip_target  learn amounts that lie far off as if they lay nearer (`training.outliers`)
"""

OF_ROWS: Final = ("rows_share", "clip_target")
"""Of them, those that columns derived from answers depend on."""

SEED_STEP: Final = 1_000
"""More than there are folds."""


@dataclass(eq=False)
class UnitFitter:
    """What a process needs to fit units: the table, its features, the ledger."""

    table: Table
    ledger: Ledger

    def __post_init__(self) -> None:
        self.features = Features(self.table.encoder, self.table.whole.encoded)

    def fit(self, unit: Unit, *, deadline: Deadline, threads: int, watch: Watch) -> Entry:
        """Fit, judge on the rows of the fold, and put into the ledger."""
        began = time.perf_counter()
        key = unit.key(self.table.digest)
        table, configuration = self.table, unit.configuration
        rows, judges = self._inside(unit), table.judging(unit.fold)
        ours = {name: value for name, value in configuration.settings.items() if name in OURS}
        settings = {name: value for name, value in configuration.settings.items() if name not in OURS}
        seed = unit.seed + unit.fold + 1 + SEED_STEP * ours.get("seed_shift", 0)
        logs = self.logarithms if ours.get("log_target") else None

        def score(y: Any, scores: Any) -> float:
            told = (y, scores) if logs is None else (logs.back(y), logs.back(scores))
            return metrics.measure(table.task, *told).value

        how = Fit(learned_as(table.task) if logs else table.task, seed, deadline, threads, watch, settings, score=score)
        if "start" in ours:
            how = replace(how, start=self._start(unit, how))
        learner = member("learners", configuration.learner)
        blocks: list[Block] = []
        if learner.sparse:
            train, valid = self.features.parts(read_by(configuration), rows, judges, kept=table.fold_count > 1)
        else:
            train, valid, blocks, how = self._columns(unit, rows, judges, how)

        def finished(fitted: Fitted, *, cut: bool) -> Entry:
            pipeline = self._pipeline(configuration, blocks, fitted)
            scores = _judged(fitted, valid, table.task.outputs) if len(judges) else np.zeros((0, table.task.outputs))
            found = {**fitted.settings, **ours}
            if logs is not None and len(judges):
                y = table.whole.y[judges]
                found["smear"], scores = logs.smear(y, scores[:, 0]), logs.judged(y, scores)
            seconds = time.perf_counter() - began
            facts = {"rows": len(rows), "cuts": sorted({*how.cuts})}
            return Entry(found, seconds, cut, pipeline.state(), scores[np.argsort(judges)], facts)

        how = replace(how, keep=self._keeper(key, finished))
        part, judging = table.whole.examples(rows, train), table.whole.examples(judges, valid)
        if logs is not None:
            part, judging = (replace(each, y=logs.to(each.y)) for each in (part, judging))
        if ours.get("clip_target"):
            part, judging = (replace(each, y=self.fences.clip(each.y)) for each in (part, judging))
        if table.whole.said is not None:
            part = learned(table.task, part, table.whole.said[rows], costs=table.class_costs)
        if self._chooses(learner, settings, rows, train):
            inner = table.inner_folds(rows, count=CHOOSING_FOLDS, seed=seed)
            how = replace(how, folds=inner, copies=table.copies_in(rows))
        handed = [part]
        del train, part  # a learner that makes its own form of them need not hold both
        fitted = learner.fit(handed.pop(), judging if len(judges) else None, how)
        entry = finished(fitted, cut=deadline.passed or learner.name in how.cuts)
        self.ledger.put(key, entry)
        return entry

    def pipeline(self, unit: Unit) -> Pipeline:
        """The fitted pipeline of a unit that is in the ledger."""
        entry = self.ledger.take(unit.key(self.table.digest))
        blocks = [] if member("learners", unit.configuration.learner).sparse else self._blocks(unit)
        settings = dict(entry.settings)
        pipeline = load_pipeline(unit.configuration, blocks, entry.state, settings, self.table, self.features)
        if settings.get("log_target"):
            return LogPipeline(pipeline, self.logarithms, float(settings.get("smear", 1.0)))
        return pipeline

    @cached_property
    def logarithms(self) -> Logarithms:
        return Logarithms.of(self.table.task, self.table.whole.y)

    @cached_property
    def fences(self) -> Fences:
        return Fences.of(self.table.whole.y)

    @cached_property
    def _clipped(self) -> Table:
        """From which columns are derived for what learns amounts so."""
        return replace(self.table, whole=replace(self.table.whole, y=self.fences.clip(self.table.whole.y)))

    def _inside(self, unit: Unit) -> Ints:
        """The rows to fit on, sorted: all of the fold's, or a share of each class and at least one row of it."""
        rows = self.table.inside(unit.fold)
        share = unit.configuration.settings.get("rows_share", 1.0)
        if share == 1.0:
            return rows
        rows = np.random.default_rng(unit.seed).permutation(rows)
        label = self.table.whole.y[rows] if self.table.task.classes else np.zeros(len(rows))
        parts = [rows[label == each] for each in np.unique(label)]
        return np.sort(np.concatenate([part[: max(1, round(share * len(part)))] for part in parts]))

    def _chooses(self, learner: Any, settings: Mapping[str, Any], rows: Ints, x: Any) -> bool:
        """Whether something is left to be chosen for all folds, and few rows would judge it."""
        wanted, outputs = set(getattr(learner, "shared", ())) - settings.keys(), self.table.task.outputs
        least, most = CHOOSING_ROWS
        few = least <= len(rows) <= most and _stored(x) * outputs <= CHOOSING_VALUES_MAX
        return bool(wanted) and few and self.table.blocks is None and self.table.whole.said is None

    def _columns(self, unit: Unit, rows: Any, judges: Any, how: Fit) -> tuple[Any, Any, list[Block], Fit]:
        """The encoded columns of both parts, with the derived ones beside them."""
        encoded, hidden = self.table.whole.encoded, unit.configuration.settings.get("hidden", ())
        inside, outside = [encoded.columns[rows] if hidden else _of(encoded.columns, rows)], [encoded.columns[judges]]
        blocks: list[Block] = []
        for name in unit.configuration.derived:
            made = self._block(name, unit, rows, how)
            if made is not None:
                block, columns = made
                blocks.append(block)
                inside.append(columns)
                outside.append(block.columns(encoded.take(judges)))
        layout = self.table.encoder.layout
        how = replace(how, categories=layout.categories, category_sizes=layout.category_sizes)
        train, valid = (np.hstack(each) if len(each) > 1 else each[0] for each in (inside, outside))
        for place in hidden:
            train[:, place] = valid[:, place] = 0.0
        return train, valid, blocks, how

    def _start(self, unit: Unit, how: Fit) -> State:
        """What the settings in `start` came to on the same rows: fitted before, or now."""
        phase = "refit" if unit.fold == ALL else "asked"
        settings = dict(unit.configuration.settings["start"][phase])
        before = replace(unit, configuration=replace(unit.configuration, settings=settings))
        entry = self.ledger.get(before.key(self.table.digest)) or self.fit(
            before, deadline=how.deadline.share(START_SHARE), threads=how.threads, watch=how.watch
        )
        if entry.cut:
            how.cuts.append("start")
        return entry.state

    def _block(self, name: str, unit: Unit, rows: Any, how: Fit) -> tuple[Block, Any] | None:
        """From the ledger, or fitted and put there."""
        key = self._block_key(name, unit)
        if (entry := self.ledger.get(key)) is None:
            own = replace(
                how, settings={}, start=None, seed=unit.seed + unit.fold + 1, deadline=how.deadline.share(BLOCK_SHARE),
                cuts=[],
            )  # fmt: skip
            table = self._clipped if unit.configuration.settings.get("clip_target") else self.table
            made = fit_block(name, table, rows, own, self.features, read=read_by(unit.configuration))
            if made is None:
                self.ledger.put(key, Entry({}, 0.0, False, {}, np.zeros((0, 0))))
            else:
                block, columns = made
                settings = dict(block.linear.settings) if hasattr(block, "linear") else {}
                self.ledger.put(key, Entry(settings, 0.0, bool(own.cuts), block.state(), columns))
            entry = self.ledger.take(key)  # of two processes the first is believed
        if entry.cut:
            how.cuts.append(name)
        return (self._load_block(name, unit, entry), entry.scores) if entry.state else None

    def _load_block(self, name: str, unit: Unit, entry: Entry) -> Block:
        read = read_by(unit.configuration)
        return load_block(name, entry.state, dict(entry.settings), self.table, self.features, read=read)

    def _blocks(self, unit: Unit) -> list[Block]:
        """What it reads besides the columns, as the ledger has it."""
        entries = ((name, self.ledger.take(self._block_key(name, unit))) for name in unit.configuration.derived)
        return [self._load_block(name, unit, entry) for name, entry in entries if entry.state]

    def _block_key(self, name: str, unit: Unit) -> str:
        kept = {key: value for key, value in unit.configuration.settings.items() if key in OF_ROWS}
        alone = replace(unit.configuration, learner=f"block:{name}", settings=kept, derived=())
        return replace(unit, configuration=alone).key(self.table.digest)

    def _pipeline(self, configuration: Configuration, blocks: list[Block], fitted: Fitted) -> Pipeline:
        if member("learners", configuration.learner).sparse:
            return LinearPipeline(self.features.some(read_by(configuration)), fitted)
        return ColumnsPipeline(blocks, fitted)

    def _keeper(self, key: str, finished: Callable[..., Entry]) -> Callable[[Callable[[], Fitted]], None]:
        """Keeps a state at most every two seconds, and for little of the time."""
        last, spent = time.perf_counter(), 0.0
        began = last

        def keep(make: Callable[[], Fitted]) -> None:
            nonlocal last, spent
            now = time.perf_counter()
            if now - last < KEEP_EVERY_SECONDS or spent > KEEP_SHARE_MAX * (now - began):
                return
            self.ledger.keep(key, finished(make(), cut=True))
            last = time.perf_counter()
            spent += last - now

        return keep


def _stored(x: Any) -> int:
    return int(x.nnz if hasattr(x, "nnz") else x.size)


def _of(columns: Floats, rows: Ints) -> Floats:
    """These of them, sorted; of all not a copy, but the very columns, which nobody may change."""
    if len(rows) < len(columns):
        return columns[rows]
    whole = columns.view()
    whole.flags.writeable = False
    return whole


def _judged(fitted: Fitted, valid: Any, outputs: int) -> Any:
    """Scores of the rows that judge, such that none helped to choose what scores it."""
    judged = getattr(fitted, "judged", None)
    return fitted.scores(valid).reshape(-1, outputs) if judged is None else judged
