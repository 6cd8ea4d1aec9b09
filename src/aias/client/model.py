"""`aias.train`, `aias.load` and what they give: a published version of a model."""

import contextlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from threading import Event as Stop
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from aias.artifact.manifest import Manifest
from aias.client.explain import Explained, explained, read_profile
from aias.client.export import export_folder
from aias.core.deadline import Deadline
from aias.core.errors import BadValue, UserError
from aias.core.events import Event, Watch, nobody
from aias.core.names import NAMELESS, Ref, check_name, name_from
from aias.core.quantities import seconds_of
from aias.core.schema import Schema
from aias.core.settings import home as default_home
from aias.core.task import Measurement, Task
from aias.registry.registry import Registry
from aias.registry.values import Endpoint, Version
from aias.runtimes.contract import Answers
from aias.runtimes.onnxruntime import OnnxRuntime

if TYPE_CHECKING:
    from aias.client.compress import Compressed
    from aias.client.optimize import Optimized
    from aias.client.teaching import Teacher
    from aias.compress.frontier import Frontier

WORK: Final = "work"
"""Where in the home trainings keep their ledgers, by the model's name."""


def train(
    source: Any,
    *,
    target: str,
    name: str | None = None,
    time: float | str = 60.0,
    metric: str | None = None,
    split: str = "random",
    test: Any = None,
    latency: float | str | None = None,
    encoder: str | Path | None = None,
    learners: Sequence[str] | Mapping[str, Mapping[str, Any]] = (),
    search: bool = True,
    folds: int | None = None,
    class_weights: str | dict[str, float] | None = None,
    seed: int = 0,
    schema: Schema | Path | str | None = None,
    teacher: "Teacher | str | None" = None,
    resume: bool = False,
    inline: bool = False,
    early: bool = False,
    home: Path | None = None,
    stop: Stop | None = None,
    watch: Watch = nobody,
) -> "Model":
    """Train on a path, a pandas, Polars or Arrow table, or a dict of columns; publish the best model.

    Two versions are published: the *quality* form, everything that was found, and the *serving* form, which answers a
    row within `latency`. The serving form is returned; `.quality` is the other.

    - `time`: a budget in seconds or a text such as `"5m"`
    - `latency`: by default `"150us"`; with an encoder that reads the texts `"20ms"`
    - `encoder`: a sentence encoder that reads the texts, by its folder or its name on the hub
    - `split`: `"random"`, `"time:<column>"` or `"group:<column>"`
    - `test`: other rows to measure on, or the share to set aside for that; by default what can be spared
    - `learners`: names, by default all; or names with the settings that each is to be fitted with
    - `search`: whether the time that is left goes into a search for better settings
    - `folds`: how many parts judge in turn; by default as many as the time allows
    - `class_weights`: `"balanced"`, or how much the rows of some classes count
    - `teacher`: who answers rows that have no answer, before the time begins: a version, an address, or a
      `Teacher` with more to say
    - `resume`: go on with a training of this name that was broken off
    - `inline`: fit in this very process, where nothing can be killed when it hangs: for small data
    - `early`: publish the first model as soon as there is one, too, so that it can be deployed while training goes on
    - `stop`: set it, and what was found so far is finished

    Raises `UserError` with a hint when the data cannot be learned from.
    """
    seconds, home = seconds_of(time), home or default_home()
    name, facts = check_name(name) if name else _name_of(source, watch), dict[str, Any]()
    if teacher is not None:
        from aias.client.teaching import answered

        source, test, facts = answered(source, target, teacher, test, schema=schema, seed=seed, home=home, stop=stop,
                                       watch=watch)  # fmt: skip
    work = home / WORK / name
    with contextlib.ExitStack() as until_the_end:
        nursery = None if inline else until_the_end.enter_context(contextlib.closing(_nursery(work)))
        from aias.client.early import publish_first
        from aias.data.read import read
        from aias.training.train import Recipe
        from aias.training.train import train as fit

        deadline = Deadline.after(seconds)
        dataset = read(source, target=target, schema=Path(schema) if isinstance(schema, str) else schema, watch=watch)
        share = float(test) if isinstance(test, (int, float)) else None
        given = None if test is None or share is not None else read(test, schema=dataset.schema, watch=watch)
        recipe = Recipe(
            target=target, name=name, metric=metric, seconds=seconds, split=split, test=share, seed=seed,
            learners=tuple(learners), folds=folds, learner_settings=_settings(learners), search=search,
            class_weights=class_weights, latency_us=None if latency is None else 1e6 * seconds_of(latency),
            encoder=None if encoder is None else str(encoder), source=_path(source), test_source=_path(test),
            teacher=facts,
        )  # fmt: skip
        registry = Registry.open(home, watch=watch)
        rows = [dataset]
        del dataset  # it is training's from here on, which needs it for a while only
        results = fit(
            rows.pop(), recipe, deadline=deadline, test=given, work=work, resume=resume, inline=inline,
            nursery=nursery, stop=stop, watch=watch,
            first=(lambda trained: publish_first(registry, trained, resume=resume, watch=watch)) if early else None,
        )  # fmt: skip
        return publish(registry, results, watch=watch)


