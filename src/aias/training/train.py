"""From a dataset to an artifact's files: split, fit, choose, fit again on more rows, compile, prove, measure."""

import datetime as dt
import importlib.metadata
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec
import numpy as np

from aias.artifact.card import card
from aias.artifact.manifest import FORMAT, Candidate, EncoderEntry, Lineage, Manifest, Parity
from aias.core.catalog import members
from aias.core.deadline import Deadline
from aias.core.errors import NotFound, UserError
from aias.core.events import Event, Watch, nobody
from aias.core.failpoints import failpoint
from aias.core.schema import Field, Schema
from aias.core.task import METRICS, Measurement, Task
from aias.data.check import findings
from aias.data.dataset import Dataset
from aias.data.split import Split, split
from aias.data.target import Labels, task_for
from aias.encoders.rows import RowEncoder
from aias.graph.compile import compile_graph
from aias.graph.nasty import nasty_rows
from aias.graph.parity import prove
from aias.learners.contract import Fit
from aias.runtimes.onnxruntime import OnnxRuntime
from aias.training import metrics
from aias.training.pipeline import LinearPipeline, Part, Pipeline, TreesPipeline
from aias.training.profile import profile

PARITY_ROWS_MAX: Final = 2_000
CANDIDATE_SHARE: Final = 0.35
LAST_SHARE: Final = 0.5
REFIT_SHARE: Final = 0.8
"""Parts of the time that is left which fitting may take; the rest is for compiling, the proof and the test."""

TOO_GOOD: Final = {"roc_auc": 0.998, "r2": 0.9995}
"""Beyond this a column more often knows the answer than predicts it."""

_TOO_GOOD_ADVICE: Final = (
    "almost perfect on rows never seen: if that surprises you, look for columns that are only known after the answer "
    "and set their role to ignored (`aias data check FILE --target COLUMN --save schema.yaml`)"
)

LIBRARIES: Final = ("aias", "lightgbm", "numpy", "onnx", "onnxruntime", "polars", "scipy")

PIPELINES: Final[dict[str, Any]] = {"linear": LinearPipeline, "boosted_trees": TreesPipeline}


@dataclass(frozen=True, slots=True)
class Recipe:
    """What was asked for. With the same dataset and recipe, training can be run again."""

    target: str
    name: str
    metric: str | None = None
    seconds: float = 60.0
    split: str = "random"
    fractions: tuple[float, float, float] = (0.64, 0.16, 0.20)
    seed: int = 0
    learners: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Trained:
    """A model that is proved and ready to be published: its manifest and its files by path."""

    manifest: Manifest
    files: dict[str, bytes]
    runtime: OnnxRuntime = field(repr=False)


def train(dataset: Dataset, recipe: Recipe, *, deadline: Deadline | None = None, watch: Watch = nobody) -> Trained:
    """`deadline`: when the time is up, if that is earlier than `recipe.seconds` from now.

    Raises `UserError` when the data cannot be learned from, and `ParityBroken` when no graph could be proved.
    """
    _check(recipe)
    deadline = deadline or Deadline.after(recipe.seconds)
    job = _Job.prepare(dataset, recipe, deadline=deadline, watch=watch)
    found = [job.candidate(name) for name in job.learners()]
    best = max(found, key=_goodness)
    watch(Event("train.chosen", f"{best.name} is best on validation", facts={"learner": best.name}))
    final = job.refit(best)
    return job.finish(final, found)


@dataclass(frozen=True, slots=True)
class _Found:
    """A fitted candidate and its score on the validation rows."""

    name: str
    pipeline: Pipeline
    encoder: RowEncoder
    validation: Measurement
    seconds: float


