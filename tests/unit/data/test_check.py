import numpy as np
import pytest

from aias.data import check
from aias.data.check import findings, leaks, report
from aias.data.read import read
from aias.data.target import task_for

RANDOM = np.random.default_rng(7)
N = 400
NOISE = RANDOM.normal(size=N).tolist()
LABEL = RANDOM.choice(["no", "yes"], N).tolist()
AMOUNT = RANDOM.normal(size=N).tolist()


def told(columns, y, kind="data.leak"):
    dataset = read({**columns, "noise": NOISE, "y": y}, target="y")
    labels = task_for(dataset, "y")
    return [note.message for note in findings(dataset.take(labels.kept), labels.y, labels.task) if note.name == kind]


@pytest.mark.parametrize(
    "column",
    [
        ["Q" if label == "yes" else "P" for label in LABEL],
        [label if place else None for place, label in enumerate(LABEL)],
        [1000 + n if label == "yes" else n for n, label in zip(NOISE, LABEL, strict=True)],
        [n if label == "yes" else None for n, label in zip(NOISE, LABEL, strict=True)],
    ],
    ids=["renamed", "equal", "ordered", "missing"],
)
def test_a_column_that_knows_the_label_is_a_leak(column):
    messages = told({"spy": column}, LABEL)
    assert len(messages) == 1
    assert "`spy`" in messages[0]
    assert "leave out what is not known when predicting" in messages[0]


def test_of_many_rows_some_say_which_columns_are_looked_at_in_all(monkeypatch) -> None:
    monkeypatch.setattr(check, "_SCREENING_ROWS", 150)
    looked: list[str] = []
    before = check._leak
    monkeypatch.setattr(check, "_leak", lambda field, *rest: looked.append(field.name) or before(field, *rest))
    forty = [f"{'ab'[label == 'yes']}{at % 20}" for at, label in enumerate(LABEL)]  # of which some have four rows
    late = [n if label == "yes" else None for n, label in zip(NOISE, LABEL, strict=True)]
    weak = [label if place % 2 else "no" for place, label in enumerate(LABEL)]
    found = told({"forty": forty, "late": late, "weak": weak}, LABEL)
    assert looked == ["forty", "late"] and len(found) == 2
    looked.clear()
    assert "`spy`" in told({"spy": [3 - 2 * y for y in AMOUNT]}, AMOUNT)[0] and looked == ["spy"]
    rare = ["rare" if place % 8 == 0 else "no" for place in range(N)]  # too few of them in the sample
    assert "`spy`" in told({"spy": [float(each == "rare") for each in rare]}, rare)[0] and len(looked) == 3
    none = ["very rare" if place in {1, 3, 4} else "no" for place in range(N)]  # none of them in the sample
    assert "`spy`" in told({"spy": [float(each == "very rare") for each in none]}, none)[0] and len(looked) == 5


def test_one_that_nearly_knows_it_by_a_yes_or_no_is_a_leak_too_and_no_other() -> None:
    nearly = [(label == "yes") != (place % 40 == 0) for place, label in enumerate(LABEL)]  # wrong in one of 40 rows

    assert "`spy` alone nearly gives `y`" in told({"spy": [float(each) for each in nearly]}, LABEL)[0]
    assert (
        "whether `spy` has a value nearly gives `y`"
        in told({"spy": [n if each else None for n, each in zip(NOISE, nearly, strict=True)]}, LABEL)[0]
    )
    assert told({"spy": [n + 9 * each for n, each in zip(NOISE, nearly, strict=True)]}, LABEL) == []


def test_a_column_that_knows_the_amount_is_a_leak():
    assert "`spy`" in told({"spy": [3 - 2 * y for y in AMOUNT]}, AMOUNT)[0]


@pytest.mark.filterwarnings("error")
def test_enormous_numbers_hide_no_leak_and_break_nothing():
    assert "`spy`" in told({"spy": [1e300 * y for y in AMOUNT]}, AMOUNT)[0]
    assert told({"odd": [1e300, *NOISE[1:]]}, AMOUNT) == []
    assert told({"ends": [-1.7e308, 1.7e308, *NOISE[2:]]}, AMOUNT) == []


def test_columns_that_sum_to_the_target_are_a_leak():
    parts = np.round(RANDOM.gamma(2, 30, size=(2, N)))
    messages = told({"casual": parts[0].tolist(), "registered": parts[1].tolist()}, parts.sum(axis=0).tolist())
    assert [("casual" in m and "registered" in m and " + " in m) for m in messages] == [True]


def test_honest_columns_are_no_leak():
    good = [n + (1.5 if label == "yes" else 0) for n, label in zip(NOISE, LABEL, strict=True)]
    names = [f"user {i}" for i in range(N)]
    assert told({"good": good, "name": names}, LABEL) == []


def test_few_rows_accuse_nobody():
    dataset = read({"x": [1, 2, 3, 7, 8, 9], "y": ["a"] * 3 + ["b"] * 3}, target="y")
    labels = task_for(dataset, "y")
    assert leaks(dataset, labels.y, labels.task) == ()


def test_copies_and_contradictions_are_counted():
    dataset = read({"x": ["a", "a", "b", "b", "c"] * 20, "y": ["no", "yes", "no", "no", "yes"] * 20}, target="y")
    labels = task_for(dataset, "y")
    facts = {note.name: note.facts for note in findings(dataset, labels.y, labels.task)}
    assert facts["data.copies"]["rows"] == 97
    assert facts["data.contradictions"]["rows"] == 40


def test_rows_alike_by_chance_accuse_nobody():
    columns = {"x": ["a", "b", "c", "d"] * 25, "z": ["k", "l"] * 50, "y": list(range(100))}
    dataset = read(columns, target="y")
    labels = task_for(dataset, "y", metric="rmse")
    (copies,) = [note for note in findings(dataset, labels.y, labels.task) if note.name.startswith("data.co")]
    assert copies.level == "info" and "chance" in copies.message and "straddle" not in copies.message


def test_a_rare_label_is_told():
    assert "`yes` (3 rows)" in told({}, ["yes"] * 3 + ["no"] * (N - 3), "data.imbalance")[0]
    assert told({}, LABEL, "data.imbalance") == []


def test_a_report_tells_of_every_column():
    lines = report(read({"a": [1.5, None, 2.5, 2.5], "b": ["x", "x", "y", None]}))
    assert [(line.name, line.kind, line.missing, line.distinct, line.example) for line in lines] == [
        ("a", "number", 0.25, 2, 1.5),
        ("b", "category", 0.25, 2, "x"),
    ]
