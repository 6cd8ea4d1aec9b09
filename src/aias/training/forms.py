"""The two forms of a result, each compiled, proved and measured."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from time import perf_counter, thread_time
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from aias.artifact.encoder_tables import encoder_entries
from aias.artifact.manifest import FORMAT, Candidate, Lineage, Manifest, Parity
from aias.core.arrays import Floats, Ints
from aias.core.cpus import cpus
from aias.core.deadline import Deadline
from aias.core.events import Event, Level, nobody
from aias.core.task import LABEL_METRICS, Measurement
from aias.data.singletons import notes_on
from aias.encoders.rows import Encoded, RowEncoder
from aias.training.base_cost import BaseCost, base_cost
from aias.training.embedding import KnownRows, usual_seconds
from aias.training.ensemble import Ensemble, Part
from aias.training.finish import Timed, Trained, described, finished, timed
from aias.training.history import History
from aias.training.libraries import libraries_of
from aias.training.pipeline import Pipeline
from aias.training.prepare import Prepared, encoded_of
from aias.training.profile import profile
from aias.training.scoring import metrics
from aias.training.scoring.answering import Answering, Calibrated
from aias.training.scoring.cross_fitting import CrossFitted
from aias.training.scoring.report import Judged, OutOfFold, at_once, noting, report
from aias.training.selection.chance import tell_of_chance
from aias.training.selection.fits import counts, parts_of
from aias.training.selection.members import Member
from aias.training.text_reading import provable, timeable
from aias.training.unit import UnitFitter

if TYPE_CHECKING:
    from aias.training.selection.leaderboard import Leaderboard

TOO_GOOD: Final = {"roc_auc": 0.998, "r2": 0.9995}
"""Beyond this a column more often knows the answer than predicts it."""

_TOO_GOOD_ADVICE: Final = (
    "almost perfect on rows never seen; if that surprises you, look for columns that are only known after the answer "
    "and set their role to ignored (`aias data check FILE --target COLUMN --save schema.yaml`)"
)

F1_MIN: Final = 0.1
"""Below this a caller who looks at labels alone sees hardly any of the class."""

_RARELY: Final = (
    '`{}` is hardly ever answered, since it is rarely more likely than not: `--metric f1`, or `metric="f1"`, '
    "sets a threshold; or decide by its probability"
)

LATENCY_US: Final = 150.0
"""Of one row beyond reading it, which costs the same whatever the model: a request costs about as much besides."""

LATENCY_CALLS: Final = 8.0
"""The same on a machine on which this takes longer: times a call of the smallest model."""

SENTENCES_LATENCY_US: Final = 20_000.0
"""Where a sentence encoder was asked for, which takes milliseconds, and nothing was said of the latency."""

NEAR_ENOUGH: Final = 1.05
"""Times the latency: no measurement of microseconds is nearer than that."""

STRETCHED: Final = 2.0
"""The same where nobody asked for a latency, before a member is left out for it: one more doubling of it, that is."""

LOAD_ROWS: Final = 3
LOAD_SEEMS: Final = 1.5
"""So many times slower, by so many rows: others are asked, too, before it is believed."""

LOAD_SECONDS: Final = 0.3
"""What these may take."""


class Forms:
    def __init__(self, prepared: Prepared, fitter: UnitFitter, recipe: Any, *, watch: History) -> None:
        self.prepared, self.fitter, self.recipe, self.watch = prepared, fitter, recipe, watch
        self._load = 1.0
        self._last: Trained | None = None
        self._read: dict[bool, Encoded] = {}
        self._started_at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        if prepared.test.rows:  # what is asked of the others is asked now, since they are as large as the table
            self._digest, self._profile  # noqa: B018  kept from here on
            self.prepared = prepared.without_rows()
        names = [each.name for each in prepared.encoder.fields]
        timed = min(timeable(prepared.dataset, seconds=recipe.seconds), prepared.dataset.rows)
        self._usual = prepared.dataset.take(np.arange(timed)).frame.select(names)
        self._rows = self._usual.to_dicts()

    @cached_property
    def base(self) -> BaseCost:
        return base_cost(self.prepared.encoder, self._draft("", ()), self._rows)

    @property
    def beside(self) -> bool:
        """Whether the quality form is reported on while the serving form is made."""
        return cpus() > 1

    @property
    def latency_asked(self) -> bool:
        return self.recipe.latency_us is not None

    @property
    def latency_us(self) -> float:
        """What a row may take in the serving form."""
        if self.recipe.latency_us is not None:
            return float(self.recipe.latency_us)
        if self.prepared.embedding is not None:
            return SENTENCES_LATENCY_US
        return self.base.encode_us + max(LATENCY_US, LATENCY_CALLS * self.base.call_us)

    @property
    def shared_seconds(self) -> float:
        """What finishing a form takes besides when the sentence encoder goes into it, however many members read it."""
        embedding = self.prepared.embedding
        if embedding is None or self._known_rows is None:
            return 0.0
        return embedding.finish_seconds(
            alone_seconds=1e-6 * self._known_rows.row_us, test_rows=self.prepared.test.rows, load=self._load
        )

    def feel_load(self) -> None:
        """How many times slower than at first the sentence encoder is by now: the machine may have got other work."""
        embedding, known = self.prepared.embedding, self._known_rows
        if embedding is not None and known is not None:
            encoder, sentences = self.prepared.encoder, embedding.sentences
            for rows in (self._rows[:LOAD_ROWS], self._rows):
                seconds = usual_seconds(rows, encoder, sentences, most=LOAD_SECONDS)
                self._load = max(1.0, 1e6 * seconds / known.row_us)
                if self._load < LOAD_SEEMS:
                    break

    @cached_property
    def _known_rows(self) -> KnownRows | None:
        embedding = self.prepared.embedding
        return KnownRows.of(self._rows, self.prepared.encoder, embedding.sentences) if embedding else None

    def narrow(self, count: int) -> None:
        """Only the first `count` folds judge. Labels that no longer do are told of."""
        before, table = self.prepared.table, self.prepared.table.narrowed(count)
        rows = before.judged
        for note in notes_on(before.whole.y[rows], np.isin(rows, table.judged), table.task):
            self.watch(note)
        self.prepared = replace(self.prepared, table=table)

    def timed(self, member: Member) -> Timed:
        """A member as it would be served: one fit of it."""
        pipeline = self._ensemble([Part(1.0, self.fitter.pipeline(member.units[-1]))])
        known = self._known_rows
        self.feel_load()
        shared_bytes = self.prepared.embedding.sentences.size_bytes if self.prepared.embedding else 0
        draft = self._draft("", ())
        return timed(pipeline, self.prepared.encoder, draft, self._rows, known=known, shared_bytes=shared_bytes)

    def told_seconds(self, board: "Leaderboard", scores: Floats) -> float:
        """Of a processor, to calibrate a form that answers so out of fold, and to measure it."""
        began, (task, seed) = thread_time(), (self.prepared.task, self.recipe.seed)
        _, honest = Answering.fit(
            task, board.y, scores, board.folds, seed=seed, costs=self.prepared.table.class_costs, groups=board.groups,
            forward=board.forward,
        )  # fmt: skip
        metrics.report(task, board.y, honest.scores, seed=seed, watch=nobody, label_weights=honest.label_weights)
        return thread_time() - began

    def first(self, board: "Leaderboard") -> Trained:
        """The first member by itself, as one of its folds left it, without plots: while training goes on."""
        weights = np.eye(len(board.members))[0]
        parts = self._fits(board.members[0], 1, 1.0, set())
        trained, honest = self._form("first", parts, board, weights, board.members[0].scores)
        trained, _ = self._measured(trained, board, weights, honest)
        return described(trained, replace(trained.manifest, notes=tuple(self.watch.notes)))

    def quality(self, board: "Leaderboard", refitted: set[str]) -> tuple[Trained, Judged]:
        """Every member that helps, with the pipelines of all its folds and, where it was fitted again, with that;
        without its report, for which there may be time beside the serving form."""
        parts: list[Part] = []
        for member, weight, count in zip(board.members, board.weights, self.counts(board, refitted), strict=True):
            if count:
                parts += self._fits(member, count, float(weight), refitted)
        trained, honest = self._form("quality", parts, board, board.weights, board.honest(serving=False))
        return self._measured(trained, board, board.weights, honest)

    def counts(self, board: "Leaderboard", refitted: set[str]) -> list[int]:
        """How many fits of each member the quality form has."""
        sizes = [each.graph_bytes for each in board.timed]
        return counts(board.members, board.weights, sizes, self.prepared.table, refitted)

    def serving(self, board: "Leaderboard", fits: Mapping[int, int], refitted: set[str]) -> Trained:
        """The members that the latency allows, by their places, each as the mean of so many fits.

        When they are slower together than each by itself promised, there are fewer fits, then fewer members.
        """
        weights, honest = board.serving_weights(), board.honest(serving=True)
        if board.limit_us > board.latency_us:
            said = (
                f"the serving form may take {board.limit_us:.4g} µs a row: {board.latency_us:.4g} cost too much quality"
            )
            self.watch(Event("train.latency", said, facts={"limit_us": board.limit_us}))
        while True:
            begun = perf_counter()
            parts = [
                part
                for place, count in fits.items()
                for part in self._fits(board.members[place], count, float(weights[place]), refitted)
            ]
            again = [board.members[place].name for place in board.again() if place in fits]
            late = tuple(name for name in again if name not in refitted)
            trained, answers = self._form("serving", parts, board, weights, honest, late)
            over = trained.manifest.row_us / board.limit_us
            fewer = _fewer(fits, weights, over) if over > NEAR_ENOUGH else fits
            hurried = not board.latency_asked and board.deadline.left < 2 * (perf_counter() - begun)
            dear = not board.latency_asked and over <= STRETCHED and len(fewer) < len(fits)
            if fewer == fits or hurried or dear:
                if over > NEAR_ENOUGH:
                    why = "there is no time to make it smaller" if hurried else "nothing that was fitted answers faster"
                    if dear:
                        why = "a member less would cost quality"
                    message = f"the serving form takes {trained.manifest.row_us:g} µs, not {board.limit_us:.4g}: {why}"
                    level: Level = "info" if dear else "warning"
                    self.watch(Event("train.latency", message, level, {"row_us": trained.manifest.row_us}))
                trained, judged = self._measured(trained, board, weights, answers)
                self._tell_of_odd_scores(board, trained.manifest.measurements)
                return self.reported(trained, judged, board, weights, board.deadline)
            fits = fewer
            weights = np.where(np.isin(np.arange(len(weights)), list(fits)), weights, 0.0)
            weights = weights / weights.sum()

    def _fits(self, member: Member, count: int, weight: float, refitted: set[str]) -> list[Part]:
        return parts_of(member, self.fitter, self.prepared.table, count, weight, refitted)

    def _form(
        self, form: str, parts: list[Part], board: "Leaderboard", weights: Floats, scores: Floats,
        late: tuple[str, ...] = (),
    ) -> tuple[Trained, CrossFitted]:  # fmt: skip
        """Compiled, proved and timed; and what it answers out of fold."""
        pipeline: Pipeline = self._ensemble(parts)
        answering, honest = Answering.fit(
            self.prepared.task, board.y, scores, board.folds, seed=self.recipe.seed,
            costs=self.prepared.table.class_costs, groups=board.groups, forward=board.forward,
        )  # fmt: skip
        if answering.calibration:
            pipeline = Calibrated(pipeline, answering.calibration)
        draft = self._draft(form, self._leaderboard(board, weights))
        draft = _answering(replace(draft, not_refitted=late), answering)
        trained = finished(
            pipeline, self.prepared.encoder, draft, held_out=self.prepared.held_out, profile=self._profile,
            embedding=self.prepared.embedding, same=self._last, watch=self.watch,
            rows_max=provable(self.prepared.held_out, seconds=self.recipe.seconds),
        )  # fmt: skip
        self._last = trained
        return trained, honest

    def _measured(
        self, trained: Trained, board: "Leaderboard", weights: Floats, honest: CrossFitted
    ) -> tuple[Trained, Judged]:  # fmt: skip
        judged = self._judged(trained, board, weights, honest)
        where = "test" if self.prepared.test.rows else "out of fold"
        manifest = replace(trained.manifest, measurements=self._measure(trained, judged), judged=where)
        return described(trained, manifest), judged

    def _judged(self, trained: Trained, board: "Leaderboard", weights: Floats, honest: CrossFitted) -> Judged:
        """The test rows with the graph's scores; without any, the rows that were out of fold."""
        prepared, table = self.prepared, self.prepared.table
        if prepared.test.rows:
            encoded, answer = self._tested(trained.runtime.encoder), at_once(trained.runtime.run)
            scores = answer(encoded, np.arange(encoded.rows))
            lean = trained.manifest.label_weights or None
            return Judged(prepared.test, encoded, prepared.test_y, scores, answer, self._groups, lean)
        members = [(float(weight), each.units) for each, weight in zip(board.members, weights, strict=True)]
        folds = table.folds[table.judged].astype(np.int64)
        out_of_fold = OutOfFold(members, folds, self.fitter.pipeline, self._ensemble, board.deadline)
        encoded = table.whole.encoded.take(table.judged)
        return Judged(
            prepared.dataset.take(table.judged), encoded, board.y, honest.scores, out_of_fold, self._groups,
            honest.label_weights,
        )  # fmt: skip

    def _tested(self, encoder: RowEncoder) -> Encoded:
        """The test rows, read once for both forms where they hold texts, which takes longest."""
        tokens = encoder.subwords is not None
        if tokens not in self._read:
            self._read[tokens] = encoded_of(self.prepared.test, encoder)
        return self._read[tokens] if encoder.layout.texts else self._read.pop(tokens)

    def reported(
        self, trained: Trained, judged: Judged, board: "Leaderboard", weights: Floats, until: Deadline
    ) -> Trained:
        """With its plots, what its answers hang on, and what was noticed; the second only in time."""
        left_out: list[str] = []
        files = report(
            self.prepared.task, judged, self.prepared.encoder, measured=trained.manifest.measurements,
            history=self.watch, best=board.members[int(weights.argmax())].name, deadline=until,
            seed=self.recipe.seed, watch=noting(self.watch, left_out),
        )  # fmt: skip
        manifest = replace(trained.manifest, notes=(*self.watch.notes, *left_out))
        return described(replace(trained, files=trained.files | files), manifest)

    @property
    def _groups(self) -> Ints | None:
        """Of the rows that a form is measured on."""
        if not self.prepared.test.rows:
            return self.prepared.table.judged_clusters
        return self.prepared.test_clusters

    def _measure(self, trained: Trained, judged: Judged) -> tuple[Measurement, ...]:
        measured = metrics.report(
            self.prepared.task, judged.y, judged.scores, seed=self.recipe.seed, watch=self.watch,
            label_weights=judged.label_weights, groups=self._groups,
        )  # fmt: skip
        for one in measured:
            facts = {"form": trained.manifest.form, **msgspec.to_builtins(one)}
            level: Level = "info" if one.metric == self.prepared.task.metric else "debug"
            self.watch(Event("train.test", f"{trained.manifest.form}: {_described(one)}", level, facts))
            rare = one.metric == "f1" and one.value < F1_MIN and self.prepared.task.metric not in LABEL_METRICS
            if rare and (advice := _RARELY.format(self.prepared.task.classes[1])) not in self.watch.notes:
                self.watch(Event("train.rarely", advice, "warning", {"f1": one.value}))
        return measured

    def _tell_of_odd_scores(self, board: "Leaderboard", measured: Sequence[Measurement]) -> None:
        """Of what is hardly better than chance, and else of what is too good to be true."""
        if tell_of_chance(board.task, board.y, self.prepared.table.whole.y, measured, watch=self.watch):
            return
        for one in measured:
            if one.value >= TOO_GOOD.get(one.metric, np.inf):
                advice = f"{_described(one)}: {_TOO_GOOD_ADVICE}"
                self.watch(Event("train.too-good", advice, "warning", {"metric": one.metric}))

    def _ensemble(self, parts: list[Part]) -> Ensemble:
        return Ensemble(self.prepared.task, self.prepared.encoder.layout.width, parts)

    def _leaderboard(self, board: "Leaderboard", weights: Floats) -> tuple[Candidate, ...]:
        lines = [
            Candidate(
                member.configuration.learner, dict(member.refit.configuration.settings), score,
                round(member.seconds, 3), chosen=bool(weight > 0), name=member.name, weight=round(float(weight), 4),
                row_us=round(timed.row_us, 1), size_bytes=timed.graph_bytes,
                asked=dict(member.configuration.settings), derived=member.configuration.derived,
                features=member.configuration.features,
            )
            for member, score, timed, weight in zip(board.members, board.scores, board.timed, weights, strict=True)
        ]  # fmt: skip
        higher = self.prepared.task.direction == "higher"
        return tuple(sorted(lines, key=lambda line: line.validation.value, reverse=higher))

    def _draft(self, form: str, leaderboard: tuple[Candidate, ...]) -> Manifest:
        """The manifest before anything was proved or measured."""
        prepared, encoder = self.prepared, self.prepared.encoder
        schema = prepared.dataset.schema
        lineage = Lineage(
            "train", self._digest, msgspec.to_builtins(self.recipe), self.recipe.seed,
            libraries=libraries_of(leaderboard), started_at=self._started_at,
            sentence_encoder=prepared.embedding.sentences.digest if prepared.embedding else "",
        )  # fmt: skip
        rows = {"train": prepared.table.rows, **prepared.table.counts, "test": prepared.test.rows}
        ignored = tuple(each for each in schema if each.role == "ignored")
        return Manifest(
            FORMAT, self.recipe.name, prepared.task, encoder.fields, ignored, encoder_entries(encoder), lineage, (),
            Parity(0, 0, 0.0, 0.0), leaderboard, rows, target=schema[self.recipe.target], form=form,
        )  # fmt: skip

    @cached_property
    def _digest(self) -> str:
        return self.prepared.dataset.digest

    @cached_property
    def _profile(self) -> bytes:
        return msgspec.json.encode(profile(self.prepared.dataset))


def _fewer(fits: Mapping[int, int], weights: Floats, over: float) -> dict[int, int]:
    """Of fits that take `over` times too long: fewer of each member; where that does not help, not the least one."""
    shrunk = {place: max(1, int(count / over)) for place, count in fits.items()}
    if shrunk != fits or len(fits) == 1:
        return shrunk
    least = min(fits, key=lambda place: weights[place])
    return {place: count for place, count in fits.items() if place != least}


def _described(one: Measurement) -> str:
    interval = f"{one.interval}, " if one.interval else ""
    return f"{one.metric} {one.written} ({interval}{one.n:,} rows)"


def _answering(draft: Manifest, answering: Answering) -> Manifest:
    """The manifest with what is done to scores before they are answered."""
    calibration, intervals = answering.calibration, answering.intervals
    return replace(
        draft, calibration=calibration.as_dict() if calibration else None,
        label_weights=answering.label_weights or (), intervals=intervals.as_dict() if intervals else None,
    )  # fmt: skip
