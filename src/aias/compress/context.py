"""What techniques work with: the parent's members as they were fitted on each fold, and the rows to fit on."""

import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import reduce
from math import isclose
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import numpy as np

from aias.core.arrays import Floats, Ints
from aias.core.cpus import cpus
from aias.core.deadline import Deadline
from aias.core.evenly import evenly
from aias.core.events import nobody
from aias.core.task import Task
from aias.encoders.rows import Encoded, RowEncoder
from aias.encoders.subwords import Subwords
from aias.graph.encoder_pair import EncoderPair
from aias.graph.sentences import SentenceEncoder
from aias.runtimes.onnxruntime import OnnxRuntime
from aias.training.embedding import Embedding, embedded, without_tokens
from aias.training.ensemble import Ensemble, Part
from aias.training.parent import NoTime, Parent
from aias.training.pipeline import Pipeline
from aias.training.prepare import Prepared, encoded_of
from aias.training.scoring.metrics import judge
from aias.training.selection.configuration import ALL, Configuration, Unit
from aias.training.selection.fits import counts, parts_of
from aias.training.selection.members import Member, member_of
from aias.training.selection.plan import Plan
from aias.training.selection.trial import Trial, is_whole
from aias.training.selection.weights import mix
from aias.training.unit import UnitFitter

if TYPE_CHECKING:
    from aias.compress.compressed_parent import Base
    from aias.compress.searched import Searched

T = TypeVar("T")

FINISH_SHARE: Final = 0.3
"""Of the time, for what is nominated."""

FITTED_SHARE: Final = 0.15
"""Of the time to search, for candidates that are fitted as in training, on every fold and without a teacher."""

FITTED_ALONE: Final = 0.7
"""The same where there are no others."""

FIT_SHARE: Final = 0.1
"""Of all the time that one fit of one fold may take."""


BY_UNLABELLED: Final = ("distill", "distill_network", "distill_words", "fewer_columns")
"""Techniques that ask the parent about rows without answers too."""

BY_TIME: Final = ("distill", "distill_network", "fewer_columns")
"""Techniques that ask it about as many rows as there is time for, and learn as much of these."""

SOME_ROWS: Final = 64
"""Enough to see what an encoder does to texts."""


def check_whole(seconds: float, *, left: float, less: bool, done: float = 0.0) -> None:
    """Of a fit that had so many `seconds`, of which some were `left`; `less`: whether it is less than was asked for,
    and `done`: which share of it that is, if it is known.

    What the time cuts is cut elsewhere in each fold and again on all rows: what is certified would not be what is
    published. Raises `NoTime`.
    """
    if less and left < seconds / 2:  # else there was no more to learn
        said = f"there was no time to fit it whole: {seconds:.3g} s are too few"
        enough = (seconds - left) / done / FIT_SHARE if done else 0.0
        raise NoTime(said, hint=f"give more time: a fit may take {100 * FIT_SHARE:.0f} % of it", enough=enough)


class Teacher(Protocol):
    def scores(self, encoded: Encoded) -> Floats:
        """Probabilities (rows, classes), or predictions (rows, 1)."""


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """A published graph as a teacher."""

    runtime: OnnxRuntime

    def scores(self, encoded: Encoded) -> Floats:
        return np.asarray(self.runtime.run(encoded), np.float64).reshape(encoded.rows, -1)


