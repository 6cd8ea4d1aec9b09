"""A small model answers every row, and a large one those of which the small one is unsure (`compress.cascading`).

Small are those that the search has made already and that fell by nothing but what they lost; large is the parent, or
what would pass in its place. Which rows go on is decided on the search rows alone:

    two classes    a range of the small one's probability: of all ranges that hold so many rows the one in which the
                   two differ most, by what the metric sees: labels, order, or probabilities
    more           the rows whose best class leads least

of which share, by the first that will probably be certified. Both are calibrated to the same rows before they meet, so
that what is answered by one can be ranked among what is answered by the other.

A row takes what the small one takes or what both take: the median is the small one's whatever goes on, so that a
cascade is chosen, and judged, by what a row takes on average. It is larger than its large model.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np

from aias.compress.cascading import ALIKE, Cascade, DeferralRule, deferral_score
from aias.compress.context import Context
from aias.compress.nomination import LIKELY
from aias.compress.searched import Known, Searched
from aias.compress.techniques.contract import Candidate, Made, NotApplicable
from aias.core.arrays import Floats
from aias.core.graph import GraphWriter
from aias.core.quantities import counted
from aias.core.task import LABEL_METRICS, Task
from aias.graph.builder import Builder
from aias.graph.encoder_pair import EncoderPair
from aias.training.pipeline import Pipeline
from aias.training.scoring.answering import Calibrated
from aias.training.scoring.calibration import PROBABILITY_MIN, Calibration
from aias.training.scoring.metrics import decide
from aias.training.selection.configuration import ALL

__all__ = ["cascade"]

SHARES: Final = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)
"""Shares of the rows that are deferred."""

GAIN_MIN: Final = 1.2
"""Times as fast on average as the fastest that is as good; less is not worth a second model."""

RANKED_MIN: Final = 0.55
"""The least share of the differences that the less sure half of the rows must hold; by chance it holds a half."""

ENOUGH: Final = 0.8
"""Times the best chance of any share, where the rows are too few for a likely one."""

CASCADES_MAX: Final = 2
REASONS_MAX: Final = 2

ROWS_MIN: Final = 100
"""Rows on which the rule is chosen."""


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Two models and the rule between them. `sent`: the share that is deferred; `chance`: of being certified."""

    small: Known
    large: Known
    rule: DeferralRule
    sent: float
    chance: float

    @property
    def row_us(self) -> float:
        """On average."""
        return self.small.row_us + self.sent * self.large.row_us

    @property
    def chosen(self) -> tuple[object, ...]:
        """What decides which model answers a row; other search rows would have chosen otherwise."""
        told = [each.calibration and each.calibration.as_dict() for each in (self.small, self.large)]
        return (self.rule.low, self.rule.high, *told)

    def gains_on(self, others: Sequence[Known]) -> bool:
        """On all that are as likely to be certified by themselves."""
        rivals = [each.row_us for each in others if each.chance >= min(LIKELY, self.chance)]
        return min(rivals) >= GAIN_MIN * self.row_us


def cascade(context: Context) -> Iterator[Candidate]:
    if not context.task.classes:
        raise NotApplicable("an amount does not say how sure it is of itself")
    search = context.search
    if search is not None and not search.large:
        raise NotApplicable("it goes on from what others come to, and none was timed: name other techniques beside it")
    if search is None or not search.students:
        raise NotApplicable(
            "nothing that reads the same and is twice as fast has fallen by its loss alone: who would answer first?"
        )
    found: list[list[Split]] = []
    reasons: list[str] = []
    for small in search.students:
        for large in [each for each in search.large if each.name != small.name]:
            try:
                found.append(_splits(context, search, small, large))
            except NotApplicable as fault:
                reasons.append(fault.message)
    if not found:
        raise NotApplicable("; ".join(list(dict.fromkeys(reasons))[:REASONS_MAX]))
    for splits in sorted(found, key=lambda each: each[0].row_us)[:CASCADES_MAX]:
        yield replace(
            _candidate(context, splits[0], search.fold), milder=partial(_milder, context, splits[1:], search.fold)
        )


def _milder(context: Context, splits: Sequence[Split], fold: int) -> list[Candidate]:
    return [_candidate(context, each, fold) for each in splits]


def _candidate(context: Context, split: Split, fold: int) -> Candidate:
    """`fold`: without whose rows the small model is made already, which is timed before the whole parent."""
    name = f"{split.small.name} first, the {100 * split.sent:.0f} % least sure on to {split.large.name}"
    return Candidate(
        name, partial(_make, context, split), sent=split.sent, timed=partial(_make, context, split, fold, ALL),
        chosen=split.chosen,
    )  # fmt: skip


