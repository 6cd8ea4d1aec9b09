"""Before anything is fitted: the task, the rows that are set aside, the encoder, the folds."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from aias.core.arrays import Ints
from aias.core.cpus import cpus
from aias.core.deadline import Deadline
from aias.core.errors import UserError
from aias.core.events import Event, Watch
from aias.core.schema import Schema
from aias.core.task import Task
from aias.data.check import findings
from aias.data.copies import copies as copies_of
from aias.data.copies import copies_across
from aias.data.dataset import Dataset
from aias.data.errors import BadSplit
from aias.data.holdout import measuring_rows
from aias.data.singletons import notes_on
from aias.data.split import clusters_of, split
from aias.data.target import check_inputs, labels_for, task_for
from aias.data.teacher_labels import TeacherLabels
from aias.encoders.rows import Encoded, RowEncoder
from aias.graph.sentences import check_name
from aias.training.against_test import against_test
from aias.training.class_weights import ClassWeights, row_weights
from aias.training.embedding import (
    Embedding,
    embedded,
    embedding_of,
    ready_in_time,
    sentences_for,
    tried,
    without_tokens,
)
from aias.training.ledger import Ledger
from aias.training.own_answers import drawn, folds_of, test_of
from aias.training.selection.portfolio import Shape, fold_count, holdout_share
from aias.training.table import Part, Table
from aias.training.text_reading import measurable, readable, sample

TEST_FROM_ROWS: Final = 100_000
"""Below this a tenth of the rows is worth more to what is fitted than to the measurement, which the folds give too."""

DRIFT_ROWS_MIN: Final = 50
"""Fewer cannot be told from anything."""

TEST_SHARE: Final = 0.1
TEST_ROWS_MAX: Final = 20_000


@dataclass(frozen=True, eq=False)
class Prepared:
    """`dataset`: the rows that are learned from, as raw values; `test`: those set aside or given, empty for none."""

    dataset: Dataset
    table: Table
    test: Dataset
    test_y: Any
    reason: str
    embedding: Embedding | None = None
    """Where a sentence encoder has read the texts."""
    answers_of: str = ""
    """Whose own answers stand for labels, where the rows have none."""
    split: str = "random"
    """How the rows of an imported version are parted."""
    test_clusters: Ints | None = None
    """As `Table.clusters`, of the test's rows."""
    unread: int = 0
    """Rows that are not learned from, since to read their texts there was no time."""

    @property
    def task(self) -> Task:
        return self.table.task

    @property
    def encoder(self) -> RowEncoder:
        return self.table.encoder

    def mapped(self, folder: Path) -> "Prepared":
        """The same with the table in files of this folder that are mapped into memory."""
        return replace(self, table=self.table.mapped(folder / "table"))

    def without_rows(self) -> "Prepared":
        """Without the raw rows that are learned from, where others were set aside to prove and to measure on."""
        return replace(self, dataset=self.dataset.take(np.arange(0))) if self.test.rows else self

    @property
    def held_out(self) -> Dataset:
        """Rows for proofs: of the test, or else of those that judge."""
        return self.test if self.test.rows else self.dataset.take(self.table.judged)