@dataclass(eq=False)
class Context:
    """`members`: what the parent is made of, the heaviest first; `weights`: of sum 1, in their order. Of a parent that
    was imported there are none: its graph is the teacher."""

    parent: Parent
    prepared: Prepared
    fitter: UnitFitter
    plan: Plan
    deadline: Deadline
    members: tuple[Member, ...]
    weights: Floats
    seed: int
    base: "Base | None" = None
    """Of a parent that is compressed already, what it is without the rows of a fold; then there are no members."""
    cores: int = 0
    """That answer and fit, where that is said; 0 for all there are."""
    extra: Encoded | None = None
    """Rows without answers, to be taught on besides."""
    unlabelled: str = ""
    """The digest of these rows."""
    refitted: frozenset[str] = frozenset()
    """Members that training fitted again on all rows."""
    certifying: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    """The rows of the table by which nothing may be chosen."""
    search: "Searched | None" = None
    """What was found out by now; None until something was."""
    keeps_labels: bool = False
    """Whether it was imported with a threshold or weights of its classes: which label a probability means is not for
    others to choose."""
    finishing: bool = False
    """Whether the search is over, and what is nominated has the time that was kept free for it."""
    memo: dict[Any, Any] = field(default_factory=dict)
    """What techniques made for one candidate and can use for the next: see `once`."""
    asked: dict[str, Member] = field(default_factory=dict)
    """Members that were asked for one by one; for `ALL` these are fitted again."""
    _read: dict[str, Encoded] = field(default_factory=dict)
    """All rows, by the digest of the sentence encoder that read them."""

    @property
    def task(self) -> Task:
        return self.prepared.task

    @property
    def metric(self) -> str:
        """As people read it: where the parent's own answers stand for labels, how often it is agreed with."""
        by = f" in {self.task.metric}" if not self.task.classes else ""
        return f"agreement with {self.prepared.answers_of}{by}" if self.prepared.answers_of else self.task.metric

    @property
    def encoder(self) -> RowEncoder:
        return self.prepared.encoder

    @property
    def threads(self) -> int:
        return self.cores or cpus()

    def once(self, key: object, make: Callable[[], T]) -> T:
        """What `make` gives, made when it is first asked for by this key."""
        if key not in self.memo:
            self.memo[key] = make()
        found: T = self.memo[key]
        return found

    def fit_deadline(self) -> Deadline:
        """For one fit: a share of the whole time, not of what is left, so that a candidate ends as what it was when
        it was chosen."""
        return Deadline.after(FIT_SHARE * self.deadline.seconds, self.deadline.clock)

    def inside(self, *folds: int) -> Ints:
        """The rows of the table that may be fitted on, where all these folds judge."""
        return reduce(np.intersect1d, map(self.prepared.table.inside, folds))

    def some(self, count: int) -> Ints:
        """Rows to choose by, spread over the table."""
        rows = np.setdiff1d(np.arange(self.prepared.table.rows), self.certifying)
        return rows[evenly(len(rows), count)]

    def judging(self) -> Ints:
        """Places, among the rows that judge, of those to choose by."""
        return np.flatnonzero(~np.isin(self.prepared.table.judged, self.certifying))

    def answers(self, rows: Ints) -> Any:
        return self.prepared.table.whole.y[rows]

    def weight(self, rows: Ints) -> Floats | None:
        """How much each of the rows counts."""
        held = self.prepared.table.whole.weight
        return None if held is None else held[rows]

    def encoded(self, rows: Ints, encoder: RowEncoder | None = None, embedding: Embedding | None = None) -> Encoded:
        """Rows of the table, as the parent's encoder reads them or as another does, or another sentence encoder."""
        if embedding is not None:
            return self._read_of(embedding, rows)
        if encoder is None or encoder is self.encoder:
            return self.prepared.table.whole.encoded.take(rows)
        return encoded_of(self.prepared.dataset.take(rows), encoder)

    def read(self, embedding: Embedding) -> Encoded:
        """All rows of the table, their sentences read by another encoder; what was read stays in the ledger.

        Raises `NoTime`.
        """
        sentences = embedding.sentences
        if embedding is self.prepared.embedding:
            return self.prepared.table.whole.encoded
        if isinstance(sentences, EncoderPair):
            parts = (self._by(embedding, each) for each in (sentences.first, sentences.second))
            return EncoderPair.into(*map(self.read, parts))
        if sentences.graph_digest not in self._read:
            self._read[sentences.graph_digest] = self._read_now(embedding, np.arange(self.prepared.dataset.rows))
        return self._read[sentences.graph_digest]

    def _read_of(self, embedding: Embedding, rows: Ints) -> Encoded:
        """Some rows of the table; no others are read for them."""
        sentences = embedding.sentences
        if isinstance(sentences, EncoderPair):
            parts = (self._by(embedding, each) for each in (sentences.first, sentences.second))
            return EncoderPair.into(*(self._read_of(each, rows) for each in parts))
        if embedding is self.prepared.embedding or sentences.graph_digest in self._read:
            return self.read(embedding).take(rows)
        return self._read_now(embedding, rows)

    def _read_now(self, embedding: Embedding, rows: Ints) -> Encoded:
        """Rows of the table, in their order."""
        encoder = self.encoder.with_subwords(embedding.sentences.subwords)
        kept_free = 0.0 if self.finishing else FINISH_SHARE * self.deadline.seconds
        until = Deadline.until(self.deadline.ends_at - kept_free, self.deadline.clock)
        encoded = encoded_of(self.prepared.dataset.take(rows), encoder)
        found = embedded(embedding, encoded, ledger=self.fitter.ledger, deadline=until, watch=nobody)
        if found is None:
            raise NoTime("there was no time to read the texts again", hint="give more time")
        return without_tokens(found)

    def _by(self, embedding: Embedding, sentences: SentenceEncoder) -> Embedding:
        """Of two that read one row, one."""
        ours = self.prepared.embedding
        return ours if ours is not None and ours.sentences is sentences else replace(embedding, sentences=sentences)

    def some_texts(self, subwords: Subwords, count: int = SOME_ROWS) -> Encoded:
        """A few rows that certify nothing, with their tokens."""
        found = self.prepared.dataset.take(self.some(count))
        return encoded_of(found, self.encoder.with_subwords(subwords))

    def reads_alike(self, embedding: Embedding, other: Embedding, *, but: Ints) -> None:
        """Of two that give each row of the table `but` these the same vectors, only the other reads all of them.

        Raises `NoTime`.
        """
        digest = embedding.sentences.graph_digest
        if digest not in self._read:
            alike = self.read(other)
            own = self._read_now(embedding, but) if len(but) else None
            self._read[digest] = alike if own is None else alike.with_vectors(but, own)

    def part(self, member: Member, fold: int) -> Pipeline:
        """A member as it was fitted without the rows of a fold; fitted again on all rows for `ALL`.

        Raises `NoTime`.
        """
        self.asked[member.name] = member
        unit = member.refit if fold == ALL else member.units[fold]
        if fold == ALL and not is_whole(unit, self.fitter.table, self.fitter.ledger):
            ends_at = max(self.deadline.ends_at, self.fit_deadline().ends_at)
            if not self.plan.refit([member], ends_at):
                raise NoTime(f"there was no time to fit {member.name} on all rows", hint="give more time")
        return self.fitter.pipeline(unit)

    def refit_seconds(self, members: Iterable[Member]) -> float:
        """About how long it takes to fit these again on all rows, of which some may be fitted so already."""
        return sum(
            each.seconds / max(len(each.units), 1)
            for each in members if not is_whole(each.refit, self.fitter.table, self.fitter.ledger)
        )  # fmt: skip

    def ensemble(self, parts: list[Part]) -> Ensemble:
        return Ensemble(self.task, self.encoder.layout.width, parts)

    def mixed(self, members: list[Member], weights: Floats, fold: int) -> Pipeline:
        """These members together, one fit of each."""
        if len(members) == 1:
            return self.part(members[0], fold)
        pairs = zip(members, weights / weights.sum(), strict=True)
        return self.ensemble([Part(float(weight), self.part(member, fold)) for member, weight in pairs])

    def teacher(self, fold: int) -> Teacher:
        """The whole parent as it knew no row of the fold, which of an imported one nobody knows; for `ALL` as it
        was published."""
        if self.parent.imported:
            return Served(self.parent.runtime)
        if self.base is not None:
            return self.base.at(fold).pipeline
        return self.whole(fold)

    def whole(self, fold: int) -> Pipeline:
        """All members of a parent that was trained here, without the rows of a fold; for `ALL` as they were published,
        with the fits of all folds."""
        if fold != ALL:
            asked, self.asked = self.asked, {}  # for ALL none of them is fitted again
            mixture, self.asked = self.mixed(list(self.members), self.weights, fold), asked
            return mixture
        sizes = {each.name: each.size_bytes for each in self.parent.manifest.leaderboard}
        graph_bytes = [sizes[each.name] for each in self.members]
        table = self.prepared.table
        found = counts(self.members, self.weights, graph_bytes, table, self.refitted)
        parts = [
            part
            for member, weight, count in zip(self.members, self.weights, found, strict=True)
            for part in parts_of(member, self.fitter, table, count, float(weight), self.refitted)
        ]
        return self.ensemble(parts)

    def parent_scores(self) -> Floats:
        """What the parent says of all rows that judge, out of fold where it was trained here: (rows, outputs)."""
        if self.parent.imported:
            return Served(self.parent.runtime).scores(self.encoded(self.prepared.table.judged))
        if self.base is not None:
            return self.base.scores(self)
        return mix(np.stack([each.scores for each in self.members]), self.weights)