def _splits(context: Context, search: Searched, small: Known, large: Known) -> list[Split]:
    """The splits that are fast enough, beginning with the first that is likely to be certified, or nearly as likely as
    any. Raises `NotApplicable`."""
    rows = np.intersect1d(small.rows, large.rows)
    if len(rows) < ROWS_MIN:
        raise NotApplicable(
            f"what {small.name} says is known of {counted(len(rows), 'row')} to search by, too few to part them"
        )
    if search.size_bytes_max is not None and small.size_bytes + large.size_bytes > search.size_bytes_max:
        raise NotApplicable(f"{small.name} and {large.name} together are larger than was asked for")
    first, second = small.of(rows), large.of(rows)
    apart = differing(context.task, first, second, search.label_weights)
    ranges = {share: rule_at(first, apart, share) for share in SHARES}
    if _held(first, apart, ranges[max(SHARES)]) < RANKED_MIN:
        raise NotApplicable(f"of which of its answers {small.name} is sure says nothing of where {large.name} differs")
    found: list[Split] = []
    for rule in dict.fromkeys(ranges.values()):  # tied answers make one range of several
        sent = rule.of(first)
        together = np.where(sent[:, None], second, first)
        found.append(Split(small, large, rule, float(sent.mean()), search.chance(rows, together)))
    fast = [each for each in found if each.gains_on(search.large) and 0 < each.sent <= max(SHARES)]
    if not fast:
        best = min(search.large, key=lambda each: each.row_us)
        raise NotApplicable(
            f"{best.name} takes {best.row_us:,.0f} µs a row, and {small.name} with {large.name} behind it "
            f"{found[0].row_us:,.0f} on average"
        )
    most = max(each.chance for each in fast)
    if not most:
        raise NotApplicable(
            f"also where {small.name} is surest it differs too much: with {100 * fast[-1].sent:.0f} % of the rows on "
            f"to {large.name} it still loses too much"
        )
    return fast[next(at for at, each in enumerate(fast) if each.chance >= min(LIKELY, ENOUGH * most)) :]


def differing(task: Task, small: Floats, large: Floats, label_weights: Sequence[float] | None) -> Floats:
    """How much the two answers to each row differ for the metric: (rows,)."""
    apart: Floats = np.abs(large - small).mean(axis=1)
    if task.metric in LABEL_METRICS:  # a difference that no label shows only tells rows of equal labels apart
        return np.asarray((decide(small, label_weights) != decide(large, label_weights)) + 0.01 * apart)
    if task.metric.startswith("roc_auc") and small.shape[1] == 2:
        return _passed(small[:, 1], large[:, 1])
    if task.metric == "log_loss":
        logs = [np.log(np.maximum(each, PROBABILITY_MIN)) for each in (large, small)]
        return np.asarray((large * (logs[0] - logs[1])).sum(axis=1))
    return apart


def rule_at(small: Floats, apart: Floats, share: float) -> DeferralRule:
    """A rule that defers `share` of the rows: with two classes, the range that holds most of the differences."""
    found = deferral_score(small)
    order = np.argsort(found, kind="stable")
    count = max(1, round(share * len(order)))
    first = 0
    if small.shape[1] == 2:
        held = np.concatenate([[0.0], np.cumsum(apart[order])])
        first = int(np.argmax(held[count:] - held[:-count]))
    cuts = _cuts(found[order])
    low, high = (cuts[np.argmin(np.abs(cuts[:, 0] - place)), 1] for place in (first, first + count))
    return DeferralRule(float(low), float(high))


def _cuts(ordered: Floats) -> Floats:
    """Where neighbours can be told apart: how many rows are below, and the middle between the two; with both ends."""
    places = np.flatnonzero(np.diff(ordered) > ALIKE) + 1
    middles = (ordered[places - 1] + ordered[places]) / 2
    inner = np.column_stack([places, middles])
    return np.vstack([[0, -1.0], inner, [len(ordered), 2.0]])


def _held(small: Floats, apart: Floats, rule: DeferralRule) -> float:
    """The share of all differences that the deferred rows hold, scaled to half of the rows."""
    sent = rule.of(small)
    return float(apart[sent].sum() / max(apart.sum(), 1e-300) * 0.5 / max(sent.mean(), 1e-9))


def _passed(small: Floats, large: Floats) -> Floats:
    """How many more pairs are in order when a row moves from s, what the small one says, to l: with probabilities that
    come true, of each v that it passes it is the likelier one by l - v: ∫ from s to l of (l - v) dF(v), F being how the
    large one's answers lie."""
    order = np.sort(large)
    sums = np.concatenate([[0.0], np.cumsum(order)])
    ends, starts = (np.searchsorted(order, each) for each in (large, small))
    return np.asarray(np.abs(large * (ends - starts) - (sums[ends] - sums[starts])) / len(large))


def _make(context: Context, split: Split, fold: int, parent_fold: int | None = None) -> Made:
    assert split.small.at is not None, "only a large one is the parent"
    small, ours = split.small.at(fold), context.prepared.embedding
    large = split.large.at(fold) if split.large.at else Made(
        _parent(context, fold if parent_fold is None else parent_fold), context.encoder
    )  # fmt: skip
    first, second = (each.embedding or ours if _reads(context, each.pipeline) else None for each in (small, large))
    embedding, wide = first or second, None
    if first and second:
        both: Any = EncoderPair(first.sentences, second.sentences)
        embedding, wide = replace(second, sentences=both), first.sentences.width
    mixture = Cascade(
        _calibrated(small.pipeline, split.small.calibration), _calibrated(large.pipeline, split.large.calibration),
        split.rule, context.task.outputs, second.sentences if second else None, wide,
    )  # fmt: skip
    return Made(mixture, context.encoder, None if embedding is ours else embedding)


def _parent(context: Context, fold: int) -> Pipeline:
    assert not context.parent.imported, "what was made elsewhere is a graph, and no pipeline"
    found: Any = context.teacher(fold)
    return found  # type: ignore[no-any-return]


def _calibrated(pipeline: Pipeline, calibration: Calibration | None) -> Pipeline:
    return Calibrated(pipeline, calibration) if calibration else pipeline


def _reads(context: Context, pipeline: Pipeline) -> bool:
    """Whether it asks for the vectors of sentences, which only its export tells."""
    if context.prepared.embedding is None:
        return False
    asked = list[GraphWriter]()

    def noted(graph: GraphWriter) -> str:
        asked.append(graph)
        return "vectors"

    layout = context.encoder.layout
    pipeline.export(Builder(width=layout.width, texts=layout.texts, sentences=noted))
    return bool(asked)
