"""The sentence encoder of a training: read by name, asked how long it will take and, where there is time, asked once.

What is fitted sees vectors that were computed beforehand. What is published computes them itself, from tokens.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from aias.core.deadline import Deadline
from aias.core.events import Event, Level, Watch
from aias.encoders.contract import Floats
from aias.encoders.rows import Encoded, RowEncoder
from aias.graph.sentences import SentenceEncoder
from aias.training.pipeline import Pipeline

SHARE_MAX: Final = 0.5
"""Of the time left that the vectors of the rows to learn from may take."""

WITH_TEST_SHARE_MAX: Final = 0.75
"""The same with those of the test rows, which both forms compute as they are served."""

Row = Mapping[str, object]


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """A sentence encoder that had the time. `row_seconds`: of one row among many; `start_seconds`: to get it going."""

    sentences: SentenceEncoder
    row_seconds: float
    start_seconds: float

    def expected(self, pipeline: Pipeline) -> Callable[[Encoded], Floats]:
        """The pipeline's scores of rows that have tokens and no vectors yet."""
        return lambda encoded: pipeline.scores(self.sentences.embedded(encoded))


@dataclass(frozen=True, slots=True, eq=False)
class KnownRows:
    """Stands for a row encoder where members are tried: some rows, whose vectors are computed once for all members.

    `row_us`: of encoding one row and computing its vectors, to be added to what is measured without.
    """

    encoded: Encoded
    places: Mapping[int, int]
    """By the identity of the row."""
    row_us: float

    @classmethod
    def of(cls, rows: Sequence[Row], encoder: RowEncoder, sentences: SentenceEncoder) -> "KnownRows":
        spent = []
        for row in rows:
            before = time.perf_counter()
            sentences.embedded(encoder.one(row))
            spent.append(time.perf_counter() - before)
        places = {id(row): place for place, row in enumerate(rows)}
        return cls(sentences.embedded(encoder.rows(rows)), places, float(np.median(spent)) * 1e6)

    @property
    def width(self) -> int:
        """Of the vectors."""
        assert self.encoded.vectors is not None
        return int(self.encoded.vectors.shape[1])

    def one(self, row: Row) -> Encoded:
        return self.rows([row])

    def rows(self, rows: Sequence[Row]) -> Encoded:
        return self.encoded.take(np.array([self.places[id(row)] for row in rows]))


def sentences_for(name: str | None, encoder: RowEncoder, *, threads: int, watch: Watch) -> SentenceEncoder | None:
    """The sentence encoder that was asked for, if there are texts for it. Raises `UserError`."""
    if name is None:
        return None
    if not encoder.layout.texts:
        _tell(watch, "no column holds texts: the sentence encoder has nothing to read", "warning")
        return None
    return SentenceEncoder.read(name, texts=encoder.layout.texts, threads=threads)


def embedding_of(
    sentences: SentenceEncoder, encoded: Encoded, *, test_rows: int, deadline: Deadline, watch: Watch
) -> Embedding | None:
    """Whether there is the time to compute the vectors of these rows; None when there is not."""
    began = deadline.clock()
    seconds = sentences.expected_seconds(encoded)
    row_seconds = seconds / max(encoded.rows, 1)
    started = deadline.clock() - began - row_seconds * sentences.tried_rows(encoded)
    whole = seconds + 2 * test_rows * row_seconds
    if seconds > SHARE_MAX * deadline.left or whole > WITH_TEST_SHARE_MAX * deadline.left:
        message = f"the sentence encoder would need about {whole:.0f} s of the {deadline.left:.0f} s left: left out"
        _tell(watch, message, "warning", expected_seconds=whole)
        return None
    message = f"the sentence encoder reads {encoded.rows:,} rows, in about {seconds:.0f} s"
    _tell(watch, message, expected_seconds=seconds)
    return Embedding(sentences, row_seconds, max(started, 0.0))


def without_tokens(encoded: Encoded) -> Encoded:
    """What is fitted reads vectors or words."""
    return replace(encoded, tokens=None, token_mask=None)


def _tell(watch: Watch, message: str, level: Level = "info", **facts: object) -> None:
    watch(Event("train.sentences", message, level, dict(facts)))