def _name_of(source: Any, watch: Watch) -> str:
    """After its file, as far as that can be a name."""
    fallback = Path(source).name.split(".")[0] if isinstance(source, (str, Path)) else NAMELESS
    found = name_from(fallback)
    if found == NAMELESS != fallback:
        said = f"nothing of `{fallback}` can be in a name: the model is called `{found}`; give it one with `--name`"
        watch(Event("train.named", said, "warning", {"name": found}))
    return found


def _nursery(work: Path) -> Any:
    """Workers' libraries are loaded while the rows are read, and training's are."""
    from aias.training.nursery import Nursery

    return Nursery(work, threads=1)


def _settings(learners: Sequence[str] | Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: dict(each) for name, each in learners.items() if each} if isinstance(learners, Mapping) else {}


def _path(source: Any) -> str | None:
    return str(source) if isinstance(source, (str, Path)) else None


def publish(registry: Registry, results: Any, *, watch: Watch) -> "Model":
    """Both forms of a result; gives the serving form."""
    quality = publish_one(registry, results.quality, watch=watch)
    return publish_one(registry, results.serving, parent=quality, watch=watch)


def publish_one(registry: Registry, trained: Any, *, watch: Watch, parent: "Model | None" = None) -> "Model":
    """Seal one trained form with its golden rows, and give it the next number; `parent` goes into its lineage."""
    from aias.runtimes.golden import GOLDEN, record
    from aias.training.finish import described

    if parent:
        lineage = replace(trained.manifest.lineage, parents=(parent.version.digest,))
        trained = described(trained, replace(trained.manifest, lineage=lineage))
    # As it will be loaded: the runtime at hand may have another engine, or fewer threads.
    files = trained.files | {GOLDEN: record(OnnxRuntime.from_files(trained.files, trained.manifest))}
    version = registry.publish(trained.manifest.name, files, trained.manifest)
    ref = str(version)
    facts: dict[str, object] = {
        "version": ref, "form": trained.manifest.form, "size_bytes": version.size_bytes,
        "row_us": trained.manifest.row_us,
    }  # fmt: skip
    watch(Event("train.published", f"published {ref}, the {trained.manifest.form} form", facts=facts))
    return Model(registry, version, runtime=trained.runtime)


def load(ref: str, *, home: Path | None = None) -> "Model":
    """The version that `ref` names: `"reviews@1"`, or `"reviews"` for the newest. Raises `NotFound`, `Damaged`."""
    registry = Registry.open(home or default_home())
    return Model(registry, registry.version(Ref.parse(ref)))


def models(*, home: Path | None = None) -> list[Version]:
    """Every published version, by name and number."""
    return list(Registry.open(home or default_home()).versions())


