"""The sentence encoder of a training: read by name, asked how long it will take and, where there is time, asked once.

Where time is short only the beginnings of the texts are read. The clock is looked at as reading goes, short texts
first; when its share of the time is over, training goes on without. What was read is kept (`vectors.py`). What is
fitted sees vectors that were computed beforehand. What is published computes them itself, from tokens.
"""

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from aias.core.arrays import Floats, Ints
from aias.core.deadline import Deadline
from aias.core.evenly import evenly
from aias.core.events import Event, Level, Watch
from aias.core.names import short_digest
from aias.encoders.rows import Encoded, RowEncoder
from aias.encoders.subwords import LENGTH_MAX
from aias.graph.sentences import SentenceEncoder, Texts, Vectors
from aias.training.ledger import Entry, Ledger
from aias.training.pipeline import Pipeline
from aias.training.vectors import KeptVectors

LENGTHS: Final = (LENGTH_MAX, 64, 32)
"""Tokens of a text that are read; the first that there is time for."""

READY_SHARE: Final = 0.3
"""Of the time left for the encoder to be read, compiled and tried: two or three seconds, but on a busy machine
minutes."""

TRIED_ROWS: Final = 64
"""For each thread; their vectors tell how long all rows will take."""

TRY_SHARE: Final = 0.05
"""Of the time left that finding this out may take; on a busy machine fewer rows must do."""

PART_SECONDS: Final = 1.0
"""Of reading between two looks at the clock, and what `--resume` repeats at most."""

PART_TOKENS: Final = (512, 16_384)
"""Of one part, at least and at most: what is less does not keep the threads busy."""

HOPELESS: Final = 1.5
"""What is left to read may seem to take so many times the time for it: beyond that reading ends at once."""

SHARE_MAX: Final = 0.6
"""Of the time left that the vectors of the rows to learn from may take."""

WHOLE_SHARE_MAX: Final = 0.75
"""The same with all that both forms read when they are finished: the test rows, and the rows of their proofs."""

FORMS: Final = 2

PROVED_CALLS: Final = 400
"""Times the sentence encoder reads a row while a form is proved: 100 rows, edge cases, three times each."""

SEALED_BYTES_A_SECOND: Final = 100e6
"""Copied, hashed, written and flushed."""

KNOWN_SECONDS_MAX: Final = 1.0
KNOWN_CALLS_MIN: Final = 8
"""Single rows that are timed at least, however slow they are."""

TRIES: Final = 3
"""Of how quickly it reads, before it is believed that there is no time for it: others on the machine come and go."""

SURE_SHARE: Final = 0.3
"""Of the time for reading: what is left is called hopeless by one slow part only where it took more."""

Row = Mapping[str, object]


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """A sentence encoder that had the time. `row_seconds`: of one row among many; `start_seconds`: to get it going."""

    sentences: SentenceEncoder
    row_seconds: float
    start_seconds: float
    token_seconds: float = 0.0
    """Of one token among many."""

    def finish_seconds(self, *, alone_seconds: float, test_rows: int, load: float = 1.0) -> float:
        """What it adds to finishing one form. `alone_seconds`: of a row by itself; `load`: how many times slower than
        when it was tried everything is by now."""
        read = PROVED_CALLS * alone_seconds + test_rows * self.row_seconds
        return load * (self.start_seconds + read) + self.sentences.size_bytes / SEALED_BYTES_A_SECOND

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
        seconds = usual_seconds(rows, encoder, sentences, most=KNOWN_SECONDS_MAX)
        places = {id(row): place for place, row in enumerate(rows)}
        return cls(sentences.embedded(encoder.rows(rows)), places, seconds * 1e6)

    @property
    def width(self) -> int:
        """Of the vectors."""
        assert self.encoded.vectors is not None
        return int(self.encoded.vectors.shape[1])

    def one(self, row: Row) -> Encoded:
        return self.rows([row])

    def rows(self, rows: Sequence[Row]) -> Encoded:
        return self.encoded.take(np.array([self.places[id(row)] for row in rows]))


def usual_seconds(rows: Sequence[Row], encoder: RowEncoder, sentences: SentenceEncoder, *, most: float) -> float:
    """To encode one of the rows and compute its vectors, now: the median of those tried in about `most` seconds."""
    spent: list[float] = []
    for row in rows:
        before = time.perf_counter()
        sentences.embedded(encoder.one(row))
        spent.append(time.perf_counter() - before)
        if sum(spent) > most and len(spent) >= KNOWN_CALLS_MIN:
            break
    return float(np.median(spent))


