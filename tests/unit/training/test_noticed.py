"""What is noticed while training is told, and noted on the card."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aias.core.events import Event, nobody
from aias.core.schema import Schema
from aias.data.read import read
from aias.training.forms import Forms
from aias.training.history import History
from aias.training.prepare import prepare
from aias.training.train import train
from aias.training.unit import UnitFitter
from trainings import LINEAR, table


def test_labels_that_judge_no_more_when_fewer_folds_do_are_told_of() -> None:
    y = ["abcdefghijklmnopqrst"[i % 20] for i in range(40)]
    prepared = prepare(
        read({"x": list(range(40)), "y": y}, target="y"), target="y", metric=None, how="random", test=None, given=None,
        seconds=60, folds=8, seed=0, watch=nobody,
    )  # fmt: skip
    told: list[Event] = []
    forms = Forms(prepared, UnitFitter(prepared.table, None), LINEAR, watch=History(told.append))
    forms.narrow(5)
    judged = {prepared.table.whole.y[row] for row in forms.prepared.table.judged}
    gone = {name for code, name in enumerate(prepared.task.classes) if code not in judged}
    assert gone and [(each.name, set(each.facts["labels"])) for each in told] == [("data.unjudged", gone)]


def test_test_rows_that_are_unlike_the_others_are_told_of() -> None:
    other = table(80)
    other["age"] = [float(age) + 60 for age in other["age"]]
    told: list[Event] = []
    train(read(table(), target="y"), LINEAR, test=read(other, target="y"), inline=True, watch=told.append)
    (drift,) = [event for event in told if event.name == "train.drift"]
    assert drift.level == "warning" and "`age`" in drift.message


def test_a_column_that_parts_early_from_late_rows_is_no_news_by_itself() -> None:
    told: list[Event] = []
    data = read(table() | {"day": list(range(300))}, target="y")
    train(data, replace(LINEAR, split="time:day", test=0.3), inline=True, watch=told.append)
    (drift,) = [event for event in told if event.name == "train.drift"]
    assert drift.level == "info" and "day" not in drift.facts["fields"]


def test_what_was_noticed_is_on_the_card() -> None:
    other, copied = table(80), table()
    other["age"] = [float(age) + 60 for age in other["age"]]
    copied = {name: [*values, *values[:9]] for name, values in copied.items()}
    results = train(read(copied, target="y"), LINEAR, test=read(other, target="y"), inline=True)
    for form in (results.quality, results.serving):
        copies, drift, *_ = form.manifest.notes
        assert "9 rows" in copies and "can be told apart" in drift
        assert b"- 9 rows" in form.files["card.md"] and b"can be told apart" in form.files["card.md"]


def test_a_serving_form_that_could_not_be_fitted_again_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aias.training.selection.plan.Plan.refit", lambda *_: [])
    told: list[Event] = []
    trees = replace(LINEAR, learners=("extra_trees",), learner_settings={"extra_trees": {"trees": 30}})
    results = train(read(table(), target="y"), trees, inline=True, watch=told.append)
    (late,) = [event for event in told if event.name == "train.refit"]
    names = tuple(late.facts["configurations"])
    assert late.level == "warning" and names and all(name.startswith("extra_trees") for name in names)
    assert results.serving.manifest.not_refitted == names and results.quality.manifest.not_refitted == ()
    assert f"no time to fit `{names[0]}`".encode() in results.serving.files["card.md"]
    assert b"no time to fit" not in results.quality.files["card.md"]


def test_a_model_that_knows_nothing_is_told_of() -> None:
    rng = np.random.default_rng(0)
    told: list[Event] = []
    data = {"a": rng.normal(size=300).tolist(), "y": rng.choice(["no", "yes"], 300).tolist()}
    train(read(data, target="y"), LINEAR, inline=True, watch=told.append)
    (chance,) = [event for event in told if event.name == "train.chance"]
    assert chance.level == "warning" and chance.facts["usual"] == pytest.approx(0.5)
    told.clear()
    train(read(table(), target="y"), LINEAR, inline=True, watch=told.append)
    assert "train.chance" not in {event.name for event in told}


def test_what_was_odd_in_the_file_is_on_the_card(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    lines = [f"{i},{'ja' if i % 3 else 'nein'}" for i in range(60)]
    path.write_text("\n".join(["x,größe", *lines]), encoding="cp1252")
    dataset = read(path, target="größe")
    warned = [note.message for note in dataset.notes if note.level == "warning"]
    trained = train(dataset, replace(LINEAR, target="größe"), inline=True).serving
    assert warned and set(warned) <= set(trained.manifest.notes)


LIST = "please remove me from this list"


def test_one_text_longer_than_any_is_read_as_far_as_that_and_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aias.data.text_files.long_texts.TEXT_CHARS_MAX", 200_000)
    monkeypatch.setattr("aias.core.limits.TEXT_CHARS_MAX", 200_000)
    held = table(120)
    held["note"][7] = "free win " * 30_000
    serving = train(read(held, target="y"), LINEAR, inline=True).serving
    assert any("1 text is longer than 200,000" in note for note in serving.manifest.notes)
    assert b"what stands beyond is not read" in serving.files["card.md"]
    schema = Schema(serving.manifest.inputs)
    shorter = {**held, "note": [note[:200_000] for note in held["note"]]}
    long, cut = (read(each, schema=schema) for each in (held, shorter))
    answers = [serving.runtime.predict_columns(each.columns(schema), each.rows) for each in (long, cut)]
    assert np.array_equal(answers[0].probabilities, answers[1].probabilities)


def test_a_class_whose_rows_are_all_alike_is_learned_and_told_of() -> None:
    held = table(200)
    three = {"note": [*held["note"], *[LIST] * 40], "y": [*held["y"], *["stop"] * 40]}
    told = train(read(three, target="y"), LINEAR, inline=True).serving
    assert any("`stop` is learned, and no score" in note for note in told.manifest.notes)
    assert told.manifest.measurements[0].value < 1.0  # log loss; where `stop` judged what never saw it, 3 and more
    said = told.runtime.predict([{"note": LIST}, {"note": "free home you cash free win"}]).predictions
    assert said[0] == "stop" != said[1]


def test_a_score_of_rows_too_few_for_an_interval_is_said_to_be_uncertain() -> None:
    told: list[Event] = []
    train(read({"x": [1.0, 2.0], "y": ["a", "b"]}, target="y"), LINEAR, inline=True, watch=told.append)
    assert [each.level for each in told if each.name == "train.chance"]
