"""`training/embedding.py`: whether there is the time for a sentence encoder, and what is known of the rows it read."""

import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aias.core.deadline import Deadline
from aias.core.errors import UserError
from aias.core.events import Event, nobody
from aias.core.schema import Field
from aias.data.read import read as read_table
from aias.encoders.rows import Encoded, RowEncoder
from aias.graph.sentences import Texts
from aias.training.embedding import Embedding, KnownRows, embedded, embedding_of, ready_in_time, without_tokens
from aias.training.ledger import Ledger
from aias.training.prepare import prepare
from aias.training.selection.configuration import Configuration, Unit
from clock import Clock

NOTES = ["a b", "c", "a c", "b"]
ENCODER = RowEncoder.fit((Field("note", "text"),), {"note": NOTES})
ENCODED = ENCODER.columns({"note": NOTES}, 4)


WORDS = RowEncoder.fit((Field("note", "text"),), {"note": ["a b c d e f", "g h"]})


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
    """Stands for a sentence encoder, of which the clock says how long it takes: `token_seconds` a token."""

    token_seconds: float
    clock: Clock = field(default_factory=Clock)
    subwords: Subwords = field(default_factory=Subwords)
    graph_digest: str = "sha256:0"
    threads: int = 1
    size_bytes: int = 0
    read: int = 0
    asked: int = 0

    def shortened(self, length: int) -> "Timed":
        return replace(self, subwords=Subwords(length))

    def vectors(self, texts: Texts) -> Any:
        self.read, self.asked = self.read + len(texts.tokens), self.asked + 1
        self.clock.now += self.token_seconds * float(texts.mask.sum())
        return texts.tokens[:, :1].astype(np.float32)


def tokens_of(*lengths: int) -> Encoded:
    """Rows of so many tokens each, all different."""
    mask = np.arange(max(lengths)) < np.array(lengths)[:, None]
    tokens = np.where(mask, np.arange(1, len(lengths) + 1)[:, None], 0)
    columns = np.empty((len(lengths), 0))
    return Encoded(columns, np.zeros(0, np.int64), np.zeros((0, 1), np.int64), 1, tokens, mask)


def asked(encoder: Timed, some: Encoded, told: list[Event], **changes: Any) -> Any:
    usual = {"rows": some.rows, "test_rows": 0, "length": None, "ledger": None}
    deadline = Deadline.after(changes.pop("seconds", 20), encoder.clock)
    return embedding_of(encoder, some, **usual | changes, deadline=deadline, watch=told.append)  # type: ignore[arg-type]


@pytest.fixture
def without_proofs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aias.training.embedding.PROVED_CALLS", 0)


@pytest.mark.usefixtures("without_proofs")
@pytest.mark.parametrize(("row_seconds", "test_rows", "there"), [(1, 0, True), (4, 0, False), (1, 9, False)])
def test_a_share_of_the_time_must_be_enough_for_all_rows(row_seconds: float, test_rows: int, there: bool) -> None:
    told: list[Event] = []
    found = asked(Timed(row_seconds / 16), tokens_of(5, 9, 20, 30), told, test_rows=test_rows)
    assert (found is not None) is there
    assert ("left out" in told[0].message) is not there


def test_the_rows_of_the_proofs_are_reckoned_with() -> None:
    assert asked(Timed(0.01), tokens_of(9, 9, 9, 9), [], seconds=40) is None
    assert asked(Timed(0.01), tokens_of(9, 9, 9, 9), [], seconds=400) is not None


@pytest.mark.usefixtures("without_proofs")
def test_where_time_is_short_the_beginnings_of_texts_are_read() -> None:
    told: list[Event] = []
    found = asked(Timed(5.0 / 128), tokens_of(128, 128, 128), told, seconds=26)
    assert found.sentences.subwords.length_max == 64
    assert found.row_seconds == pytest.approx(2.5)
    assert "the first 64 tokens" in told[0].message


@pytest.mark.usefixtures("without_proofs")
def test_finding_out_how_long_it_takes_takes_no_longer_than_its_share() -> None:
    slow, quick = Timed(1.0), Timed(0.0001)
    some = tokens_of(*[10] * 128)
    asked(slow, some, [], seconds=400)
    asked(quick, some, [], seconds=400)
    assert slow.clock.now == pytest.approx(0.05 * 400, abs=20)
    assert slow.read < 10 < quick.read


@dataclass
class Disturbed(Timed):
    """Ten times as slow for so many calls: something else ran on the machine."""

    calls: int = 0

    def vectors(self, texts: Texts) -> Any:
        slow = 10 if self.asked < self.calls else 1
        self.clock.now += (slow - 1) * self.token_seconds * float(texts.mask.sum())
        return super().vectors(texts)


@pytest.mark.usefixtures("without_proofs")
@pytest.mark.parametrize(("calls", "there"), [(0, True), (4, True), (1_000, False)])
def test_an_encoder_that_seems_too_slow_is_tried_again(calls: int, there: bool) -> None:
    told: list[Event] = []
    disturbed = Disturbed(0.001, calls=calls)
    found = asked(disturbed, tokens_of(*[10] * 128), told, rows=2_000, seconds=100)
    assert (found is not None) is there, told[-1].message
    assert disturbed.clock.now <= 0.05 * 100 + 13, "no further try is begun after the share of the time for them"
    if there:
        assert found.sentences.subwords.length_max == 128
        assert found.token_seconds == pytest.approx(0.001)