def open_context(
    parent: Parent, prepared: Prepared, fitter: UnitFitter, plan: Plan, *, deadline: Deadline, stop: threading.Event
) -> Context:
    """With the parent's members; what training left is not fitted again. Raises `NoTime`."""
    if parent.imported:
        own = bool(parent.manifest.label_weights)
        return Context(parent, prepared, fitter, plan, deadline, (), np.zeros(0), parent.recipe.seed, keeps_labels=own)
    found: dict[str, Member] = {}
    weights = parent.weights

    def take(each: Member) -> bool:
        found[each.name] = each
        return not stop.is_set()

    _forget_others(parent, fitter)
    before = deadline.seconds - deadline.left
    plan.as_left = True
    plan.run((each for each in parent.configurations if each.name in weights), take)
    plan.as_left = False
    if missing := weights.keys() - found.keys():
        fits = sum(each.fit_seconds for each in parent.manifest.leaderboard if each.name in missing)
        raise NoTime(
            f"there was no time to fit `{min(missing)}` of {parent.ref} again", hint="give more time",
            enough=(before + fits / len(plan.workers.all)) / (1 - FINISH_SHARE),
        )  # fmt: skip
    names = sorted(weights, key=lambda name: -weights[name])
    members, held = tuple(found[name] for name in names), np.array([weights[name] for name in names])
    refitted = frozenset(each.name for each in members if is_whole(each.refit, fitter.table, fitter.ledger))
    return Context(parent, prepared, fitter, plan, deadline, members, held, parent.recipe.seed, refitted=refitted)