def prepare(
    dataset: Dataset, *, target: str, metric: str | None, how: str, test: float | None, given: Dataset | None,
    seconds: float, folds: int | None, class_weights: ClassWeights = None, sentences: str | None = None,
    tokens: int | None = None, ledger: Ledger | None = None, judging: int | None = None,
    teacher_labels: TeacherLabels | None = None, rows: int | None = None, test_rows: int | None = None, seed: int,
    watch: Watch, spent: float = 0.0,
) -> Prepared:  # fmt: skip
    """`seconds`: for all of training, by which folds are chosen, so that a busy machine parts the same rows alike;
    `spent`: of them, by now; `judging`: how many of the folds judge, where not all do; `sentences`: the name of a
    sentence encoder; `tokens`: how many it reads of a text, where that is not left to the time; `ledger`: where its
    vectors are kept; `teacher_labels`: of the rows in their order; `rows`, `test_rows`: how many are learned from, and
    measured on, at most, where that is not left to the time that texts take. Raises `UserError` when the data cannot be
    learned from.
    """
    deadline = Deadline.after(seconds - spent)
    if sentences is not None:
        check_name(sentences)
    dataset = _aside(dataset, target, how)
    said = _said(teacher_labels, dataset.rows)
    labels = task_for(dataset, target, metric)
    for note in labels.notes:
        watch(note)
    dataset, task = dataset.take(labels.kept), labels.task
    check_inputs(dataset, target)
    for finding in findings(dataset, labels.y, task):
        watch(finding)
    learned, y, said, held, held_y, reason = _parted(
        dataset, labels.y, said.take(labels.kept), task=task, how=how, test=test, given=given, seed=seed, watch=watch
    )
    del dataset  # with rows set aside this is a second copy of all the others
    unread = learned.rows
    if rows is None:
        kept = readable(learned, y, task, seconds=seconds, seed=seed, watch=watch)
    else:
        kept = sample(y, task, min(rows, learned.rows), seed=seed)
    learned, y, said = learned.take(kept), y[kept], said.take(kept)
    unread -= learned.rows
    if test_rows is None:
        kept = measurable(held, held_y, task, seconds=seconds, seed=seed, watch=watch)
    else:
        kept = sample(held_y, task, min(test_rows, held.rows), seed=seed)
    held, held_y = held.take(kept), held_y[kept]
    encoder = _fit_encoder(learned, target)
    embedding = None
    if sentences is not None:
        embedding = _embedding(
            sentences, learned, encoder, test_rows=held.rows, length=tokens, ledger=ledger, deadline=deadline,
            watch=watch,
        )  # fmt: skip
    encoder, encoded, embedding = _encoded(learned, encoder, embedding, ledger, deadline, watch)
    if embedding is None and not encoder.layout.width and not encoder.layout.terms:
        raise UserError(
            f"no word stands in two of the {learned.rows:,} texts, and there is nothing else to learn from",
            hint="give more rows, or other columns; a sentence encoder (`--encoder`, or `encoder=`) knows words "
            "from elsewhere",
        )
    count = folds or fold_count(Shape(task, learned.rows, encoder.layout), seconds=seconds, workers=cpus())
    folded = folds_of(
        learned, y, said.own, task=task, seed=seed, count=count, how=how, holdout=holdout_share(learned.rows),
        tested=held.rows > 0, watch=watch,
    )  # fmt: skip
    if folded.copied:
        message = f"{folded.copied:,} rows have no part in the scores, since copies of them are in other groups"
        watch(Event("train.copies", message, facts={"rows": folded.copied}))
    for note in notes_on(y, folded.judges >= 0, task, straddling=folded.straddling):
        watch(note)
    part = _part(encoded, y, said, folded.judges >= 0, task, class_weights, seed=seed)
    clusters, judges = clusters_of(learned, how), folded.judges
    copied = copies_across(learned, clusters)
    parted = count if count > judges.max() + 1 else 0  # by which whoever goes on from here parts them alike
    table = Table(task, encoder, part, judges, folded.blocks, parted, clusters, copied)
    table = table.narrowed(judging) if judging else table
    reason += f"; cross-validated in {table.fold_count} folds" if table.fold_count > 1 else "; validated on a holdout"
    reason += "" if table.blocks is None else ", each by what was fitted on earlier rows alone"
    apart = clusters_of(held, how)
    if held.rows >= DRIFT_ROWS_MIN and (given is not None or how.startswith("time:")):
        watch(against_test(table, held, apart, without=how.partition(":")[2], seconds=seconds, seed=seed))
    facts: dict[str, object] = {"train": learned.rows, "folds": table.fold_count, "test": held.rows}
    watch(Event("train.split", reason, facts=facts))
    return Prepared(learned, table, held, held_y, reason, embedding, test_clusters=apart, unread=unread)


def _said(teacher_labels: TeacherLabels | None, rows: int) -> TeacherLabels:
    """Without a teacher all rows answer for themselves."""
    if teacher_labels is None:
        return TeacherLabels(np.ones(rows, bool), (), np.zeros((rows, 0)))
    if teacher_labels.rows != rows:
        raise UserError(
            f"a teacher was asked about {teacher_labels.rows:,} rows, and these are {rows:,}",
            hint="give the very rows that it was asked about",
        )
    return teacher_labels


def _part(
    encoded: Encoded, y: Any, said: TeacherLabels, judged: Any, task: Task, class_weights: ClassWeights, *, seed: int
) -> Part:
    """The rows with what is learned of each: its label, what a teacher says, and how much it counts."""
    told = said.of(task.classes)
    y = drawn(y, told, ~said.own & judged, seed=seed)
    return Part(encoded, y, row_weights(y, task, class_weights), told)


