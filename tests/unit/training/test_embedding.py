"""`training/embedding.py`: whether there is the time for a sentence encoder, and what is known of the rows it read."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from aias.core.deadline import Deadline
from aias.core.events import Event
from aias.core.schema import Field
from aias.encoders.rows import Encoded, RowEncoder
from aias.training.configuration import Configuration, Unit
from aias.training.embedding import KnownRows, embedding_of, without_tokens

NOTES = ["a b", "c", "a c", "b"]
ENCODER = RowEncoder.fit((Field("note", "text"),), {"note": NOTES})
ENCODED = ENCODER.columns({"note": NOTES}, 4)


@dataclass
class Slow:
    """Stands for a sentence encoder that takes so many seconds for each row."""

    row_seconds: float
    asked: int = 0

    def expected_seconds(self, encoded: Encoded) -> float:
        return self.row_seconds * encoded.rows

    def tried_rows(self, encoded: Encoded) -> int:
        return encoded.rows

    def embedded(self, encoded: Encoded) -> Encoded:
        self.asked += 1
        return replace(encoded, vectors=np.full((encoded.rows, 3), encoded.term_ids.sum(), np.float32))


@pytest.mark.parametrize(("row_seconds", "test_rows", "there"), [(1, 0, True), (3, 0, False), (1, 9, False)])
def test_half_of_the_time_must_be_enough_for_all_rows(row_seconds: float, test_rows: int, there: bool) -> None:
    told: list[Event] = []
    clock: Any = lambda: 0.0  # noqa: E731
    deadline = Deadline.after(20, clock)
    found = embedding_of(Slow(row_seconds), ENCODED, test_rows=test_rows, deadline=deadline, watch=told.append)  # type: ignore[arg-type]
    assert (found is not None) is there
    assert ("left out" in told[0].message) is not there


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