def _forget_others(parent: Parent, fitter: UnitFitter) -> None:
    """Of fits that time cut, those that a shorter run of the same rows left since: what the version is made of said
    what stands on its leaderboard, and others say something else."""
    table, ledger, weights = fitter.table, fitter.ledger, parent.weights
    said = {each.name: each.validation for each in parent.manifest.leaderboard}
    for each in parent.configurations:
        if each.name not in weights:
            continue
        units, cut = _left(each, parent.recipe.seed, fitter)
        if cut and len(units) == table.fold_count:
            scores = member_of(each, units, 0.0, table, ledger).scores
            found = judge(table.task, table.whole.y[table.judged], scores, seed=0)
            if (found.n, found.metric) == (said[each.name].n, said[each.name].metric) and isclose(
                found.value, said[each.name].value, rel_tol=1e-9
            ):
                continue
        for key in cut:
            ledger.drop(key)


def _left(configuration: Configuration, seed: int, fitter: UnitFitter) -> tuple[list[Unit], list[str]]:
    """Its fits that lie in the ledger, and the keys of those that time cut."""
    trial, cut = Trial(configuration, deque()), list[str]()
    for fold in range(fitter.table.fold_count):
        unit = trial.unit(fold, seed)
        key = unit.key(fitter.table.digest)
        if (entry := fitter.ledger.get(key)) is None:
            continue
        trial.done[fold] = unit
        trial.share(entry.settings)
        cut += [key] if entry.cut else []
    return list(trial.done.values()), cut
