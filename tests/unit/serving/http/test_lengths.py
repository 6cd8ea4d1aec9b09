"""What the length of a body means is judged once for each head and each load of a model."""

from dataclasses import replace
from itertools import count
from typing import cast

import pytest

from aias.serving.bounds import Bounds
from aias.serving.http.heads import Head
from aias.serving.http.lengths import ELSEWHERE, LONG, MANY, MODELS_MAX, SHORT, Lengths, rows_in
from aias.serving.http.messages import Reply
from aias.serving.http.routes import Route
from aias.serving.versions.model import Model

ROUTE = Route("POST", "/predict/{endpoint}", "predict", lambda _request: Reply(b""))
BOUNDS = Bounds(light_body_bytes=1_000, inline_seconds=0.005)


class Asked:
    """A model of which a byte takes a microsecond; who asks how long that is is counted."""

    serials = count()

    def __init__(self) -> None:
        self.serial, self.asked, self.row_seconds = next(self.serials), 0, 1e-5

    def seconds_for(self, body_bytes: int) -> float:
        self.asked += 1
        return body_bytes * 1e-6

    def runs_inline(self, body_bytes: int, _bounds: Bounds) -> bool:
        return body_bytes * 1e-6 <= BOUNDS.inline_seconds


class Rules:
    def pay(self, _model: object, body_bytes: int) -> bool:
        return body_bytes == 777

    def is_long(self, _model: object, body_bytes: int) -> bool:
        return body_bytes > 500


LENGTHS = Lengths(BOUNDS, Rules(), Rules())


def head(size: int | None) -> Head:
    return Head("/predict/churn", {}, ROUTE, {"endpoint": "churn"}, size)


def of(known: Head, model: Asked, size: int) -> object:
    return LENGTHS.of(known, cast("Model", model), b" " * size)


def test_a_body_is_short_or_long_or_has_to_go_elsewhere() -> None:
    found = {size: of(head(size), Asked(), size) for size in (10, 500, 501, 777, 1_000, 1_001)}

    assert found == {10: SHORT, 500: SHORT, 501: LONG, 777: ELSEWHERE, 1_000: LONG, 1_001: ELSEWHERE}


def test_it_is_judged_once_for_each_load_of_a_model() -> None:
    known, model, loaded_again = head(10), Asked(), Asked()
    for each in (model, model, loaded_again, model):
        assert of(known, each, 10) is SHORT

    assert (model.asked, loaded_again.asked) == (1, 1)


def test_a_body_of_another_length_than_its_head_says_is_judged_by_itself() -> None:
    known, model = head(None), Asked()

    assert of(known, model, 10) is SHORT
    assert of(known, model, 600) is LONG
    assert not known.lengths


def test_of_many_loads_few_are_remembered() -> None:
    known = head(10)
    for _ in range(3 * MODELS_MAX):
        of(known, Asked(), 10)

    assert len(known.lengths) <= MODELS_MAX


LIST, LINES = b"[" + b",".join([b"{}"] * 60) + b"]", b"\n".join([b"{}"] * 60)


@pytest.mark.parametrize(
    ("body", "by_lines", "rows"),
    [(LIST, False, 60), (b" \n" + LIST, False, 60), (LINES, True, 60), (LINES, False, 1), (b'{"a": {}}', False, 1)],
)
def test_of_many_short_rows_a_body_goes_elsewhere_however_few_bytes_it_has(
    body: bytes, rows: int, *, by_lines: bool
) -> None:
    known, fast, slow = replace(head(len(body)), by_lines=by_lines), Asked(), Asked()
    slow.row_seconds = 1e-4
    found = [LENGTHS.of(known, cast("Model", each), body) for each in (fast, slow)]

    assert rows_in(body, by_lines=by_lines) == rows
    assert found == [SHORT, MANY if rows == 60 else SHORT]


def test_of_what_is_too_large_to_be_read_there_and_then_rows_are_counted_too() -> None:
    body, model = LIST.ljust(2_000), Asked()
    model.row_seconds = 1e-4

    assert LENGTHS.of(head(len(body)), cast("Model", model), body) is MANY
    assert LENGTHS.of(head(6_000), cast("Model", model), LIST.ljust(6_000)) is ELSEWHERE


@pytest.mark.parametrize("told", [True, False])
def test_the_next_of_that_length_is_known_not_to_run_on_the_loop_before_it_is_read(*, told: bool) -> None:
    known, model, other = head(len(LIST) if told else None), Asked(), Asked()
    model.row_seconds = other.row_seconds = 1e-4
    model_, other_ = cast("Model", model), cast("Model", other)
    before = LENGTHS.runs_inline(known, model_)
    assert LENGTHS.of(known, model_, LIST) is MANY

    assert [before, LENGTHS.runs_inline(known, model_), LENGTHS.runs_inline(known, other_)] == [True, not told, True]
    assert LENGTHS.of(known, model_, b" " * len(LIST)) is (MANY if told else SHORT)
