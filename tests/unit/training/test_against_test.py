"""`training/against_test.py`: texts take part in the check of train against test, and equal ones look alike."""

import numpy as np
import pytest

from aias.data.read import read
from aias.training.prepare import prepare
from aias.training.text_reading import comparable

WORDS = [f"{a}{b}" for a in ("bra", "clo", "dri", "fle", "gru", "pla") for b in ("nt", "sk", "mp", "rd", "ll")]


def texts(rows, seed, *, later=0.0, numbers=False):
    """Made of thirty words; `later`: how much likelier the last ones are."""
    rng = np.random.default_rng(seed)
    chance = 1 + later * (np.arange(len(WORDS)) >= 15)
    found = {
        "note": [" ".join(rng.choice(WORDS, 8, p=chance / chance.sum())) for _ in range(rows)],
        "y": rng.choice(["a", "b"], rows).tolist(),
    }
    return found | ({"age": rng.normal(size=rows).tolist()} if numbers else {})


def told(train, test):
    events = []
    prepare(
        read(train, target="y"), target="y", metric=None, how="random", test=None, given=read(test, target="y"),
        seconds=60, folds=3, seed=0, watch=events.append,
    )  # fmt: skip
    (found,) = [each for each in events if each.name == "train.drift"]
    return found


@pytest.mark.parametrize("numbers", [False, True])
def test_texts_about_something_else_are_a_warning(numbers):
    found = told(texts(400, 0, numbers=numbers), texts(300, 1, later=3.0, numbers=numbers))
    assert found.level == "warning"
    assert "most by `note`" in found.message
    assert [*found.facts["fields"]] == ["note"]


@pytest.mark.parametrize("numbers", [False, True])
def test_texts_of_one_origin_look_alike(numbers):
    seeds = range(0, 20, 2)
    found = [told(texts(400, i, numbers=numbers), texts(200, i + 1, numbers=numbers)) for i in seeds]
    assert sum("alike" not in each.message for each in found) <= 2
    assert np.mean([each.facts["auc"] for each in found]) == pytest.approx(0.5, abs=0.02)


def test_rare_words_are_no_difference_though_only_those_of_training_are_known():
    def made(seed):
        rng = np.random.default_rng(seed)
        words = rng.zipf(1.3, (300, 8)) % 2_000
        return {"note": [" ".join(f"w{word}" for word in row) for row in words], "y": rng.choice(["a", "b"], 300)}

    found = [told(made(i), made(i + 1)).facts["auc"] for i in range(0, 12, 2)]
    assert np.mean(found) == pytest.approx(0.5, abs=0.04)


def test_texts_without_a_frequent_term_are_said_not_to_be_compared(monkeypatch):
    monkeypatch.setattr("aias.training.against_test.TERM_ROWS_MIN", 1_000)
    found = told(texts(100, 0), texts(60, 1))
    assert found.level == "info"
    assert found.message == "train and test are not compared: no word of their texts is frequent enough"


def test_of_long_texts_as_many_rows_are_compared_as_there_is_time_for():
    long = texts(400, 1)
    long["note"] = [note * 40 for note in long["note"]]
    dataset = read(long, target="y")
    assert comparable(dataset, seconds=1e9, most=300) == 300
    assert comparable(dataset, seconds=1, most=300) == 100  # in any case
    few = comparable(dataset, seconds=20, most=1_000)
    assert 100 < few < 400
    assert comparable(dataset, seconds=40, most=1_000) == pytest.approx(2 * few, abs=2)