def sentences_for(name: str | None, encoder: RowEncoder, *, threads: int, watch: Watch) -> SentenceEncoder | None:
    """The sentence encoder that was asked for, if there are texts for it. Raises `UserError`."""
    if name is None:
        return None
    if not encoder.layout.texts:
        _tell(watch, "no column holds texts: the sentence encoder has nothing to read", "warning")
        return None
    found = SentenceEncoder.read(name, texts=encoder.layout.texts, threads=threads)
    return replace(found, transformer=found.whole.with_middle())


def ready_in_time(make: Callable[[Watch], Embedding | None], *, deadline: Deadline, watch: Watch) -> Embedding | None:
    """What `make` gives, if it is there when its share of the time is over: else training goes on without it.

    What is begun cannot be broken off, only left alone; nothing that it says later is heard.
    """
    told: queue.SimpleQueue[tuple[Embedding | None, BaseException | None]] = queue.SimpleQueue()
    waiting = threading.Event()
    waiting.set()

    def heard(event: Event) -> None:
        if waiting.is_set():
            watch(event)

    def run() -> None:
        try:
            told.put((make(heard), None))
        except BaseException as fault:  # noqa: BLE001  raised again by whoever waits
            told.put((None, fault))

    share = deadline.share(READY_SHARE)
    threading.Thread(target=run, name="aias-sentences", daemon=True).start()
    try:
        found, fault = told.get(timeout=share.left)
    except queue.Empty:
        waiting.clear()
        message = f"the sentence encoder was not ready after {share.seconds:.0f} s: left out"
        _tell(watch, message, "warning", expected_seconds=share.seconds)
        return None
    if fault is not None:
        raise fault
    return found


def tried(rows: int, *, threads: int) -> Ints:
    """The places of the rows whose vectors tell how long all rows will take."""
    return evenly(rows, TRIED_ROWS * threads)


def embedding_of(
    sentences: SentenceEncoder, some: Encoded, *, rows: int, test_rows: int, length: int | None, ledger: Ledger | None,
    deadline: Deadline, watch: Watch,
) -> Embedding | None:  # fmt: skip
    """How the texts are read in the time there is, by what `some` of the `rows` take; None when there is not enough.

    The longest of `LENGTHS` for which the time suffices, unless `length` says it, or the ledger, because a training
    with the same rows has begun before.
    """
    texts, until = Texts.of(some), deadline.share(TRY_SHARE)
    key = _key(sentences, "length", some, rows)
    held = ledger.get(key) if ledger else None
    length = length or (int(held.settings["length"]) if held else None)
    unread = 1 - _known_share(sentences, texts, ledger)
    paces = [_tried(sentences, texts, until)]
    while True:
        token_seconds, start_seconds = np.min(paces, axis=0).tolist()
        row_seconds = token_seconds * float(texts.mask.sum()) / some.rows
        plans: list[_Plan] = []
        for each in LENGTHS if length is None else (length,):
            faster = row_seconds * _shares(some, each)
            found = Embedding(sentences.shortened(each), faster, start_seconds, token_seconds)
            # What is known is so of whole texts; their beginnings are other texts.
            seconds = faster * rows * (unread if each >= LENGTH_MAX else 1)
            finish_seconds = found.finish_seconds(alone_seconds=faster * sentences.threads, test_rows=test_rows)
            plans.append(_Plan(found, each, seconds, seconds + FORMS * finish_seconds))
        in_time = [each for each in plans if length or each.is_in_time(deadline.left)]
        if in_time[:1] == plans[:1] or until.passed or len(paces) == TRIES:
            break
        paces.append(_tried(sentences, texts, until))
    if not in_time:
        whole = plans[-1].whole
        message = f"the sentence encoder would need about {whole:.0f} s of the {deadline.left:.0f} s left: left out"
        _tell(watch, message, "warning", expected_seconds=whole)
        return None
    plan = in_time[0]
    if ledger:
        ledger.put(key, Entry({"length": plan.length}, 0.0, False, {}, np.zeros((0, 0))))
    cut = "" if plan.length >= sentences.subwords.length_max else f", of each the first {plan.length} tokens"
    message = f"the sentence encoder reads {rows:,} rows{cut}, in about {plan.seconds:.0f} s"
    _tell(watch, message, expected_seconds=plan.seconds, length=plan.length)
    return plan.embedding


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """To read the first `length` tokens of each text: in `seconds`, and `whole` with what finishing reads."""

    embedding: Embedding
    length: int
    seconds: float
    whole: float

    def is_in_time(self, left: float) -> bool:
        return self.seconds <= SHARE_MAX * left and self.whole <= WHOLE_SHARE_MAX * left


