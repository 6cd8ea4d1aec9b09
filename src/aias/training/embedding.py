"""The sentence encoder of a training: read by name, asked how long it will take and, where there is time, asked once.

Where time is short only the beginnings of the texts are read. What was computed stays in the ledger. What is fitted
sees vectors that were computed beforehand. What is published computes them itself, from tokens.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from aias.core.deadline import Deadline
from aias.core.events import Event, Level, Watch
from aias.core.names import digest_of
from aias.encoders.contract import Floats, Ints
from aias.encoders.rows import Encoded, RowEncoder
from aias.encoders.subwords import LENGTH_MAX
from aias.graph.sentences import SentenceEncoder, Texts, Vectors
from aias.training.ledger import Entry, Ledger
from aias.training.pipeline import Pipeline

LENGTHS: Final = (LENGTH_MAX, 64, 32)
"""Tokens of a text that are read; the first that there is time for."""

TRIED_ROWS: Final = 64
"""For each thread; their vectors tell how long all rows will take."""

PART_TOKENS: Final = 16_384
"""Between two looks at the clock; a second or two of work, and what `--resume` repeats at most."""

SHARE_MAX: Final = 0.6
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


def tried(rows: int, *, threads: int) -> Ints:
    """The places of the rows whose vectors tell how long all rows will take."""
    return np.unique(np.linspace(0, rows - 1, min(rows, TRIED_ROWS * threads)).astype(np.int64))


def embedding_of(
    sentences: SentenceEncoder, some: Encoded, *, rows: int, test_rows: int, length: int | None, ledger: Ledger | None,
    deadline: Deadline, watch: Watch,
) -> Embedding | None:  # fmt: skip
    """How the texts are read in the time there is, by what `some` of the `rows` take; None when there is not enough.

    The longest of `LENGTHS` for which the time suffices, unless `length` says it, or the ledger, because a training
    with the same rows has begun before.
    """
    began = deadline.clock()
    row_seconds = sentences.seconds(some) / some.rows
    start_seconds = max(deadline.clock() - began - row_seconds * some.rows, 0.0)
    key = _key(sentences, "length", some, rows)
    held = ledger.get(key) if ledger else None
    length = length or (int(held.settings["length"]) if held else None)
    for each in LENGTHS if length is None else (length,):
        faster = row_seconds * _shares(some, each)
        seconds, whole = faster * rows, faster * (rows + 2 * test_rows)
        if length or (seconds <= SHARE_MAX * deadline.left and whole <= WITH_TEST_SHARE_MAX * deadline.left):
            if ledger:
                ledger.put(key, Entry({"length": each}, 0.0, False, {}, np.zeros((0, 0))))
            cut = "" if each >= sentences.subwords.length_max else f", of each the first {each} tokens"
            message = f"the sentence encoder reads {rows:,} rows{cut}, in about {seconds:.0f} s"
            _tell(watch, message, expected_seconds=seconds, length=each)
            return Embedding(sentences.shortened(each), faster, start_seconds)
    message = f"the sentence encoder would need about {whole:.0f} s of the {deadline.left:.0f} s left: left out"
    _tell(watch, message, "warning", expected_seconds=whole)
    return None


def embedded(
    embedding: Embedding, encoded: Encoded, *, ledger: Ledger | None, deadline: Deadline, watch: Watch
) -> Encoded | None:
    """The rows with their vectors, part after part, each of which stays in the ledger; None when the time is over."""
    sentences, until = embedding.sentences, deadline.share(WITH_TEST_SHARE_MAX)
    texts = Texts.of(encoded)
    vectors: list[Vectors] = []
    for part in texts.parts(PART_TOKENS):
        if until.passed:
            _tell(watch, "the sentence encoder took longer than it should: left out", "warning")
            return None
        vectors.append(_vectors(sentences, part, ledger))
    return texts.into(encoded, np.concatenate(vectors))


def _vectors(sentences: SentenceEncoder, part: Texts, ledger: Ledger | None) -> Vectors:
    key = digest_of([sentences.graph_digest.encode(), part.tokens.tobytes(), part.mask.tobytes()])
    key = key.removeprefix("sha256:")[:32]
    held = ledger.get(key) if ledger else None
    if held is not None:
        return np.asarray(held.state["vectors"])
    began = time.perf_counter()
    vectors = sentences.vectors(part)
    if ledger:
        ledger.put(key, Entry({}, time.perf_counter() - began, False, {"vectors": vectors}, np.zeros((0, 0))))
    return vectors


def _key(sentences: SentenceEncoder, what: str, some: Encoded, rows: int) -> str:
    assert some.tokens is not None
    parts = [sentences.graph_digest.encode(), what.encode(), some.tokens.tobytes(), str(rows).encode()]
    return digest_of(parts).removeprefix("sha256:")[:32]


def _shares(some: Encoded, length: int) -> float:
    """Of all tokens, those among the first `length` of their texts."""
    lengths = np.asarray(some.token_mask).sum(axis=1)
    return float(np.minimum(lengths, length).sum() / max(lengths.sum(), 1))


def without_tokens(encoded: Encoded) -> Encoded:
    """What is fitted reads vectors or words."""
    return replace(encoded, tokens=None, token_mask=None)


def _tell(watch: Watch, message: str, level: Level = "info", **facts: object) -> None:
    watch(Event("train.sentences", message, level, dict(facts)))