@dataclass(frozen=True, slots=True)
class _Job:
    dataset: Dataset
    recipe: Recipe
    task: Task
    labels: Labels
    parts: Split
    inputs: tuple[Field, ...]
    encoder: RowEncoder
    train: Part
    valid: Part
    deadline: Deadline
    watch: Watch
    started_at: str

    @classmethod
    def prepare(cls, dataset: Dataset, recipe: Recipe, *, deadline: Deadline, watch: Watch) -> "_Job":
        dataset = _aside(dataset, recipe)
        labels = task_for(dataset, recipe.target, recipe.metric)
        for note in labels.notes:
            watch(note)
        dataset = dataset.take(labels.kept)
        if not dataset.schema.inputs:
            raise UserError("no column is left to learn from", hint="`aias data check` says why each was set aside")
        for finding in findings(dataset, labels.y, labels.task):
            watch(finding)
        parts = split(
            dataset, labels.y, task=labels.task, how=recipe.split, fractions=recipe.fractions, seed=recipe.seed
        )
        sizes = {"train": len(parts.train), "validation": len(parts.validation), "test": len(parts.test)}
        watch(Event("train.split", parts.reason, facts=dict(sizes)))
        encoder = _fit_encoder(dataset, parts.train, recipe.target)
        return cls(
            dataset, recipe, labels.task, labels, parts, dataset.schema.inputs, encoder,
            _part(dataset, labels, encoder, parts.train), _part(dataset, labels, encoder, parts.validation),
            deadline, watch, dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        )  # fmt: skip

    def learners(self) -> tuple[str, ...]:
        """The learners that can say something about these columns."""
        chosen = self.recipe.learners or tuple(PIPELINES)
        return tuple(name for name in chosen if name != "boosted_trees" or self.encoder.layout.width) or chosen[:1]

    def candidate(self, name: str) -> _Found:
        """Fit one learner on the training rows and score it on the validation rows."""
        began = self.deadline.clock()
        last = name == self.learners()[-1]
        how = self._how(self.deadline.share(LAST_SHARE if last else CANDIDATE_SHARE))
        pipeline = PIPELINES[name].fit(self.train, self.valid, how, encoder=self.encoder)
        scores = pipeline.scores(self.valid.encoded)
        scored = metrics.judge(self.task, self.valid.y, scores, seed=self.recipe.seed)
        found = _Found(name, pipeline, self.encoder, scored, self.deadline.clock() - began)
        facts: dict[str, object] = {
            "learner": name, "metric": scored.metric, "validation": scored.value, "rows": self.train.encoded.rows,
            "fit_seconds": found.seconds, "seconds_left": self.deadline.left,
        }  # fmt: skip
        failpoint("train.after_candidate")
        self.watch(Event("train.candidate", f"{name}: {scored.metric} {scored.value:.4f}", facts=facts))
        return found

    def refit(self, best: _Found) -> _Found:
        """The same settings on training and validation rows together, when the time allows."""
        if self.deadline.left < 1.5 * best.seconds:
            self.watch(Event("train.refit", "no time is left to fit again on the validation rows too", "warning"))
            return best
        rows = np.sort(np.concatenate([self.parts.train, self.parts.validation]))
        encoder = _fit_encoder(self.dataset, rows, self.recipe.target)
        part = _part(self.dataset, self.labels, encoder, rows)
        how = self._how(self.deadline.share(REFIT_SHARE), settings=dict(best.pipeline.settings))
        pipeline = PIPELINES[best.name].fit(part, None, how, encoder=encoder)
        self.watch(Event("train.refit", f"{best.name} fitted again on {len(rows):,} rows", facts={"rows": len(rows)}))
        return replace(best, pipeline=pipeline, encoder=encoder)

    def finish(self, final: _Found, found: Sequence[_Found]) -> Trained:
        """Compile, prove, measure once on the test rows, and describe."""
        tables = final.encoder.tables()
        paths = {name: f"encoders/{i}.json" for i, name in enumerate(tables)}
        files = {paths[name]: msgspec.json.encode(table) for name, table in tables.items()}
        files["model.onnx"] = compile_graph(final.pipeline, final.encoder.layout, classes=self.task.classes)
        failpoint("train.after_compile")
        files["profile.json"] = msgspec.json.encode(profile(self.dataset.take(self.parts.train)))
        manifest = self._manifest(final, found, paths)
        runtime = OnnxRuntime.from_files(files, manifest)
        proof = self._prove(final, runtime)
        failpoint("train.after_proof")
        measured = self._test(final)
        manifest = replace(manifest, parity=proof, measurements=measured)
        files["card.md"] = card(manifest, sizes={path: len(held) for path, held in files.items()}).encode()
        runtime.manifest = manifest
        return Trained(manifest, files, runtime)

    def _prove(self, final: _Found, runtime: OnnxRuntime) -> Parity:
        held_out = np.concatenate([self.parts.test, self.parts.validation])[:PARITY_ROWS_MAX]
        names = [field.name for field in self.inputs]
        usual = self.dataset.take(held_out).frame.select(names).to_dicts()
        rows = [*usual, *nasty_rows(self.inputs, usual[:50])]
        proof = prove(final.pipeline.scores, final.encoder, runtime, rows)
        self.watch(Event(
            "train.parity", f"the graph answers as the pipeline on {proof.rows:,} held-out and nasty rows",
            facts=msgspec.to_builtins(proof),
        ))  # fmt: skip
        return proof

    def _test(self, final: _Found) -> tuple[Measurement, ...]:
        if not len(self.parts.test):
            return ()
        part = _part(self.dataset, self.labels, final.encoder, self.parts.test)
        scores = final.pipeline.scores(part.encoded)
        measured = metrics.report(self.task, part.y, scores, seed=self.recipe.seed, watch=self.watch)
        for one in measured:
            self.watch(Event("train.test", describe(one), facts=msgspec.to_builtins(one)))
            if one.value >= TOO_GOOD.get(one.metric, np.inf):
                self.watch(Event("train.too-good", _TOO_GOOD_ADVICE, "warning", {"metric": one.metric}))
        return measured

    def _manifest(self, final: _Found, found: Sequence[_Found], paths: dict[str, str]) -> Manifest:
        task = self.task
        encoders = tuple(
            EncoderEntry(field.name, field.kind, final.encoder.encoders[field.name].version, paths[field.name])
            for field in self.inputs
        )
        ignored = tuple(field for field in self.dataset.schema if field.role == "ignored")
        board = tuple(
            Candidate(each.name, dict(each.pipeline.settings), each.validation, round(each.seconds, 3),
                      chosen=each.name == final.name)
            for each in sorted(found, key=_goodness, reverse=True)
        )  # fmt: skip
        rows = {"train": len(self.parts.train), "validation": len(self.parts.validation), "test": len(self.parts.test)}
        lineage = Lineage(
            "train", self.dataset.digest, msgspec.to_builtins(self.recipe), self.recipe.seed,
            libraries=_libraries(), started_at=self.started_at,
        )  # fmt: skip
        return Manifest(
            FORMAT, self.recipe.name, task, self.inputs, ignored, encoders, lineage, (), Parity(0, 0, 0.0, 0.0), board,
            rows, target=self.dataset.schema[self.recipe.target],
        )  # fmt: skip

    def _how(self, deadline: Deadline, *, settings: dict[str, Any] | None = None) -> Fit:
        def score(y: Any, scores: Any) -> float:
            return metrics.measure(self.task, y, scores).value

        return Fit(self.task, self.recipe.seed, deadline, _threads(), self.watch, settings or {}, score=score)


