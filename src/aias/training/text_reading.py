"""Of how many rows the texts can be read in the time: counting and encoding terms takes seconds a megabyte.

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

SHARE: Final = 0.35
"""Of the time for training; the rest is for learning, and for the proof, which reads hundreds of texts again."""

ROWS_MIN: Final = 100
"""Learned from in any case."""

EACH_MIN: Final = 8
"""Rows of each class that are kept before others, where there are as many."""


def readable(dataset: Dataset, y: Any, task: Task, *, seconds: float, seed: int, watch: Watch) -> Ints:
    """The rows to learn from: so many that their texts are read in a share of `seconds`."""
    rows, needed = dataset.rows, reading_seconds(dataset)
    if needed <= SHARE * seconds:
        return np.arange(rows)
    count = min(rows, max(int(SHARE * seconds / needed * rows), ROWS_MIN))
    if count < rows:
        said = (
            f"{count:,} of {rows:,} rows are learned from: to read the texts of all takes some {needed:,.0f} s; a "
            f"training of {needed / SHARE:,.0f} s reads them"
        )
        facts: dict[str, object] = {"rows": count, "of": rows, "seconds": needed}
        watch(Event("train.texts", said, "warning", facts))
    return sample(y, task, count, seed=seed)


def sample(y: Any, task: Task, count: int, *, seed: int) -> Ints:
    """So many rows, in their order: a like share of each class, but some of each."""
    classes = y if task.classes else np.zeros(len(y), np.int64)
    order = np.random.default_rng(seed).permutation(len(classes))
    grouped = order[np.argsort(classes[order], kind="stable")]
    sizes = np.bincount(classes)
    place = np.arange(len(classes)) - np.repeat(np.cumsum(sizes) - sizes, sizes)  # of each among those of its class
    rank = np.maximum(0, place - EACH_MIN) / np.repeat(sizes, sizes)
    return np.sort(grouped[np.argsort(rank, kind="stable")[:count]])


def reading_seconds(dataset: Dataset) -> float:
    """What its texts should take."""
    sizes = [dataset.text_size(field.name) for field in dataset.schema.inputs if field.kind == "text"]
    return sum(CHAR_SECONDS * chars + BYTE_SECONDS * (size - chars) for chars, size in sizes)
