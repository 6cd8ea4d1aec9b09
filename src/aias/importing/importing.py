"""A foreign file and rows like those it reads → a model that is proved, measured and ready to be published.

recognise   by its first bytes: what could run code is never opened
read        in a process apart
match       its inputs with the columns of the rows
write       its graph, still in that process
prove       by the library that made it, on the rows and on edge cases
measure     where the rows hold the answers
"""

import datetime as dt
import importlib.metadata
import platform
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import numpy as np

from aias.artifact.encoder_tables import encoder_entries, encoder_tables
from aias.artifact.manifest import FORMAT, Lineage, Manifest, Parity
from aias.core.deadline import Deadline
from aias.core.errors import BadValue, Damaged, UserError
from aias.core.evenly import evenly
from aias.core.events import Event, Watch
from aias.core.limits import CATEGORIES_MAX, CLASSES_MAX
from aias.core.quantities import counted
from aias.core.schema import Field, Schema
from aias.core.suggestions import choices
from aias.core.task import DEFAULT_METRIC, METRICS, Task, TaskType, is_metric, tasks_of
from aias.data.dataset import Dataset
from aias.data.errors import BadTarget
from aias.data.read import read
from aias.data.target import labels_for
from aias.encoders.category import text_of
from aias.graph.edge_cases import edge_case_rows
from aias.importing.formats.contract import Description, Plan, UnfitModel
from aias.importing.matching import Matched, matched
from aias.importing.process import BY_ROWS
from aias.importing.proof import NotProved, merged, prove
from aias.importing.recognise import recognised
from aias.importing.sandbox import Sandbox
from aias.runtimes.latency import median_us
from aias.runtimes.onnxruntime import OnnxRuntime
from aias.training.finish import Trained, described
from aias.training.history import History
from aias.training.prepare import encoded_of
from aias.training.profile import profile
from aias.training.scoring import metrics
from aias.training.scoring.report import Judged, at_once, noting, report

PROVED_ROWS_MAX: Final = 1_000
"""Of those that were given; beside them stand up to 600 edge cases."""

REPORT_SECONDS: Final = 6.0

ROUNDING: Final = 1e-6
"""By which shares that were added up in float32 may lie below 0 and still be probabilities."""

LIBRARIES: Final = ("aias", "numpy", "onnx", "onnxruntime")

