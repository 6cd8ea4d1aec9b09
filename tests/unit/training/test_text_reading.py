"""Where the texts of all rows cannot be read in the time, fewer rows are learned from, and that is told."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from aias.core.deadline import Deadline
from aias.core.events import Event, nobody
from aias.core.task import Task
from aias.data.dataset import Dataset
from aias.data.read import read
from aias.encoders.rows import Encoded, RowEncoder
from aias.graph.edge_cases import edge_case_rows
from aias.learners.contract import Examples, Fit
from aias.learners.linear import Linear
from aias.training.prepare import Prepared, encoded_of, prepare
from aias.training.text_reading import (
    ENCODED,
    PROVED,
    ROWS_MIN,
    SHARE,
    START_SECONDS,
    TEST_SHARE,
    TIMED,
    provable,
    readable,
    reading_seconds,
    timeable,
)
from aias.training.train import train
from trainings import LINEAR

LABELS, AMOUNTS = Task("y", "binary", "roc_auc", ("a", "b")), Task("y", "regression", "rmse")
WORDS = ["free", "win", "home", "you", "later", "cash", "today"]


def texts(rows: int, *, words: int) -> Dataset:
    chance = np.random.default_rng(0)
    notes = [" ".join(chance.choice(WORDS, words)) for _ in range(rows)]
    y = ["rare" if i % 100 == 7 else "spam" if "free" in note else "ham" for i, note in enumerate(notes)]
    return read({"note": notes, "y": y}, target="y")


def made(dataset: Dataset, *, seconds: float, told: list[Event], **more: Any) -> Prepared:
    return prepare(
        dataset, target="y", metric=None, how="random", seconds=seconds, folds=3, seed=0, watch=told.append,
        **({"given": None, "test": None} | more),
    )  # fmt: skip


def seconds_for(share: float, dataset: Dataset) -> float:
    """In which this share of the rows is read."""
    return share * reading_seconds(dataset) / SHARE * 3 / 2  # a third is kept for the start, where there is so little


def test_so_many_rows_are_learned_from_as_can_be_read_and_the_others_are_told_of() -> None:
    dataset, told = texts(2_000, words=8), list[Event]()
    prepared = made(dataset, seconds=seconds_for(0.5, dataset), told=told)

    (said,) = [each for each in told if each.name == "train.texts"]
    assert said.level == "warning" and (said.facts["rows"], said.facts["of"]) == (1_000, 2_000)
    assert (prepared.table.rows, prepared.unread) == (1_000, 1_000)
    assert 0.45 < reading_seconds(prepared.dataset) / reading_seconds(dataset) < 0.55
    assert 10 <= np.bincount(prepared.table.whole.y).min() < 20  # of the rare ones, who are 20


def test_the_same_rows_are_found_again_whatever_the_time() -> None:
    dataset = texts(1_000, words=8)
    one = made(dataset, seconds=seconds_for(0.5, dataset), told=[])
    told = list[Event]()
    again = made(dataset, seconds=600, told=told, rows=one.table.rows)
    assert again.dataset.digest == one.dataset.digest != dataset.digest
    assert again.table.digest == one.table.digest
    assert not [each for each in told if each.name == "train.texts"]


def test_with_enough_time_and_without_texts_all_is_read() -> None:
    dataset, told = texts(300, words=8), list[Event]()
    assert made(dataset, seconds=60, told=told).table.rows == 300
    numbers = read({"x": list(range(300)), "y": ["a", "b", "b"] * 100}, target="y")
    assert made(numbers, seconds=1e-9, told=told).table.rows == 300
    assert not [each for each in told if each.name == "train.texts"]


def test_texts_that_are_written_without_blanks_take_longer() -> None:
    chinese = read({"note": [f"今天天气很好我们去{'公园学校'[i % 4]}玩{i}" for i in range(200)], "y": ["a", "b"] * 100})
    other = read({"note": [f"abcd efgh {'xyzw'[i % 4]} {i}" for i in range(200)], "y": ["a", "b"] * 100})
    assert reading_seconds(chinese) > 2 * reading_seconds(other) > 0


@pytest.mark.parametrize("task", [AMOUNTS, LABELS])
def test_a_few_rows_are_learned_from_in_any_case(task: Task) -> None:
    y = np.arange(1_000) % 2
    kept = readable(texts(1_000, words=8), y, task, seconds=1e-9, seed=0, watch=nobody)
    assert len(kept) == ROWS_MIN and (np.diff(kept) > 0).all()
    assert task is AMOUNTS or np.bincount(y[kept]).tolist() == [50, 50]


@pytest.mark.parametrize(
    ("rows", "said"), [(60, "60 rows are learned from"), (300, "100 of 300 rows are learned from")]
)
def test_where_even_the_fewest_rows_cannot_be_read_in_the_time_it_is_told(rows: int, said: str) -> None:
    """Sixty texts of 750 kB took a training of 8 s half a minute to read, without a word."""
    dataset, told = texts(rows, words=50), list[Event]()
    y = np.arange(rows) % 2

    kept = readable(dataset, y, LABELS, seconds=reading_seconds(dataset) / rows, seed=0, watch=told.append)

    assert len(kept) == min(rows, ROWS_MIN)
    assert told[0].level == "warning"
    assert told[0].message.startswith(said) and "this one will be late" in told[0].message


def test_a_version_that_was_made_of_fewer_rows_says_so_on_its_card(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = texts(600, words=4)
    monkeypatch.setattr("aias.training.text_reading.CHAR_SECONDS", 600 / dataset.text_size("note")[0])
    manifest = train(dataset, replace(LINEAR, folds=2), inline=True).serving.manifest
    assert manifest.rows["train"] == int((600 - START_SECONDS) * SHARE)
    assert any("of 600 rows are learned from" in note for note in manifest.notes)


@pytest.mark.parametrize("how", ["given", "set aside"])
def test_so_many_rows_are_measured_on_as_can_be_read_and_the_others_are_told_of(how: str) -> None:
    dataset, told = texts(3_000, words=8), list[Event]()
    learned, given = dataset.take(np.arange(1_000)), dataset.take(np.arange(1_000, 3_000))
    seconds = 0.5 * ENCODED * reading_seconds(given) / TEST_SHARE
    parts = {"given": given} if how == "given" else {"test": 2 / 3}

    prepared = made(learned if how == "given" else dataset, seconds=seconds, told=told, **parts)

    (said,) = [each for each in told if each.name == "train.texts" and "measured on" in each.message]
    assert said.level == "warning" and said.facts["of"] == pytest.approx(2_000, abs=300)
    assert prepared.test.rows == len(prepared.test_y) == said.facts["rows"] == pytest.approx(1_000, abs=150)
    counts = {"rows": prepared.table.rows, "test_rows": prepared.test.rows}
    again = made(learned if how == "given" else dataset, seconds=600, told=[], **parts, **counts)
    assert again.test.digest == prepared.test.digest


def test_where_texts_are_long_fewer_prove_a_form_and_test_rows_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, read_for_forms = texts(500, words=4), []
    monkeypatch.setattr("aias.training.text_reading.CHAR_SECONDS", 600 / dataset.text_size("note")[0])

    def counted(held: Dataset, encoder: RowEncoder) -> Encoded:
        read_for_forms.append(held.rows)
        return encoded_of(held, encoder)

    monkeypatch.setattr("aias.training.forms.encoded_of", counted)
    told = list[Event]()
    recipe = replace(LINEAR, folds=2, seconds=60)
    found = train(dataset, recipe, test=texts(400, words=5), inline=True, watch=told.append)
    assert read_for_forms == [ROWS_MIN]
    assert found.quality.manifest.rows["test"] == ROWS_MIN
    edge_cases = len(edge_case_rows(found.quality.manifest.inputs, [{"note": "a"}]))
    assert found.quality.manifest.parity.rows == PROVED[0] + edge_cases
    assert all("no more of which are read" in each.message for each in told if each.name == "train.parity")


def test_without_texts_all_rows_are_proved_and_timed_by() -> None:
    numbers = read({"x": list(range(300)), "y": ["a", "b", "b"] * 100}, target="y")
    assert (provable(numbers, seconds=1e-9), timeable(numbers, seconds=1e-9)) == (PROVED[1], TIMED[1])
    assert provable(texts(300, words=8), seconds=1e-9) == PROVED[0]


def test_a_linear_model_takes_a_step_even_where_time_is_up() -> None:
    x = np.random.default_rng(0).normal(size=(200, 3))
    y = (x[:, 0] > 0).astype(np.int64)
    examples, over = Examples(csr_matrix(x), y), Deadline(0.0, 0.0, clock=lambda: 1.0)
    how = Fit(Task("y", "binary", "roc_auc", ("a", "b")), 0, over, 1, nobody)
    scores = Linear.fit(examples, examples, how).scores(csr_matrix(x))
    assert ((scores[:, 1] > 0.5) == y).mean() > 0.9
    assert how.cuts
