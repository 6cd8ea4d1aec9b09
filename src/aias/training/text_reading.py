"""Of how many rows the texts can be read in the time: counting and encoding terms takes seconds a megabyte.

    learned from · measured on · proved by · timed by        each has a share of the time

By what texts usually take, not by the clock, so that a busy machine learns from the same rows. Fewer rows, not the
beginnings of all: of `review_polarity_docs` in 10 s, 642 whole texts of 2,000 gave an AUC of .918, the first 927
characters of all .806.
"""

from typing import Any, Final

import numpy as np

from aias.core.arrays import Ints
from aias.core.events import Event, Watch
from aias.core.task import Task
from aias.data.dataset import Dataset

CHAR_SECONDS: Final = 1.8e-6
"""To count the terms of a text and to encode it, for each character; 2.0 to 2.3 where others compute too."""

BYTE_SECONDS: Final = 1.8e-6
"""For each byte beyond the first of a character: Chinese has three, and each is a word."""

ENCODED: Final = 0.5
"""Of that, what encoding alone takes."""

SHARE: Final = 0.35
"""Of the time for training beyond `START_SECONDS`; the rest is for learning, and for the proof, which reads texts
again."""

START_SECONDS: Final = 1.0
"""That training takes before the first row is read and after the last; of less than three times that, a third."""

TEST_SHARE: Final = 0.15
"""Of the time for training, for the rows that it is measured on."""

PROOF_SHARE: Final = 0.05
TIMED_SHARE: Final = 0.005
"""The same for the rows by which a form is proved, which are encoded twice, and a member timed, which is done a few
times."""

COMPARED_SHARE: Final = 0.02
"""The same for the rows of a test that are compared with those that were learned from."""

PROVED: Final = (60, 1_000)
"""Rows by which a form is proved, at least and at most; a graph is handed the very terms that were learned from."""

TIMED: Final = (15, 60)
"""Rows by which members are timed."""

ROWS_MIN: Final = 100
"""Learned from, and measured on, in any case."""

EACH_MIN: Final = 8
"""Rows of each class that are kept before others, where there are as many."""


def readable(dataset: Dataset, y: Any, task: Task, *, seconds: float, seed: int, watch: Watch) -> Ints:
    """The rows to learn from: so many that their texts are read in a share of `seconds`."""
    return _some(
        dataset, y, task, needed=reading_seconds(dataset), share=SHARE, after=START_SECONDS, use="learned from",
        seconds=seconds, seed=seed, watch=watch,
    )  # fmt: skip


def measurable(dataset: Dataset, y: Any, task: Task, *, seconds: float, seed: int, watch: Watch) -> Ints:
    """The same of rows to measure on."""
    return _some(
        dataset, y, task, needed=ENCODED * reading_seconds(dataset), share=TEST_SHARE, after=0.0, use="measured on",
        seconds=seconds, seed=seed, watch=watch,
    )  # fmt: skip


def provable(dataset: Dataset, *, seconds: float) -> int:
    """By how many of these rows a form is proved at most."""
    return _count(dataset, PROOF_SHARE * seconds / 2, PROVED)


def timeable(dataset: Dataset, *, seconds: float) -> int:
    """By how many of these rows members are timed."""
    return _count(dataset, TIMED_SHARE * seconds, TIMED)


def comparable(dataset: Dataset, *, seconds: float, most: int) -> int:
    """How many of these rows, at most, are compared with others."""
    return _count(dataset, COMPARED_SHARE * seconds, (ROWS_MIN, most))


def sample(y: Any, task: Task, count: int, *, seed: int) -> Ints:
    """So many rows, in their order: a like share of each class, but some of each."""
    classes = y if task.classes else np.zeros(len(y), np.int64)
    order = np.random.default_rng(seed).permutation(len(classes))
    grouped = order[np.argsort(classes[order], kind="stable")]
    sizes = np.bincount(classes)
    place = np.arange(len(classes)) - np.repeat(np.cumsum(sizes) - sizes, sizes)  # of each among those of its class
    rank = np.maximum(0, place - EACH_MIN) / np.repeat(sizes, sizes)
    return np.sort(grouped[np.argsort(rank, kind="stable")[:count]])


def _some(
    dataset: Dataset, y: Any, task: Task, *, needed: float, share: float, after: float, use: str, seconds: float,
    seed: int, watch: Watch,
) -> Ints:  # fmt: skip
    """So many rows that what all of them take, `needed`, is for these a `share` of what is left `after` the start."""
    rows, time = dataset.rows, share * max(seconds - after, seconds * 2 / 3)
    count = rows if needed <= time else min(rows, max(int(time / needed * rows), ROWS_MIN))
    takes = needed * count / max(rows, 1)
    if count < rows or takes > seconds:
        which = f"{count:,} of {rows:,} rows" if count < rows else f"{rows:,} rows"
        said = (
            f"{which} are {use}: to read the texts of all takes some {needed:,.0f} s; a "
            f"training of {after + needed / share:,.0f} s reads them"
        )
        if takes > seconds:  # there are no fewer rows to be had
            said += f"; this one will be late, since even these take some {takes:,.0f} s"
        facts: dict[str, object] = {"rows": count, "of": rows, "seconds": needed}
        watch(Event("train.texts", said, "warning", facts))
    return np.arange(rows) if count == rows else sample(y, task, count, seed=seed)


def _count(dataset: Dataset, seconds: float, bounds: tuple[int, int]) -> int:
    """How many rows are encoded in so many seconds, within bounds; without texts as many as they allow."""
    least, most = bounds
    needed = ENCODED * reading_seconds(dataset)
    return most if needed * most <= seconds * dataset.rows else max(least, int(seconds / needed * dataset.rows))


def reading_seconds(dataset: Dataset) -> float:
    """What its texts should take."""
    sizes = [dataset.text_size(field.name) for field in dataset.schema.inputs if field.kind == "text"]
    return sum(CHAR_SECONDS * chars + BYTE_SECONDS * (size - chars) for chars, size in sizes)