def describe(one: Measurement) -> str:
    """`roc_auc 0.9271 (0.9238 to 0.9305, 16,281 rows)`."""
    interval = f"{one.low:.4f} to {one.high:.4f}, " if one.low is not None and one.high is not None else ""
    return f"{one.metric} {one.value:.4f} ({interval}{one.n:,} rows)"


def _check(recipe: Recipe) -> None:
    if recipe.metric is not None and recipe.metric not in METRICS:
        raise UserError(f"there is no metric `{recipe.metric}`", hint=f"choose one of: {', '.join(METRICS)}")
    if not 0 < recipe.seconds <= 30 * 86_400:
        raise UserError(f"a time budget of {recipe.seconds:g} s cannot be kept", hint="between 1 s and 30 days")
    if not 0 <= recipe.seed < 2**31:
        raise UserError(f"{recipe.seed} cannot be a seed", hint="any whole number from 0 to 2147483647")
    unknown = [name for name in recipe.learners if name not in members("learners")]
    if unknown:
        raise NotFound(f"there is no learner `{unknown[0]}`", hint=f"choose from: {', '.join(members('learners'))}")


def _aside(dataset: Dataset, recipe: Recipe) -> Dataset:
    """The target marked, and the column of a group split taken out of the inputs."""
    schema = dataset.schema.with_target(recipe.target)
    how, _, column = recipe.split.partition(":")
    if how == "group":
        reason = "groups the rows: whole groups go to train, validation or test"
        schema = Schema(tuple(
            replace(each, role="ignored", reason=reason) if each.name == column else each for each in schema
        ))  # fmt: skip
    return dataset.with_schema(schema)


def _fit_encoder(dataset: Dataset, rows: Any, target: str) -> RowEncoder:
    part = dataset.take(rows)
    others = [each.name for each in dataset.schema if each.role == "ignored"] + [target]
    return RowEncoder.fit(dataset.schema.inputs, {each.name: part.values(each.name) for each in dataset.schema.inputs},
                          others=others)  # fmt: skip


def _part(dataset: Dataset, labels: Labels, encoder: RowEncoder, rows: Any) -> Part:
    part = dataset.take(rows)
    return Part(encoder.columns({each.name: part.values(each.name) for each in encoder.fields}, len(rows)),
                labels.y[rows])  # fmt: skip


def _goodness(found: _Found) -> float:
    direction, _ = METRICS[found.validation.metric]
    return found.validation.value if direction == "higher" else -found.validation.value


def _threads() -> int:
    """One core stays free: OpenMP with a thread on every core collapses beside any neighbour."""
    return max(1, len(os.sched_getaffinity(0)) - 1)


def _libraries() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in LIBRARIES} | {"python": platform.python_version()}
