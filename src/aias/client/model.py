"""`aias.load`, `aias.models` and `Model`: a published version of a model."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from aias.artifact.manifest import Manifest
from aias.client.compress import compress
from aias.client.explain import Explained, explained, read_profile
from aias.client.export import export_folder
from aias.client.leaderboard import Leaderboard
from aias.client.optimize import optimize
from aias.core.errors import BadValue, UserError
from aias.core.events import Event, Watch, logged
from aias.core.names import Ref, check_endpoint
from aias.core.nested import flat
from aias.core.schema import Field
from aias.core.settings import home_at
from aias.core.task import Measurement, Task
from aias.registry.registry import Registry
from aias.registry.rollout.trial import beside
from aias.registry.values import Endpoint, Version
from aias.runtimes.contract import Answers
from aias.runtimes.onnxruntime import OnnxRuntime

if TYPE_CHECKING:
    from aias.compress.frontier import Frontier


def publish(registry: Registry, results: Any, *, watch: Watch) -> "Model":
    """Publish both forms of a result; returns the serving form."""
    quality = publish_one(registry, results.quality, watch=watch)
    return publish_one(registry, results.serving, parent=quality, watch=watch)


def publish_one(registry: Registry, trained: Any, *, watch: Watch, parent: "Model | None" = None) -> "Model":
    """Seal one trained form with its golden rows under the next number; `parent` goes into its lineage."""
    from aias.runtimes.golden import GOLDEN, record
    from aias.training.finish import described

    if parent:
        lineage = replace(trained.manifest.lineage, parents=(parent.version.digest,))
        trained = described(trained, replace(trained.manifest, lineage=lineage))
    # From a runtime loaded as it will be for serving: the one at hand may have another engine, or fewer threads.
    files = trained.files | {GOLDEN: record(OnnxRuntime.from_files(trained.files, trained.manifest))}
    version = registry.publish(trained.manifest.name, files, trained.manifest)
    ref = str(version)
    facts: dict[str, object] = {
        "version": ref, "form": trained.manifest.form, "size_bytes": version.size_bytes,
        "row_us": trained.manifest.row_us,
    }  # fmt: skip
    watch(Event("train.published", f"published {ref}, the {trained.manifest.form} form", facts=facts))
    return Model(registry, version, runtime=trained.runtime)


def load(ref: str | Ref | Version, *, home: Path | str | None = None) -> "Model":
    """The version `"reviews@1"`, or the newest of `"reviews"`; or one from `models()`. Raises `NotFound`, `Damaged`."""
    registry = Registry.open(home_at(home))
    return Model(registry, registry.version(Ref.parse(str(ref))))


def models(*, home: Path | str | None = None) -> list[Version]:
    """Every published version, by name and number."""
    return list(Registry.open(home_at(home)).versions())


def check_trained(model: "Model", what: str) -> None:
    """Raises `UserError` for a version without a target, such as a sentence encoder."""
    if model.task.type == "embedding":
        raise UserError(
            f"{model.ref} gives vectors of texts and cannot be {what}: there is no target",
            hint="train a model with it: `aias train FILE --target COLUMN --encoder FOLDER`",
        )


class Model:
    """One published version. Immutable; loads its graph at the first prediction."""

    def __init__(self, registry: Registry, version: Version, *, runtime: OnnxRuntime | None = None) -> None:
        self.registry, self.version = registry, version
        self._runtime = runtime
        self._manifest: Manifest | None = None  # as sealed: it lists the files, which the one from training does not

    @property
    def ref(self) -> str:
        """Its name and number: `reviews@1`."""
        return str(self.version)

    @property
    def manifest(self) -> Manifest:
        """Its task, inputs, lineage, scores and proof. Raises `Damaged`."""
        if self._manifest is None:
            self._manifest = self.registry.manifest(self.version)
        return self._manifest

    @property
    def task(self) -> Task:
        """What is predicted and how it is judged; `task.classes` is the order of the probabilities."""
        return self.manifest.task

    @property
    def quality(self) -> "Model":
        """The quality form that this serving form was made from; any other form gives itself."""
        if self.manifest.form != "serving":
            return self
        above = self.registry.lineage(self.version.ref)
        versions = [version for ancestor in above for version in ancestor.versions]
        if not versions:
            raise UserError(f"the quality form of {self.ref} was removed", hint="train again")
        return Model(self.registry, versions[0])

    @property
    def folder(self) -> Path:
        """The sealed artifact on disk; never write to it."""
        return self.registry.folder(self.version)

    @property
    def runtime(self) -> OnnxRuntime:
        """The graph in memory, verified and loaded at first use. Raises `Damaged`."""
        if self._runtime is None:
            self._runtime = OnnxRuntime.load(self.folder, self.manifest)
        return self._runtime

    def predict(self, source: Any, *, encoding: str | None = None, watch: Watch = logged) -> npt.NDArray[Any]:
        """A label, a number or a vector for each row of a file, a table, or a list of dicts. Raises `BadValue`.

        Labels come as integers when all classes are integers, else as strings. `encoding`: as in `train`.
        """
        answers = self.answers(source, encoding=encoding, watch=watch)
        if answers.vectors is not None:
            return answers.vectors.values
        found = answers.predictions
        if self.task.classes and all(re.fullmatch(r"-?(0|[1-9][0-9]{0,17})", label) for label in self.task.classes):
            return np.array([int(label) for label in found], np.int64)
        return np.array(found)

    def predict_proba(
        self, source: Any, *, encoding: str | None = None, watch: Watch = logged
    ) -> npt.NDArray[np.float32]:
        """The probability of each class, (rows, classes), in the order of `model.task.classes`. Raises `BadValue`, and
        `AttributeError` for a regression."""
        found = self.answers(source, encoding=encoding, watch=watch).probabilities
        if found is None:
            raise AttributeError("a regression has no probabilities; use predict")
        return found

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """The vector of each text, (texts, width), if the version is a sentence encoder. Raises `UserError`."""
        if not self.task.width:
            raise UserError(f"{self.ref} gives no vectors", hint="`aias import FOLDER` publishes a sentence encoder")
        found = self.runtime.embed(texts).vectors
        assert found is not None
        return found.values

    def answers(self, source: Any, *, encoding: str | None = None, watch: Watch = logged) -> Answers:
        """Predictions, probabilities, intervals or vectors together, in the order of the rows. Raises `BadValue`."""
        if isinstance(source, list) and all(isinstance(row, dict) for row in source):
            return self.runtime.predict(source)
        columns, rows = self._columns(source, encoding, watch)
        return self.runtime.predict_columns(columns, rows)

    def explain(self, row: Mapping[str, object], *, of: str | None = None, seed: int = 0) -> Explained:
        """How much each field contributes to the difference from a typical row's answer, the largest first.

        `of`: the class whose probability is explained; by default the predicted one. Raises `BadValue`.
        """
        check_trained(self, "explained")
        if not isinstance(row, Mapping):
            raise BadValue(f"a row is a mapping from field names to values; this is a {type(row).__name__}")
        profile = read_profile((self.folder / "profile.json").read_bytes())
        return explained(self.runtime, profile, flat(row), of=of, seed=seed)

    def evaluate(
        self, source: Any, *, encoding: str | None = None, seed: int = 0, watch: Watch = logged
    ) -> tuple[Measurement, ...]:
        """The metrics on other labelled rows, with 95 % intervals; rows without a label are left out.

        The bootstrap resamples groups under `split="group:COLUMN"`, and times that rows share under `"time:COLUMN"`,
        if the rows have that column. Warns of rows that the model was trained on. `encoding`: as in `train`. Raises
        `SchemaMismatch`, `BadValue`, `BadTarget`, `Unreadable`.
        """
        from aias.data.read import read
        from aias.data.split import clusters_of
        from aias.data.target import labels_for
        from aias.teaching.seen import seen
        from aias.training.scoring.metrics import report

        check_trained(self, "measured")
        target = self.manifest.target
        assert target is not None, "training always records the target"
        how = str(self.manifest.lineage.settings.get("split", "random"))
        way, _, column = how.partition(":")
        grouping = (Field(column, "text", "ignored"),) if way == "group" else ()  # rows may name groups otherwise
        dataset = read(source, schema=self.manifest.rows_with(*grouping, target), encoding=encoding, watch=watch)
        labels = labels_for(dataset, self.task)
        for note in labels.notes:
            watch(note)
        dataset = dataset.take(labels.kept)
        rows, known = dataset.rows, seen(self.manifest, dataset, home=self.registry.home)
        if known:
            said = f"{known:,} of the {rows:,} rows have the inputs of rows that it was trained on, and may flatter it"
            watch(Event("evaluate.seen", said, "warning", {"known": known, "rows": rows}))
        columns = {field.name: dataset.values(field.name) for field in self.manifest.inputs}
        answers = self.runtime.predict_columns(columns, dataset.rows)
        scores: Any = answers.probabilities
        scores = np.array(answers.predictions)[:, None] if scores is None else scores.astype(np.float64)
        parted = column in dataset.schema.names and dataset.frame[column].null_count() < dataset.rows
        return report(
            self.task, labels.y, scores, seed=seed, watch=watch, label_weights=self.manifest.label_weights or None,
            groups=clusters_of(dataset, how if parted else "random"),
        )  # fmt: skip

    def leaderboard(self) -> Leaderboard:
        """The models that were tried, best first: `name`, `settings`, `validation` score, `weight`, `fit_seconds`,
        `row_us` and `size_bytes` of each, as a list of dicts that prints as a table."""
        return Leaderboard(self.manifest.leaderboard)

    # Methods with files of their own.
    optimize = optimize
    compress = compress

    def frontier(self) -> "Frontier":
        """Every candidate of the last compression, with its proof or why it was rejected. Raises `NotFound`."""
        from aias.client.compress import frontier_of

        return frontier_of(self)

    def deploy(
        self, endpoint: str | None = None, *, canary: float | None = None, shadow: float | None = None
    ) -> Endpoint:
        """Point an endpoint, by default of the model's own name, at this version.

        With `canary` or `shadow`, a share of the requests from 0 to 1, the live version stays and this one is tried
        beside it. Raises `BadTrial`, and `OtherAnswers` if the version does not answer its golden rows as recorded.
        """
        ref, name = self.version.ref, check_endpoint(endpoint or self.version.name)
        trial = beside(canary, shadow)
        self._check_golden()
        if trial is None:
            return self.registry.deploy(name, ref)
        self.registry.rollouts.start(name, ref, role=trial[0], share=trial[1])
        return self.registry.endpoint(name)

    def export(self, folder: Path | str) -> Path:
        """Copy the artifact, with a script that runs it without Aias. Raises `Conflict` where the folder exists."""
        return export_folder(self.folder, self.manifest, Path(folder), ref=self.ref)

    def _check_golden(self) -> None:
        from aias.runtimes.arrival import moved
        from aias.runtimes.golden import check, recorded_in

        if (recorded := recorded_in(self.folder, self.manifest)) is not None:
            # From its files: the runtime at hand may have another engine.
            fresh = OnnxRuntime.load(self.folder, self.manifest)
            check(fresh, recorded, moved=moved(self.manifest))

    def __repr__(self) -> str:
        if self.task.width:
            return f"<Model {self.ref}: vectors of {self.task.width} numbers, {self.version.size_bytes:,} bytes>"
        measured = self.manifest.measurements
        score = f", {measured[0].metric} {measured[0].written}" if measured else ""
        return f"<Model {self.ref}: {self.task.type} of `{self.task.target}`{score}, {self.version.size_bytes:,} bytes>"

    def _columns(self, source: Any, encoding: str | None, watch: Watch) -> tuple[dict[str, Any], int]:
        from aias.data.read import read

        target = self.manifest.target
        answers = (Field(target.name, "text", "ignored"),) if target is not None else ()  # the rows may hold labels
        dataset = read(source, schema=self.manifest.rows_with(*answers), encoding=encoding, watch=watch)
        return {field.name: dataset.values(field.name) for field in self.manifest.inputs}, dataset.rows
