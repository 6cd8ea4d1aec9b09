"""Codes that begin alike, and grades."""

import hashlib

import numpy as np
import polars as pl
import pytest

from aias.core.schema import Field
from aias.data.read import read
from aias.data.types.codes import are_lists
from aias.data.types.kinds import guess

RNG = np.random.default_rng(0)
CHAPTERS = RNG.choice(list("ABCDEFGHIJ"), 600)
DIAGNOSES = [f"{chapter}{RNG.integers(30):02d}.{RNG.integers(10)}" for chapter in CHAPTERS]
ARTICLES = [f"{RNG.choice(['TX', 'QA', 'LM'])}-{RNG.integers(100, 999)}-{RNG.choice(list('ABC'))}" for _ in range(400)]


def field_of(values: list[str], *, target: bool = False) -> Field:
    table = {"x": values, "other": RNG.normal(size=len(values)).tolist(), "y": RNG.normal(size=len(values)).tolist()}
    return read(table, target="x" if target else "y").schema["x"]


@pytest.mark.parametrize("values", [DIAGNOSES, ARTICLES])
def test_codes_that_begin_alike_are_read_by_their_parts(values: list[str]) -> None:
    field = field_of(values)

    assert (field.kind, field.role) == ("text", "input")


@pytest.mark.parametrize(
    "values",
    [
        [f"ID{i * 7919 % 100_003:06}" for i in range(2_000)],
        [f"{i * 7919 % 100_003:05}-AB" for i in range(2_000)],
        [hashlib.sha256(str(i).encode()).hexdigest()[:12] for i in range(8_000)],
        [f"user{i}" for i in RNG.permutation(2_000)],
    ],
    ids=["one beginning", "digits first", "digests", "one word"],
)
def test_codes_that_begin_alike_by_chance_or_all_of_them_are_identifiers(values: list[str]) -> None:
    assert field_of(values).role == "ignored"


def test_codes_of_many_rows_each_are_categories() -> None:
    assert field_of(DIAGNOSES[:120] * 10).kind == "category"


@pytest.mark.parametrize("target", [False, True])
@pytest.mark.parametrize("grades", [["1", "2", "2-", "3", "3-"], ["1", "1-", "2+", "2", "2-", "3+"], ["10+", "11-"]])
def test_a_sign_behind_a_grade_is_no_minus(grades: list[str], target: bool) -> None:
    assert field_of(grades * 30, target=target).kind == "category"


@pytest.mark.parametrize(
    "amounts",
    [[f"{i}-" if i % 3 else f"{i}" for i in range(1, 200)], [f"{i}.50-" for i in range(9)] * 9, ["-1", "2"] * 50],
)
def test_a_minus_behind_an_amount_is_one(amounts: list[str]) -> None:
    assert field_of(amounts).kind == "number"


@pytest.mark.parametrize("mark", [";", "|", ","])
def test_lists_of_a_few_things_are_read_by_their_parts(mark: str) -> None:
    names = ["drama", "crime", "war", "music", "horror", "family", "sport", "news"]
    values = [mark.join(name for place, name in enumerate(names) if at >> place & 1) for at in range(1, 256)]
    found = guess(pl.Series("v", values))
    assert (found.kind, guess(pl.Series("v", values * 3)).kind) == ("text", "category")


def test_pairs_of_which_each_part_stands_alone_are_no_lists() -> None:
    assert not are_lists([f"{at:03x};{997 * at:05x}" for at in range(300)])
    assert not are_lists([f"item{at}" for at in range(300)])