def encoded_of(dataset: Dataset, encoder: RowEncoder) -> Encoded:
    return encoder.columns(dataset.columns(encoder.fields), dataset.rows)


def _test_share(rows: int, wanted: float | None) -> float:
    if wanted is not None:
        return wanted
    return min(TEST_SHARE, TEST_ROWS_MAX / rows) if rows >= TEST_FROM_ROWS else 0.0


def _aside(dataset: Dataset, target: str, how: str) -> Dataset:
    """The target marked, and the column of a group split taken out of the inputs."""
    schema = dataset.schema.with_target(target)
    way, _, column = how.partition(":")
    if column == target:
        raise BadSplit(
            f"rows cannot be parted by `{target}`, which is predicted", hint="name another column, or random"
        )
    if column not in schema.names and ("time:" in column or "group:" in column):
        raise BadSplit(
            f"rows are parted in one way, by time or by a group, and {how!r} names two",
            hint="`time:` where later rows are to be predicted, `group:` where rows of other groups are",
        )
    if way == "group":
        reason = "groups the rows: whole groups go to one fold, or to the test"
        schema = Schema(tuple(
            replace(each, role="ignored", reason=reason) if each.name == column else each for each in schema
        ))  # fmt: skip
    return dataset.with_schema(schema)


def _parted(
    dataset: Dataset, y: Any, said: TeacherLabels, *, task: Task, how: str, test: float | None, given: Dataset | None,
    seed: int, watch: Watch,
) -> tuple[Dataset, Any, TeacherLabels, Dataset, Any, str]:  # fmt: skip
    """The rows that are learned from, their labels and what a teacher says of them; rows to measure on, and their
    labels; and why it is these."""
    if given is not None:
        found = labels_for(given, task)
        held = given.take(found.kept)
        measuring, notes = measuring_rows(held, dataset, how=how)
        for note in notes:
            watch(note)
        return dataset, y, said, held.take(measuring), found.y[measuring], "the test is the file that was given"
    share = _test_share(dataset.rows, test)
    if not share:
        return dataset, y, said, dataset.take(np.arange(0)), y[:0], "every row is for training"
    parts = split(dataset, y, task=task, how=how, fractions=(1 - share, 0.0, share), seed=seed)
    copies = None if said.own.all() else copies_of(dataset)
    kept, aside = test_of(parts.train, parts.test, said.own, how=how, copies=copies)
    reason = parts.reason
    if how == "random" and (gone := dataset.rows - len(kept) - len(aside)):
        reason += f"; {gone:,} rows that a teacher answered equal rows of the test and are left out"
    return dataset.take(kept), y[kept], said.take(kept), dataset.take(aside), y[aside], reason


def _embedding(
    name: str, learned: Dataset, words: RowEncoder, *, test_rows: int, length: int | None, ledger: Ledger | None,
    deadline: Deadline, watch: Watch,
) -> Embedding | None:  # fmt: skip
    """How a sentence encoder reads the texts, where it is ready in time."""

    def made(heard: Watch) -> Embedding | None:
        if (named := sentences_for(name, words, threads=cpus(), watch=heard)) is None:
            return None
        some = encoded_of(learned.take(tried(learned.rows, threads=cpus())), words.with_subwords(named.subwords))
        return embedding_of(
            named, some, rows=learned.rows, test_rows=test_rows, length=length, ledger=ledger, deadline=deadline,
            watch=heard,
        )  # fmt: skip

    return ready_in_time(made, deadline=deadline, watch=watch)


def _encoded(
    learned: Dataset, encoder: RowEncoder, embedding: Embedding | None, ledger: Ledger | None, deadline: Deadline,
    watch: Watch,
) -> tuple[RowEncoder, Encoded, Embedding | None]:  # fmt: skip
    """The rows for fitting: with vectors where a sentence encoder has the time."""
    if embedding is not None:
        reading = encoder.with_subwords(embedding.sentences.subwords)
        encoded = encoded_of(learned, reading)
        found = embedded(embedding, encoded, ledger=ledger, deadline=deadline, watch=watch)
        if found is not None:
            return reading, without_tokens(found), embedding
    return encoder, encoded_of(learned, encoder), None


def _fit_encoder(dataset: Dataset, target: str) -> RowEncoder:
    others = [each.name for each in dataset.schema if each.role == "ignored"] + [target]
    return RowEncoder.fit(dataset.schema.inputs, dataset.columns(dataset.schema.inputs), others=others)