def _tried(sentences: SentenceEncoder, texts: Texts, until: Deadline) -> tuple[float, float]:
    """Seconds of a token among many, and of getting it going: by more and more texts until all are through or the time
    for it is over."""
    clock, order = until.clock, np.random.default_rng(0).permutation(len(texts.tokens))
    began = clock()
    sentences.vectors(texts.part(order[:1]))  # the first run makes room in memory
    start_seconds, token_seconds = clock() - began, 0.0
    at, count = 0, 1
    while at < len(order):
        if len(order) - at - count < count:  # the last part is the largest: its pace is that of many
            count = len(order) - at
        part = texts.part(np.sort(order[at : at + count]))
        began = clock()
        sentences.vectors(part)
        token_seconds = (clock() - began) / max(int(part.mask.sum()), 1)
        at, count = at + count, 4 * count
        if until.passed:
            break
    return token_seconds, max(start_seconds - token_seconds * int(texts.mask[order[0]].sum()), 0.0)


def embedded(
    embedding: Embedding, encoded: Encoded, *, ledger: Ledger | None, deadline: Deadline, watch: Watch
) -> Encoded | None:
    """The rows with their vectors, part after part, each of which is kept; None when the time for it is over."""
    sentences, until = embedding.sentences, deadline.share(WHOLE_SHARE_MAX)
    texts = Texts.of(encoded)
    kept = KeptVectors(ledger.vectors, sentences.graph_digest) if ledger else None
    found = [kept.known(texts)] if kept else []
    missing = np.setdiff1d(
        np.arange(len(texts.tokens)), found[0][0] if found else []
    )  # short ones first, as they stand
    ends = texts.mask[missing].sum(axis=1).cumsum()
    at, parts, began, pace, last_pace = 0, 0, until.clock(), embedding.token_seconds, 0.0
    while at < len(missing):
        read = int(ends[at - 1]) if at else 0
        sure = parts > 1 or until.clock() - began > SURE_SHARE * until.seconds
        # Something else may have run beside what was read before: the last part is asked, too.
        if until.passed or (sure and min(pace, last_pace) * (int(ends[-1]) - read) > HOPELESS * until.left):
            message = f"the sentence encoder has read {at:,} of {len(missing):,} texts, slower than it should: left out"
            _tell(watch, message, "warning", read=at, texts=len(missing))
            return None
        end = max(at + 1, int(np.searchsorted(ends, read + _part_tokens(pace), side="right")))
        part, before = texts.part(missing[at:end]), until.clock()
        found.append((missing[at:end], sentences.vectors(part)))
        if kept:
            kept.keep(part, found[-1][1])
        last_pace = (until.clock() - before) / max(int(ends[end - 1]) - read, 1)
        pace = (until.clock() - began) / max(int(ends[end - 1]), 1)
        at, parts = end, parts + 1
    return texts.into(encoded, _in_order(found, len(texts.tokens)))


def _part_tokens(pace: float) -> int:
    """What is read before the clock is looked at again."""
    least, most = PART_TOKENS
    return int(min(max(PART_SECONDS / max(pace, 1e-9), least), most))


def _in_order(found: Sequence[tuple[Ints, Vectors]], count: int) -> Vectors:
    width = max(each.shape[1] for _, each in found)
    vectors = np.zeros((count, width), np.float32)
    for places, each in found:
        if len(places):
            vectors[places] = each
    return vectors


def _known_share(sentences: SentenceEncoder, texts: Texts, ledger: Ledger | None) -> float:
    """Of the tokens of these texts, those that were read before."""
    if ledger is None:
        return 0.0
    places, _ = KeptVectors(ledger.vectors, sentences.graph_digest).known(texts)
    return float(texts.mask[places].sum() / max(texts.mask.sum(), 1))


def _key(sentences: SentenceEncoder, what: str, some: Encoded, rows: int) -> str:
    assert some.tokens is not None
    return short_digest([sentences.graph_digest.encode(), what.encode(), some.tokens.tobytes(), str(rows).encode()])


def _shares(some: Encoded, length: int) -> float:
    """Of all tokens, those among the first `length` of their texts."""
    lengths = np.asarray(some.token_mask).sum(axis=1)
    return float(np.minimum(lengths, length).sum() / max(lengths.sum(), 1))


def without_tokens(encoded: Encoded) -> Encoded:
    """What is fitted reads vectors or words."""
    return replace(encoded, tokens=None, token_mask=None)


def _tell(watch: Watch, message: str, level: Level = "info", **facts: object) -> None:
    watch(Event("train.sentences", message, level, dict(facts)))