def test_one_slow_part_at_first_is_not_hopeless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aias.training.embedding.PART_TOKENS", (100, 100))
    disturbed, told = Disturbed(0.01, calls=1), list[Event]()
    embedding = Embedding(disturbed, 0.0, 0.0, 0.01)  # type: ignore[arg-type]
    deadline = Deadline.after(400, disturbed.clock)
    encoded = tokens_of(*[10] * 800)
    assert embedded(embedding, encoded, ledger=Ledger(tmp_path), deadline=deadline, watch=told.append) is not None


def test_an_encoder_that_is_not_ready_in_its_share_is_not_waited_for() -> None:
    told: list[Event] = []
    go_on = threading.Event()
    late = threading.Event()

    def make(watch: Any) -> None:
        go_on.wait(600)
        watch(Event("train.sentences", "the sentence encoder reads 3 rows"))
        late.set()

    assert ready_in_time(make, deadline=Deadline.after(0.1), watch=told.append) is None
    go_on.set()
    assert late.wait(600)
    assert [event.message for event in told] == ["the sentence encoder was not ready after 0 s: left out"]


def test_what_goes_wrong_with_an_encoder_is_raised_where_it_is_waited_for() -> None:
    def make(watch: Any) -> None:
        raise UserError("there is no folder `x`")

    with pytest.raises(UserError, match="no folder"):
        ready_in_time(make, deadline=Deadline.after(1_000), watch=lambda _: None)


def test_a_name_that_nobody_has_is_refused_however_little_time_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aias.training.embedding.READY_SHARE", 0.0)  # of no encoder is heard in time
    rows = read_table({"note": ["good film", "bad film"] * 30, "y": ["a", "b"] * 30}, target="y")
    with pytest.raises(UserError, match="`nobody/no-such-encoder` is no folder"):
        prepare(
            rows, target="y", metric=None, how="random", test=None, given=None, seconds=5.0, folds=3,
            sentences="nobody/no-such-encoder", seed=0, watch=nobody,
        )  # fmt: skip


@pytest.mark.usefixtures("without_proofs")
def test_what_was_decided_before_stays_as_it_is(tmp_path: Path) -> None:
    some, ledger = tokens_of(128, 128, 127), Ledger(tmp_path)
    first = asked(Timed(5.0 / 128), some, [], ledger=ledger, seconds=26)
    again = asked(Timed(0.0001), some, [], ledger=ledger)
    assert again.sentences.subwords.length_max == first.sentences.subwords.length_max == 64
    assert asked(Timed(500.0), some, [], length=128).sentences.subwords.length_max == 128


def read(encoder: Timed, encoded: Encoded, ledger: Ledger, *, seconds: float = 1_000.0) -> Encoded | None:
    embedding = Embedding(encoder, 0.0, 0.0, encoder.token_seconds)  # type: ignore[arg-type]
    deadline = Deadline.after(seconds, encoder.clock)
    return embedded(embedding, encoded, ledger=ledger, deadline=deadline, watch=lambda _: None)


def test_what_was_read_before_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aias.training.embedding.PART_TOKENS", (10, 10))
    encoded, ledger = tokens_of(5, 5, 7, 9), Ledger(tmp_path)
    interrupted, second, third = Timed(1.0), Timed(1.0), Timed(1.0)
    assert read(interrupted, encoded, ledger, seconds=20.0) is None
    assert 0 < interrupted.read < 4
    found = read(second, encoded, ledger)
    assert second.read == 4 - interrupted.read
    assert found is not None and found.vectors is not None
    np.testing.assert_array_equal(found.vectors[:, 0], [1, 2, 3, 4])
    other_rows = read(third, encoded.take(np.array([3, 1])), Ledger(tmp_path))
    assert third.read == 0 and other_rows is not None and other_rows.vectors is not None
    np.testing.assert_array_equal(other_rows.vectors[:, 0], [4, 2])


def test_models_of_a_home_share_what_was_read_and_nobody_else_does(tmp_path: Path) -> None:
    encoded, first, second = tokens_of(5, 5), Timed(1.0), Timed(1.0)
    read(first, encoded, Ledger(tmp_path / "churn", of_home=True))
    read(second, encoded, Ledger(tmp_path / "churn-2", of_home=True))
    assert (first.read, second.read) == (2, 0)
    alone = Timed(1.0)
    read(alone, encoded, Ledger(tmp_path / "aias-x1"))
    assert alone.read == 2


def test_a_machine_that_gets_slow_is_noticed_before_the_share_is_over(tmp_path: Path) -> None:
    encoded, ledger = tokens_of(*[10] * 400), Ledger(tmp_path)
    slow = Timed(0.1)  # it was tried when a token took a tenth of that
    embedding = Embedding(slow, 0.0, 0.0, 0.01)  # type: ignore[arg-type]
    told: list[Event] = []
    deadline = Deadline.after(120, slow.clock)
    assert embedded(embedding, encoded, ledger=ledger, deadline=deadline, watch=told.append) is None
    assert slow.clock.now < 60
    assert "slower than it should" in told[0].message


@pytest.mark.parametrize("load", [1, 20])
def test_reading_stops_within_a_second_or_two_of_its_share(tmp_path: Path, load: int) -> None:
    slow = Timed(0.0001 * load)
    encoded = tokens_of(*[30] * 3_000)
    embedding = Embedding(slow, 0.0, 0.0, slow.token_seconds)  # type: ignore[arg-type]
    deadline = Deadline.after(4, slow.clock)
    embedded(embedding, encoded, ledger=Ledger(tmp_path), deadline=deadline, watch=lambda _: None)
    assert slow.clock.now <= 3 + 2


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
