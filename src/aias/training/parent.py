"""The version to go on from, and the rows that it was trained on."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from aias.artifact.manifest import Candidate, Manifest
from aias.core.arrays import Floats
from aias.core.cpus import cpus
from aias.core.errors import UserError
from aias.core.events import Event, Watch
from aias.core.schema import Field, Schema
from aias.core.suggestions import did_you_mean
from aias.data.copies import copies_across
from aias.data.dataset import Dataset
from aias.data.errors import BadSplit, NoSuchFile
from aias.data.read import read
from aias.data.split import clusters_of, folds
from aias.data.target import labels_for
from aias.data.text_files.long_texts import within_limit
from aias.encoders.rows import Encoded
from aias.runtimes.onnxruntime import OnnxRuntime
from aias.training.ledger import Ledger
from aias.training.prepare import Prepared, encoded_of, prepare
from aias.training.scoring.metrics import decide
from aias.training.selection.configuration import Configuration
from aias.training.selection.portfolio import Shape, fold_count
from aias.training.table import Part, Table
from aias.training.train import Recipe

TAUGHT_FOLDS_MIN: Final = 4
"""Two of them certify, and two are searched on."""

TAUGHT_SHARE: Final = 0.25
"""Of the time, that an imported version may take to answer all rows: it answers many of them again."""

TAUGHT_ROWS: Final = 1_000
"""That it answers at once, at most."""

FIRST_SHARE: Final = 0.25
"""Of that time, for those that it answers before it is looked how long that took."""

AGREEMENT: Final = {True: "accuracy", False: "r2"}
"""By which of classes, and of amounts, others are compared with a version's own answers. Of classes no metric of labels
that counts rows can lose more than answers differ: |accuracy of one - accuracy of the other| ≤ P(they differ)."""


class OtherRows(UserError):
    """The rows are not those that the version was trained on."""

    code = "training.other-rows"


class NoTime(UserError):
    """There was not enough time to fit again what the version is made of."""

    code = "training.no-time"

    def __init__(self, message: str, *, hint: str = "", enough: float = 0.0) -> None:
        """`enough`: about how many seconds in all would have been; 0 where nobody knows."""
        super().__init__(message, hint=hint)
        self.enough = enough


@dataclass(frozen=True, eq=False)
class Parent:
    """`ref` is how people call it; `folder`: the sealed artifact, where its graph may be read."""

    ref: str
    manifest: Manifest
    runtime: OnnxRuntime
    folder: Path | None = None

    @property
    def imported(self) -> bool:
        """Trained elsewhere: a graph that answers, and nothing that could be fitted again."""
        return self.manifest.form == "imported"

    @property
    def recipe(self) -> Recipe:
        """As it was asked for. Raises `UserError` when it was not made by training."""
        task = self.manifest.task
        if self.imported:
            return Recipe(task.target, self.manifest.name, task.metric)
        try:
            return msgspec.convert(self.manifest.lineage.settings, Recipe)
        except msgspec.ValidationError as fault:
            raise UserError(f"{self.ref} does not say how it was trained: {fault}", hint="train it again") from None

    def check(self) -> None:
        """Raises `UserError` when what it is made of cannot be fitted again."""
        if self.manifest.form == "compressed":
            raise UserError(
                f"{self.ref} is compressed already, and what it is made of is not fitted again",
                hint="go on from the version that it was made from: `aias show` names it",
            )
        if self.imported:
            raise UserError(
                f"{self.ref} was imported, and what it is made of is not fitted again",
                hint="train on the rows with `aias train`, or make it smaller: "
                f"`aias compress {self.ref} --data ROWS`, or `compress(data=ROWS)`",
            )

    @property
    def weights(self) -> Mapping[str, float]:
        """Of its members, of sum 1."""
        held = {each.name: each.weight for each in self.manifest.leaderboard if each.weight > 0}
        total = sum(held.values())
        return {name: weight / total for name, weight in held.items()}

    @property
    def configurations(self) -> list[Configuration]:
        """Of everything that was tried: what it is made of first, then the others, best first."""
        lines = sorted(self.manifest.leaderboard, key=lambda each: -each.weight)
        return [_configuration(each) for each in lines]

    def prepared(
        self, dataset: Dataset, test: Dataset | None, *, ledger: Ledger | None, seconds: float, watch: Watch
    ) -> Prepared:
        """The same rows, folds and encoder as in training. Raises `OtherRows`."""
        self.check()
        recipe, subwords = self.recipe, self.runtime.encoder.subwords
        prepared = prepare(
            dataset, target=recipe.target, metric=recipe.metric, how=recipe.split, test=recipe.test, given=test,
            seconds=seconds, folds=self.manifest.rows["folds"], class_weights=recipe.class_weights,
            sentences=recipe.encoder, tokens=subwords.length_max if subwords else None, ledger=ledger,
            judging=self.manifest.rows.get("judging"), teacher_labels=recipe.teacher_labels,
            rows=self.manifest.rows["train"], test_rows=self.manifest.rows["test"] or None, seed=recipe.seed,
            watch=watch,
        )  # fmt: skip
        self._check_sentences(prepared)
        if prepared.dataset.digest != self.manifest.lineage.dataset:
            rows = prepared.dataset.rows + prepared.unread
            raise OtherRows(
                f"these {rows:,} rows are not the {self.manifest.rows['train']:,} that {self.ref} was trained on",
                hint="name the file that it was trained on (`--data`, `data=`), or train on the new one",
            )  # fmt: skip
        if recipe.test_digest not in ("", prepared.test.digest):
            raise OtherRows(
                f"these {prepared.test.rows:,} rows are not the {self.manifest.rows['test']:,} that {self.ref} was "
                "measured on", hint="name the file that it was measured on: `--test FILE`, or `test=table`",
            )  # fmt: skip
        return prepared

    def taught(self, dataset: Dataset, *, how: str, seconds: float, watch: Watch) -> Prepared:
        """Rows on folds, read as an imported version reads them: it teaches on each what others are judged by. `how`:
        `random` or `group:<column>`.

        Rows that it has no answer for are left out. Where there is no label its own answers stand for them. Raises
        `UserError`.
        """
        task, encoder = self.manifest.task, self.runtime.encoder
        labelled = task.target in dataset.schema.names
        if labelled:
            labels = labels_for(dataset, task)
            for note in labels.notes:
                watch(note)
            dataset = dataset.take(labels.kept)
        encoded = encoded_of(dataset, encoder)
        said = self._said(encoded, seconds)
        kept = np.flatnonzero(np.isfinite(said).all(axis=1))
        if len(kept) < encoded.rows:
            message = f"{encoded.rows - len(kept):,} rows that {self.ref} has no answer for are left out"
            watch(Event("compress.no-answer", message, "warning"))
            if not len(kept):
                raise UserError(
                    f"{self.ref} has no answer (NaN, or infinite) for any of these rows",
                    hint="give rows that it can answer: without missing values, if it takes none",
                )
            dataset, encoded = dataset.take(kept), encoded.take(kept)
        y = labels.y[kept] if labelled else self._own_answers(said[kept])
        task = task if labelled else replace(task, metric=AGREEMENT[bool(task.classes)])
        count = fold_count(Shape(task, dataset.rows, encoder.layout), seconds=seconds, workers=cpus())
        count = min(max(count, TAUGHT_FOLDS_MIN), max(2, dataset.rows // 2))
        folded = folds(dataset, y, task=task, seed=self.recipe.seed, count=count, how=how)
        clusters = clusters_of(dataset, how)
        copied, whole = copies_across(dataset, clusters), Part(encoded, y)
        table = Table(task, encoder, whole, folded.judges, folded.blocks, clusters=clusters, copies=copied)
        said_of = "" if labelled else self.ref
        return Prepared(
            dataset, table, dataset.take(np.arange(0)), y[:0], f"cross-validated in {count} folds, by what was taught",
            answers_of=said_of, split=how,
        )  # fmt: skip

    def _said(self, encoded: Encoded, seconds: float) -> Floats:
        """Its answers, (rows, outputs). Raises `NoTime` where they take more than their share of so many seconds."""
        began, most = time.monotonic(), TAUGHT_SHARE * seconds
        # Alone, as that was measured, a row takes longer than among many.
        able = int(FIRST_SHARE * most / max(1e-6 * self.manifest.row_us, 1e-9))
        at_once = min(max(able, 1), TAUGHT_ROWS)
        parts = np.array_split(np.arange(encoded.rows), max(1, encoded.rows // at_once))
        found: list[Floats] = []
        for at, rows in enumerate(parts):
            found.append(np.asarray(self.runtime.run(encoded.take(rows)), np.float64).reshape(len(rows), -1))
            whole = (time.monotonic() - began) * encoded.rows / (rows[-1] + 1)
            if at + 1 < len(parts) and whole > most:
                raise NoTime(
                    f"{self.ref} takes about {whole:.0f} s to answer the {encoded.rows:,} rows, more than "
                    f"{100 * TAUGHT_SHARE:.0f} % of the time",
                    hint="give more time, or fewer rows", enough=whole / TAUGHT_SHARE,
                )  # fmt: skip
        return np.concatenate(found)

    def _own_answers(self, scores: Floats) -> Any:
        """As labels. Raises `UserError` where all are alike."""
        y = decide(scores, self.manifest.label_weights or None) if self.manifest.task.classes else scores[:, 0]
        if len(np.unique(y)) < 2:
            raise UserError(
                f"{self.ref} gives these {len(y):,} rows one and the same answer: whoever always said that would agree",
                hint="give rows that it answers differently, or labelled ones",
            )
        return y

    def _check_sentences(self, prepared: Prepared) -> None:
        """Members that read sentences can only be fitted again with the vectors that they knew."""
        wanted, found = self.manifest.lineage.sentence_encoder, prepared.embedding
        if wanted and found is None:
            raise NoTime(
                f"there was no time to read the texts of {self.ref} again",
                hint="give more time: what was read is kept, and not read twice",
            )
        if wanted and found is not None and found.sentences.digest != wanted:
            raise OtherRows(
                f"the sentence encoder {self.recipe.encoder} is not the one that {self.ref} was made with",
                hint="train again",
            )

    def scores(self, prepared: Prepared) -> Floats:
        """Its answers for the test rows, (rows, outputs)."""
        return test_scores(self.runtime, prepared)


def test_scores(runtime: OnnxRuntime, prepared: Prepared) -> Floats:
    """What a published form answers for the rows that were set aside."""
    test, encoder = prepared.test, runtime.encoder
    columns = {each.name: test.values(each.name) for each in encoder.fields}
    return np.asarray(runtime.run(encoder.columns(columns, test.rows)), np.float64).reshape(test.rows, -1)


def rows_of(
    parent: Parent, source: Any, *, test: Any = None, encoding: str | None = None, without_labels: bool = False,
    split: str = "random", watch: Watch,
) -> tuple[Dataset, Dataset | None]:  # fmt: skip
    """What it was trained on, and what it was measured on, if that was given.

    `source`, `test`: where these rows are, if not where training found them; of a version that was imported they may be
    `without_labels`, and `split` may name a column that groups them. `encoding`: what its text is in, if that was said.
    Raises `UserError` when nobody knows.
    """
    if parent.manifest.form == "compressed":
        parent.check()
    recipe = parent.recipe
    _check_test(parent, test)
    if source is None and parent.imported:
        raise UserError(
            f"{parent.ref} was imported, so the rows that it was trained on are not known",
            hint="give rows with `--data FILE` or `data=table`, with labels if there are any, preferably rows "
            "that it was not trained on",
        )
    if parent.imported:
        column = _grouping(split)
        return _given(parent.manifest, source, encoding, column, without_labels=without_labels, watch=watch), None
    if source is None and recipe.source is None:
        raise UserError(
            f"{parent.ref} was trained on a table in memory", hint="give the rows: `--data FILE`, or `data=table`"
        )
    try:
        encoding = recipe.encoding if source is None else encoding
        dataset = _read(recipe.source if source is None else source, parent.manifest, encoding, watch)
    except NoSuchFile as fault:
        raise _moved(fault, parent, "trained from", "data", given=source is not None) from None
    if (measured := recipe.test_source if test is None else test) is None:
        return dataset, None
    try:
        encoding = recipe.test_encoding if test is None else encoding
        return dataset, _read(measured, parent.manifest, encoding, watch)
    except NoSuchFile as fault:
        raise _moved(fault, parent, "measured on", "test", given=test is not None) from None


def _check_test(parent: Parent, test: Any) -> None:
    recipe = parent.recipe
    given = bool(recipe.test_digest or recipe.test_source)
    if test is not None and not given:
        raise UserError(
            f"no rows were given to measure {parent.ref} on, so there are none to name again",
            hint="leave `--test` out (`test=`)",
        )
    if test is None and given and recipe.test_source is None:
        raise UserError(
            f"{parent.ref} was measured on a table in memory", hint="give its rows: `--test FILE`, or `test=table`"
        )


def _moved(fault: NoSuchFile, parent: Parent, what: str, option: str, *, given: bool) -> NoSuchFile:
    """The fault itself where the file was named now."""
    said = f"{parent.ref} was {what} this path; say where the file is now: `--{option} FILE`, or `{option}=`"
    return fault if given else NoSuchFile(fault.message, hint=said)


def _given(
    manifest: Manifest, source: Any, encoding: str | None, column: str, *, without_labels: bool, watch: Watch
) -> Dataset:
    """Rows for a version that was imported. `column`: what groups them, if anything."""
    assert manifest.target is not None, "importing always names a target"
    known = [*manifest.inputs, *([] if without_labels else [manifest.target])]
    if column and column not in {each.name for each in known}:
        known.append(Field(column, "category", role="ignored", reason="whole groups go to one fold"))
    dataset = read(source, schema=Schema(tuple(known)), encoding=encoding, watch=watch)
    if column and dataset.column(column).null_count() == dataset.rows:
        raise BadSplit(f"no row says its `{column}`, by which they would be parted", hint="name another column")
    return dataset


def _grouping(split: str) -> str:
    """The column whose equal values belong together. Raises `BadSplit`."""
    way, _, column = str(split).partition(":")  # whoever calls from Python may give anything
    if split != "random" and not (way == "group" and column):
        raise BadSplit(
            f"the rows of an imported version cannot be split by {split!r}",
            hint="use random, or group:<column> where rows belong together",
        )
    return column


def _read(source: Any, manifest: Manifest, encoding: str | None, watch: Watch) -> Dataset:
    """Each column as it was read in training, in the order of the file."""
    target = manifest.target
    assert target is not None, "training always records the target"
    known = {each.name: each for each in (*manifest.inputs, *manifest.ignored, target)}
    found = read(source, target=target.name, encoding=encoding, watch=watch)
    names = [name for name in found.schema.names if name in known]
    if missing := known.keys() - set(names):
        near = did_you_mean(min(missing), found.schema.names)
        right = "name the right file with `--data`, or `data=`"
        hint = f"{near} Or {right}" if near else right
        raise OtherRows(f"there is no column `{min(missing)}` in these rows", hint=hint)
    schema = Schema(tuple(known[name] for name in names))
    if len(names) < len(found.schema.names):
        return read(source, schema=schema, encoding=encoding)
    return within_limit(found.with_schema(schema))  # what was no text by itself was not cut yet


def _configuration(line: Candidate) -> Configuration:
    return Configuration(line.name, line.learner, dict(line.asked), line.derived, line.features)