Scores = Literal["probabilities", "logits"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What whoever imports says beyond the file. `target`: the column of the rows that holds the true answers;
    `metric`: what judges it, there and when it is compressed; `encoding`: what the text of the rows is in."""

    name: str
    target: str | None = None
    columns: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    scores: Scores | None = None
    metric: str | None = None
    encoding: str | None = None


def import_model(path: Path, like: Any, asked: Asked, *, watch: Watch) -> Trained:
    """Raises `UnreadableModel`, `UnsafeModel`, `UnfitModel`, `NotProved`, and what reading the rows raises."""
    form, digest = recognised(path)
    found = read(like, target=asked.target, encoding=asked.encoding, watch=watch)
    with Sandbox() as box:
        shown = _shown(_as_written(found, like, asked), asked.target, asked.columns) if form in BY_ROWS else []
        description = box.read(form, path, shown)
        watch(Event("import.read", _told(description), facts=msgspec.to_builtins(description)))
        for note in description.notes:
            watch(Event("import.note", note, "warning"))
        match = matched(description, found.schema, target=asked.target, columns=asked.columns)
        if not match.by_name:
            message = f"its inputs are matched with the columns by their order: {', '.join(_pairs(match))}"
            watch(Event("import.matched", message, facts={"columns": [each.name for each in match.fields]}))
        job = _Job(path, digest, description, match, asked, found.schema, watch)
        rows = job.rows(like)
        return job.run(box, rows)


@dataclass(frozen=True, eq=False)
class _Job:
    path: Path
    digest: str
    description: Description
    match: Matched
    asked: Asked
    found: Schema
    watch: Watch

    def rows(self, like: Any) -> Dataset:
        """Read again as the model reads them, with the answers where there are any."""
        try:
            rows = read(like, schema=Schema((*self.match.fields, *self._answers())), encoding=self.asked.encoding)
        except BadValue as fault:
            if fault.field != self.asked.target:
                raise
            raise self._no_labels() from None
        if not rows.rows:
            raise UserError("there are no rows to prove the model on", hint="give at least one row that it can answer")
        return rows

    def run(self, box: Sandbox, rows: Dataset) -> Trained:
        plan = self._plan(box, rows)
        draft = self._draft(plan, rows)
        encoder = self.match.encoder(draft.task.target)
        entries, files = encoder_tables(encoder_entries(encoder), encoder)
        draft, files["model.onnx"] = replace(draft, encoders=entries), box.write(plan)
        try:
            runtime = OnnxRuntime.from_files(files, draft)
        except Damaged as fault:
            raise NotProved(f"the graph that was made of it does not run: {fault.message}"[:300]) from None
        usual = rows.frame.select([each.name for each in draft.inputs]).to_dicts()
        proof = self._proved(box, plan, runtime, usual)
        manifest = replace(draft, parity=proof, row_us=round(median_us(runtime, usual), 1))
        files["profile.json"] = msgspec.json.encode(profile(rows))
        trained = Trained(manifest, files, runtime)
        return described(trained, manifest) if self.asked.target is None else self._measured(trained, rows)

    def _plan(self, box: Sandbox, rows: Dataset) -> Plan:
        """The task: what the file says, then what was said of it, then what the answers in the rows are."""
        said, classes = self.description, tuple(map(text_of, self.asked.classes or self.description.classes))
        if said.format != "ONNX" and self.asked.scores == "logits":
            raise UserError(
                f"a model of {said.format} says itself how its sums become its answers; "
                "`--scores`, or `scores=`, is for graphs",
                hint="leave it out; of sums by an objective of its own, convert the model to ONNX and import that",
            )
        kind: TaskType | Literal[""] = said.task
        if not kind:
            kind = self._guessed(len(classes), rows)
        if kind == "regression":
            if self.asked.classes:
                raise UserError(
                    "classes were named, and the model gives a number", hint="leave out `--classes`, or `classes=`"
                )
            if self.asked.scores is not None:
                raise UserError(
                    f"`{self.asked.scores}` is said of scores of classes, and the model gives a number",
                    hint="leave it out; if the number is a score of the second of two classes: `--classes no,yes`, or "
                    '`classes=["no", "yes"]`',
                )
            return Plan("regression", ())
        outputs = max(2, said.outputs)
        classes = classes or tuple(map(str, range(outputs)))
        if twice := [name for name in dict.fromkeys(classes) if classes.count(name) > 1]:
            raise UserError(f"the class `{twice[0]}` is named twice", hint="each class has a name of its own")
        if len(classes) != outputs or outputs > CLASSES_MAX:
            raise UserError(
                f"the model tells {outputs} classes apart; {len(classes)} are named: {', '.join(classes[:10])}",
                hint='name each of them, in the model\'s order: `--classes a,b,c`, or `classes=["a", "b", "c"]`',
            )
        scores = self.asked.scores or "probabilities"
        weights = said.label_weights if scores == "probabilities" else ()
        plan = Plan("binary" if outputs == 2 else "multiclass", classes, scores, weights)
        if said.format == "ONNX":
            self._check_scores(box, plan, rows)
        return plan

    def _guessed(self, named: int, rows: Dataset) -> TaskType:
        """Of a graph that gives numbers and says no more."""
        outputs = self.description.outputs
        if outputs > 1:
            return "binary" if outputs == 2 else "multiclass"
        if named:
            return "binary"
        if self.asked.target is None:
            return "regression"
        if self.found[self.asked.target].kind != "number":
            raise self._no_labels()
        if set(np.asarray(rows.values(self.asked.target)).tolist()) <= {0.0, 1.0}:
            message = (
                f"`{self.asked.target}` is 0 or 1 in every row: if the model gives the probability of 1, import it "
                "with `--classes 0,1`, or `classes=[0, 1]`"
            )
            self.watch(Event("import.doubt", message, "warning"))
        return "regression"

    def _no_labels(self) -> UserError:
        said = (
            "if it is the probability of the second of two classes, name both: `--classes no,yes`, or "
            '`classes=["no", "yes"]`'
        )
        return UserError(
            f"the model gives one number a row, and `{self.asked.target}` holds labels",
            hint=said if not self.description.task else
            "train it for classes, by an objective that says so; of sums by one of its own, convert the model to ONNX, "
            'and import that with `--classes no,yes --scores logits`, or `classes=["no", "yes"], scores="logits"`',
        )  # fmt: skip

    def _check_scores(self, box: Sandbox, plan: Plan, rows: Dataset) -> None:
        encoded = self.match.encoder("").columns(
            {each.name: rows.values(each.name)[:PROVED_ROWS_MAX] for each in self.match.fields},
            min(rows.rows, PROVED_ROWS_MAX),
        )  # fmt: skip
        as_given = msgspec.structs.replace(plan, scores="probabilities")
        scores, _ = box.answer(self.match.values(encoded.columns), as_given)
        scores = scores[~np.isnan(scores).any(axis=1)]
        if plan.scores == "logits":
            if len(plan.classes) == 2 and scores.any() and not scores.sum(axis=1).any():
                message = (
                    "its two scores are -z and z, as scikit-learn writes a single one: the softmax of both is the "
                    "sigmoid of 2z, which is surer; export it with probabilities if it has some"
                )
                self.watch(Event("import.doubt", message, "warning"))
            return
        good = (scores >= -ROUNDING).all() and (np.abs(scores.sum(axis=1) - 1) < 1e-3).all()
        if not good:
            raise UserError(
                f"what it gives for {len(plan.classes)} classes are no probabilities: from {scores.min():.3g} to "
                f"{scores.max():.3g}, of sum {scores.sum(axis=1).min():.3g} to {scores.sum(axis=1).max():.3g}",
                hint='say `--scores logits`, or `scores="logits"`, when a softmax, or of two classes a sigmoid, '
                "makes probabilities of them; several amounts a row are no classes, and are not imported",
            )

    def _proved(self, box: Sandbox, plan: Plan, runtime: OnnxRuntime, usual: list[dict[str, object]]) -> Parity:
        some = [usual[at] for at in evenly(len(usual), PROVED_ROWS_MAX)]
        first, gaps = prove(box, plan, self.match, runtime, some)
        if gaps == first.rows:
            raise NotProved(
                f"the model has no answer (NaN) for any of the {gaps:,} given rows, so nothing can be compared",
                hint="nothing was published; give rows without missing values, if it takes none",
            )
        edge_cases = edge_case_rows(runtime.manifest.inputs, usual[:50])
        second, edge_case_gaps = prove(box, plan, self.match, runtime, edge_cases)
        proof = merged(first, second)
        where = ", ".join(f"{name} {version}" for name, version in self.description.libraries.items())
        message = f"the graph answers as {where} on {proof.rows:,} given and difficult rows"
        self.watch(Event("import.proved", message, facts=msgspec.to_builtins(proof)))
        if gaps or edge_case_gaps:
            lacking = [f"{gaps:,} of {first.rows:,} given rows"] if gaps else []
            if edge_case_gaps:
                lacking.append(f"{edge_case_gaps} of {second.rows:,} difficult ones, such as those with missing values")
            message = f"the model has no answer (NaN) for {' and '.join(lacking)}; nor has the version"
            self.watch(Event("import.no-answer", message, "warning", {"given": gaps, "nasty": edge_case_gaps}))
        return proof

    def _measured(self, trained: Trained, rows: Dataset) -> Trained:
        """How good it is on the rows that were given; whether it was fitted on them, nobody here knows."""
        task = trained.manifest.task
        try:
            labels = labels_for(rows, task)
        except BadTarget as fault:
            hint = f"{fault.hint}; `--classes a,b`, or `classes=`, names them as the rows do, in the model's order"
            raise BadTarget(fault.message, hint=hint) from None
        for note in labels.notes:
            self.watch(note)
        rows = rows.take(labels.kept)
        encoded, answer = encoded_of(rows, trained.runtime.encoder), at_once(trained.runtime.run)
        scores = answer(encoded, np.arange(rows.rows))
        sound = np.isfinite(scores).all(axis=1)
        if not sound.any():
            raise UserError(
                f"the model has no answer (NaN, or infinite) for any of the {rows.rows:,} rows that hold "
                f"`{task.target}`",
                hint="give others, or leave out the target: then nothing is measured",
            )
        if not sound.all():
            kept = np.flatnonzero(sound)
            said = f"{rows.rows - len(kept):,} rows are not measured on: the answer to them is NaN, or infinite"
            self.watch(Event("import.not-measured", said, "warning"))
            rows, encoded, scores = rows.take(kept), encoded.take(kept), scores[kept]
        y = labels.y[sound]
        weights = trained.manifest.label_weights or None
        measured = metrics.report(task, y, scores, seed=0, watch=self.watch, label_weights=weights)
        self._doubt(task, y, scores)
        left_out: list[str] = []
        files = report(
            task, Judged(rows, encoded, y, scores, answer, label_weights=weights), trained.runtime.encoder,
            measured=measured, history=History(self.watch), best="", deadline=Deadline.after(REPORT_SECONDS), seed=0,
            watch=noting(self.watch, left_out),
        )  # fmt: skip
        manifest = replace(
            trained.manifest, measurements=measured, judged="given", rows={"given": rows.rows},
            notes=(*trained.manifest.notes, *left_out),
        )  # fmt: skip
        return described(replace(trained, files=trained.files | files), manifest)

    def _doubt(self, task: Task, y: Any, scores: Any) -> None:
        if not task.classes or not len(y):
            return
        right, usual = float((scores.argmax(axis=1) == y).mean()), np.bincount(y).max() / len(y)
        if right < 0.8 * usual:
            message = (
                f"it is right on {100 * right:.0f} % of the rows, and the commonest class on {100 * usual:.0f} %: are "
                f"the classes {', '.join(task.classes[:10])} in the model's order, and the columns?"
            )
            self.watch(Event("import.doubt", message, "warning", {"accuracy": right}))

    def _metric(self, plan: Plan) -> str:
        metric = self.asked.metric or self.description.metric or DEFAULT_METRIC[plan.task]
        if not is_metric(metric) or plan.task not in tasks_of(metric):
            known = choices(metric, (name for name, (_, kinds) in METRICS.items() if plan.task in kinds))
            raise UserError(f"`{metric}` does not judge a {plan.task} model", hint=known)
        return metric

    def _answers(self) -> tuple[Field, ...]:
        """The target's field, where the rows hold it."""
        if self.asked.target is None:
            return ()
        field = self.found[self.asked.target]
        number = self.description.task == "regression"
        return (replace(field, role="target", kind="number" if number else field.kind),)

    def _draft(self, plan: Plan, rows: Dataset) -> Manifest:
        known = {*self.found.names, *(each.name for each in self.match.fields)}
        target = self.asked.target or _fresh("prediction" if plan.task == "regression" else "class", known)
        task = Task(target, plan.task, self._metric(plan), plan.classes)
        kind: Literal["number", "category"] = "number" if plan.task == "regression" else "category"
        fields = self.match.fields
        said = self.description
        settings: dict[str, object] = {
            "file": self.path.name, "sha256": self.digest, "format": said.format, "trees": said.trees,
            **msgspec.to_builtins(self.asked), "scores": plan.scores,
        }  # fmt: skip
        libraries = said.libraries | {name: importlib.metadata.version(name) for name in LIBRARIES}
        lineage = Lineage(
            "import", rows.digest, settings, 0, libraries=libraries | {"python": platform.python_version()},
            started_at=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        )  # fmt: skip
        answers = self._answers()
        return Manifest(
            FORMAT, self.asked.name, task, fields, self.match.ignored, (), lineage, (), Parity(0, 0, 0.0, 0.0), (),
            {"given": rows.rows}, target=answers[0] if answers else Field(target, kind, role="target"),
            form="imported", judged="given", label_weights=plan.label_weights,
        )  # fmt: skip


def _as_written(rows: Dataset, like: Any, asked: Asked) -> Dataset:
    """Times and numbers as the texts that they are: if the model tells them apart as categories, they are read so."""
    fields = tuple(
        replace(each, kind="category", format=None, unit=None)
        if each.name != asked.target and each.kind in {"time", "number"} else each
        for each in rows.schema
    )  # fmt: skip
    return rows if fields == rows.schema.fields else read(like, schema=Schema(fields), encoding=asked.encoding)


def _shown(rows: Dataset, target: str | None, columns: Sequence[str]) -> list[tuple[str, list[list[str]]]]:
    """The different texts of each column but the target, in the model's order where it was named, and in what ways they
    are written."""
    names = columns or [name for name in rows.schema.names if name != target]
    found = []
    for name in names:
        ways: dict[str, dict[str, None]] = {"": dict.fromkeys(rows.schema[name].missing)}
        for each in rows.values(name):
            if text := text_of(each):
                ways.setdefault(text, {}).update({each: None} if isinstance(each, str) else {})
        found.append((name, [[text, *ways[text]] for text in sorted(ways)] if len(ways) <= CATEGORIES_MAX else []))
    return found


def _told(said: Description) -> str:
    trees = f" of {said.trees:,} trees" if said.trees else ""
    answer = f"{said.outputs} classes" if said.outputs > 1 else "one number"
    return f"a model of {said.format}{trees}: {counted(len(said.inputs), 'column')} in, {answer} out"


def _pairs(match: Matched) -> Sequence[str]:
    found = [f"{each.name} = {field.name}" for each, field in zip(match.inputs, match.fields, strict=True)]
    return found if len(found) <= 8 else [*found[:7], f"and {len(found) - 7} more"]


def _fresh(name: str, known: set[str]) -> str:
    while name in known:
        name += "_"
    return name


__all__ = ["Asked", "UnfitModel", "import_model"]
