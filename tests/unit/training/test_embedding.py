"""`training/embedding.py`: whether there is the time for a sentence encoder, and what is known of the rows it read."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aias.core.deadline import Deadline
from aias.core.events import Event
from aias.core.schema import Field
from aias.encoders.rows import Encoded, RowEncoder
from aias.graph.sentences import Texts
from aias.training.configuration import Configuration, Unit
from aias.training.embedding import Embedding, KnownRows, embedded, embedding_of, without_tokens
from aias.training.ledger import Ledger

NOTES = ["a b", "c", "a c", "b"]
ENCODER = RowEncoder.fit((Field("note", "text"),), {"note": NOTES})
ENCODED = ENCODER.columns({"note": NOTES}, 4)


WORDS = RowEncoder.fit((Field("note", "text"),), {"note": ["a b c d e f", "g h"]})


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Slow:
    """Stands for a sentence encoder that takes so many seconds for each row, whatever its length."""

    row_seconds: float
    asked: int = 0

    def embedded(self, encoded: Encoded) -> Encoded:
        self.asked += 1
        return replace(encoded, vectors=np.full((encoded.rows, 3), encoded.term_ids.sum(), np.float32))


@dataclass
class Subwords:
    length_max: int = 128


@dataclass
class Timed:
    """Stands for a sentence encoder, of which the clock says how long it takes: `row_seconds` a row, for all tokens."""

    row_seconds: float
    clock: Clock = field(default_factory=Clock)
    subwords: Subwords = field(default_factory=Subwords)
    graph_digest: str = "sha256:0"
    read: int = 0

    def seconds(self, encoded: Encoded) -> float:
        return self.row_seconds * encoded.rows

    def shortened(self, length: int) -> "Timed":
        return replace(self, subwords=Subwords(length))

    def vectors(self, texts: Texts) -> Any:
        self.read += len(texts.tokens)
        self.clock.now += self.row_seconds * len(texts.tokens)
        return texts.tokens[:, :1].astype(np.float32)


def tokens_of(*lengths: int) -> Encoded:
    """Rows of so many tokens each, all different."""
    mask = np.arange(max(lengths)) < np.array(lengths)[:, None]
    tokens = np.where(mask, np.arange(1, len(lengths) + 1)[:, None], 0)
    columns = np.empty((len(lengths), 0))
    return Encoded(columns, np.zeros(0, np.int64), np.zeros((0, 1), np.int64), 1, tokens, mask)


def asked(encoder: Timed, some: Encoded, told: list[Event], **changes: Any) -> Any:
    usual = {"rows": some.rows, "test_rows": 0, "length": None, "ledger": None}
    deadline = Deadline.after(20, encoder.clock)
    return embedding_of(encoder, some, **usual | changes, deadline=deadline, watch=told.append)  # type: ignore[arg-type]


@pytest.mark.parametrize(("row_seconds", "test_rows", "there"), [(1, 0, True), (4, 0, False), (1, 9, False)])
def test_a_share_of_the_time_must_be_enough_for_all_rows(row_seconds: float, test_rows: int, there: bool) -> None:
    told: list[Event] = []
    found = asked(Timed(row_seconds), tokens_of(5, 9, 20, 30), told, test_rows=test_rows)
    assert (found is not None) is there
    assert ("left out" in told[0].message) is not there


def test_where_time_is_short_the_beginnings_of_texts_are_read() -> None:
    told: list[Event] = []
    found = asked(Timed(5.0), tokens_of(128, 128, 128), told)
    assert found.sentences.subwords.length_max == 64
    assert found.row_seconds == 2.5
    assert "the first 64 tokens" in told[0].message


def test_what_was_decided_before_stays_as_it_is(tmp_path: Path) -> None:
    some, ledger = tokens_of(128, 128, 127), Ledger(tmp_path)
    first = asked(Timed(5.0), some, [], ledger=ledger)
    again = asked(Timed(0.1), some, [], ledger=ledger)
    assert again.sentences.subwords.length_max == first.sentences.subwords.length_max == 64
    assert asked(Timed(500.0), some, [], length=128).sentences.subwords.length_max == 128


def read(encoder: Timed, encoded: Encoded, ledger: Ledger, *, seconds: float = 1_000.0) -> Encoded | None:
    embedding = Embedding(encoder, encoder.row_seconds, 0.0)  # type: ignore[arg-type]
    deadline = Deadline.after(seconds, encoder.clock)
    return embedded(embedding, encoded, ledger=ledger, deadline=deadline, watch=lambda _: None)


def test_what_was_read_before_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aias.training.embedding.PART_TOKENS", 10)
    encoded, ledger = tokens_of(5, 5, 7, 9), Ledger(tmp_path)
    interrupted, second = Timed(1.0), Timed(1.0)
    assert read(interrupted, encoded, ledger, seconds=2.0) is None
    assert 0 < interrupted.read < 4
    found = read(second, encoded, ledger)
    assert second.read == 4 - interrupted.read
    assert found is not None and found.vectors is not None
    np.testing.assert_array_equal(found.vectors[:, 0], [1, 2, 3, 4])


def test_another_encoder_reads_for_itself(tmp_path: Path) -> None:
    encoded, ledger = tokens_of(5, 5), Ledger(tmp_path)
    read(Timed(1.0), encoded, ledger)
    other = Timed(1.0, graph_digest="sha256:1")
    read(other, encoded, ledger)
    assert other.read == 2


def test_rows_that_are_known_are_read_once_for_all_members() -> None:
    rows: list[dict[str, object]] = [{"note": note} for note in NOTES]
    slow = Slow(0.0)
    known = KnownRows.of(rows, ENCODER, slow)  # type: ignore[arg-type]
    asked = slow.asked
    assert known.width == 3
    np.testing.assert_array_equal(known.one(rows[2]).term_ids, ENCODER.one(rows[2]).term_ids)
    assert known.rows(rows[1:3]).rows == 2
    assert slow.asked == asked


def test_what_is_fitted_keeps_no_tokens() -> None:
    tokens = np.zeros((4, 2), np.int64)
    held = without_tokens(replace(ENCODED, tokens=tokens, token_mask=tokens == 0))
    assert held.tokens is None and held.token_mask is None
    assert held.rows == 4


def test_a_unit_is_named_by_its_features_only_where_it_names_any() -> None:
    plain = Configuration("linear", "linear")
    keys = [Unit(each, 0, 0).key("table") for each in (plain, replace(plain, features=("sentences", "terms")))]
    assert keys[0] == Unit(Configuration("another name", "linear"), 0, 0).key("table")
    assert keys[0] != keys[1]