class Model:
    """One published version. Immutable; loads its graph when it is first asked to predict."""

    def __init__(self, registry: Registry, version: Version, *, runtime: OnnxRuntime | None = None) -> None:
        self.registry, self.version = registry, version
        self._runtime = runtime
        self._manifest: Manifest | None = None  # the sealed one, which lists its files; training's does not yet

    @property
    def ref(self) -> str:
        """Its name and number: `reviews@1`."""
        return str(self.version)

    @property
    def manifest(self) -> Manifest:
        """What the version says of itself: task, inputs, lineage, scores, proof. Raises `Damaged`."""
        if self._manifest is None:
            self._manifest = self.registry.manifest(self.version)
        return self._manifest

    @property
    def task(self) -> Task:
        """What is predicted and how it is judged; `task.classes` is the order of the probabilities."""
        return self.manifest.task

    @property
    def quality(self) -> "Model":
        """The quality form that this serving form was made from; itself when it is not a serving form."""
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
        """The graph in memory, verified and loaded when it is first needed. Raises `Damaged`."""
        if self._runtime is None:
            self._runtime = OnnxRuntime.load(self.folder, self.manifest)
        return self._runtime

    def predict(self, source: Any, *, watch: Watch = nobody) -> npt.NDArray[Any]:
        """A label, a number or a vector for each row of a path, a table, or a list of dicts. Raises `BadValue`.

        Labels come as integers when all classes are integers, else as strings.
        """
        answers = self.answers(source, watch=watch)
        if answers.vectors is not None:
            return answers.vectors.values
        found = answers.predictions
        if self.task.classes and all(re.fullmatch(r"-?(0|[1-9][0-9]{0,17})", label) for label in self.task.classes):
            return np.array([int(label) for label in found], np.int64)
        return np.array(found)

    def predict_proba(self, source: Any, *, watch: Watch = nobody) -> npt.NDArray[np.float32]:
        """The probability of each class, (rows, classes), in the order of `model.task.classes`. Raises `BadValue`, and
        `AttributeError` for a regression."""
        found = self.answers(source, watch=watch).probabilities
        if found is None:
            raise AttributeError("a regression has no probabilities; use predict")
        return found

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """The vector of each text, (texts, width), where the version gives vectors. Raises `UserError`."""
        if not self.task.width:
            raise UserError(f"{self.ref} gives no vectors", hint="`aias import FOLDER` publishes a sentence encoder")
        found = self.runtime.embed(texts).vectors
        assert found is not None
        return found.values

    def answers(self, source: Any, *, watch: Watch = nobody) -> Answers:
        """Predictions, probabilities, intervals or vectors together, in the order of the rows. Raises `BadValue`."""
        if isinstance(source, list) and all(isinstance(row, dict) for row in source):
            return self.runtime.predict(source)
        columns, rows = self._columns(source, watch)
        return self.runtime.predict_columns(columns, rows)

    def explain(self, row: Mapping[str, object], *, of: str | None = None, seed: int = 0) -> Explained:
        """Each field's part in the answer to a row; see `aias.client.explain`. Raises `BadValue`."""
        self._check_trained("explained")
        if not isinstance(row, Mapping):
            raise BadValue(f"a row is a mapping from field names to values; this is a {type(row).__name__}")
        profile = read_profile((self.folder / "profile.json").read_bytes())
        return explained(self.runtime, profile, row, of=of, seed=seed)

    def evaluate(self, source: Any, *, seed: int = 0, watch: Watch = nobody) -> tuple[Measurement, ...]:
        """The metrics on other labelled rows, with 95 % intervals; rows without a label are left out. Raises
        `SchemaMismatch`, `BadValue`, `BadTarget`."""
        from aias.data.read import read
        from aias.data.target import labels_for
        from aias.training.metrics import report

        self._check_trained("measured")
        target = self.manifest.target
        assert target is not None, "training always records the target"
        dataset = read(source, schema=Schema((*self.manifest.inputs, target)), watch=watch)
        labels = labels_for(dataset, self.task)
        for note in labels.notes:
            watch(note)
        dataset = dataset.take(labels.kept)
        columns = {field.name: dataset.values(field.name) for field in self.manifest.inputs}
        answers = self.runtime.predict_columns(columns, dataset.rows)
        scores: Any = answers.probabilities
        scores = np.array(answers.predictions)[:, None] if scores is None else scores.astype(np.float64)
        return report(self.task, labels.y, scores, seed=seed, watch=watch)

    def leaderboard(self) -> list[dict[str, Any]]:
        """What was tried, best first."""
        return [asdict(candidate) for candidate in self.manifest.leaderboard]

    def optimize(
        self, *, time: float | str = 60.0, data: Any = None, searcher: str = "tpe", axes: Sequence[str] = (),
        learners: Sequence[str] = (), inline: bool = False, stop: Stop | None = None, watch: Watch = nobody,
    ) -> "Optimized":  # fmt: skip
        """Search from where training ended, and publish what is certain to be better on rows not searched on.

        - `axes`: of `"parameters"`, `"structure"` and `"strategy"` those to search along; by default all
        - `learners`: those that may join; by default all
        - `data`: the rows it was trained on, where they are no longer where they were

        Raises `NotFound`, `OtherRows`, `UserError`.
        """
        from aias.client.optimize import optimize

        self._check_trained("optimized")
        return optimize(
            self, time=time, data=data, searcher=searcher, axes=axes, learners=learners, inline=inline, stop=stop,
            watch=watch,
        )  # fmt: skip

    def compress(
        self, *, max_loss: float | str = "0.5%", latency: float | str | None = None, size: int | str | None = None,
        time: float | str = 60.0, data: Any = None, unlabelled: Any = None, callers: int = 4,
        techniques: Sequence[str] = (), inline: bool = False, stop: Stop | None = None, watch: Watch = nobody,
    ) -> "Compressed":  # fmt: skip
        """Search for a smaller and faster form, and publish one that is proved to lose no more than `max_loss`.

        - `max_loss`: a share of the metric, such as `"0.5%"`
        - `latency`, `size`: what a row may take, and the graph with its tables, such as `"100us"` and `"5MB"`
        - `techniques`: names, by default all
        - `unlabelled`: more rows of the same columns, to teach on; what is certified is certified by labels
        - `callers`: how many ask at once where several do; one caller is timed in any case, and decides
        - `data`: the rows it was trained on, where they are no longer where they were; of an imported version any rows,
          better such as it was not trained on; without labels it is certified by how often its answers are agreed with

        Raises `NotFound`, `OtherRows`, `UserError`.
        """
        from aias.client.compress import compress

        self._check_trained("compressed")
        return compress(
            self, max_loss=max_loss, latency=latency, size=size, time=time, data=data, unlabelled=unlabelled,
            callers=callers, techniques=techniques, inline=inline, stop=stop, watch=watch,
        )  # fmt: skip

    def frontier(self) -> "Frontier":
        """Every candidate of the last compression, with its proof or why it was rejected. Raises `NotFound`."""
        from aias.client.compress import frontier_of

        return frontier_of(self)

    def deploy(
        self, endpoint: str | None = None, *, canary: float | None = None, shadow: float | None = None
    ) -> Endpoint:
        """Point an endpoint, by default of the model's own name, at this version.

        With `canary` or `shadow`, a share from 0 to 1, the live version goes on answering and this one is on trial
        beside it. Raises `BadTrial`, `UserError`.
        """
        ref, name = self.version.ref, check_name(endpoint or self.version.name)
        if canary is not None and shadow is not None:
            raise UserError("`canary` or `shadow`: one of them")
        share = canary if shadow is None else shadow
        if share is None:
            return self.registry.deploy(name, ref)
        self.registry.rollouts.start(name, ref, role="canary" if shadow is None else "shadow", share=share)
        return self.registry.endpoint(name)

    def export(self, folder: Path | str) -> Path:
        """Copy the artifact, with a script that runs it without Aias. Raises `Conflict` where the folder exists."""
        return export_folder(self.folder, self.manifest, Path(folder), ref=self.ref)

    def _check_trained(self, what: str) -> None:
        """Raises `UserError` for what nobody has trained here."""
        if self.task.type == "embedding":
            raise UserError(
                f"{self.ref} gives vectors of texts and cannot be {what}: there is no target",
                hint="train a model with it: `aias train FILE --target COLUMN --encoder FOLDER`",
            )

    def __repr__(self) -> str:
        if self.task.width:
            return f"<Model {self.ref}: vectors of {self.task.width} numbers, {self.version.size_bytes:,} bytes>"
        measured = self.manifest.measurements
        score = f", {measured[0].metric} {measured[0].value:.4f}" if measured else ""
        return f"<Model {self.ref}: {self.task.type} of `{self.task.target}`{score}, {self.version.size_bytes:,} bytes>"

    def _columns(self, source: Any, watch: Watch) -> tuple[dict[str, Any], int]:
        from aias.data.read import read

        dataset = read(source, schema=Schema(self.manifest.inputs), watch=watch)
        return {field.name: dataset.values(field.name) for field in self.manifest.inputs}, dataset.rows
