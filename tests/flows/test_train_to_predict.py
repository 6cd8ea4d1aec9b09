"""A file becomes a model that answers: here, behind an endpoint's pointer, and in a folder that needs no Aias."""

import ast
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import aias
from aias.core.errors import NotFound, UserError
from aias.core.names import Ref
from aias.registry.registry import Registry

ROWS = 240
WORDS = {"good": "lovely warm friendly clean bright calm", "bad": "cold dirty rude broken loud slow"}


@dataclass(frozen=True)
class Story:
    """A frame to train on, its target, and the type of task that it should become."""

    frame: pl.DataFrame
    target: str
    task: str

    @property
    def rows(self) -> pl.DataFrame:
        return self.frame.drop(self.target)


def everything() -> Story:
    """A column of every kind; whoever is young, on the basic plan and unhappy leaves."""
    rng = random.Random(0)
    rows = []
    for _ in range(ROWS):
        age, plan, mood = rng.randint(18, 90), rng.choice(["basic", "pro", "team"]), rng.choice(["good", "bad"])
        leaves = (age < 50) + (plan == "basic") + (mood == "bad") + rng.random() / 2 > 1.9
        rows.append(
            {
                "age": None if rng.random() < 0.05 else age,
                "plan": None if rng.random() < 0.05 else plan,
                "since": f"20{rng.randint(10, 25)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d} 08:30:00",
                "note": said(mood, rng),
                "left": "yes" if leaves else "no",
            }
        )
    return Story(pl.DataFrame(rows), "left", "binary")


def texts() -> Story:
    rng = random.Random(1)
    moods = [rng.choice(["good", "bad"]) for _ in range(ROWS)]
    return Story(pl.DataFrame({"review": [said(mood, rng) for mood in moods], "label": moods}), "label", "binary")


def amounts() -> Story:
    rng = random.Random(2)
    area = [rng.uniform(30, 200) for _ in range(ROWS)]
    town = [rng.choice(["north", "south"]) for _ in range(ROWS)]
    price = [each * (3 if where == "north" else 2) + rng.gauss(0, 5) for each, where in zip(area, town, strict=True)]
    return Story(pl.DataFrame({"area": area, "town": town, "price": price}), "price", "regression")


def said(mood: str, rng: random.Random) -> str:
    return " ".join(
        ["The", "room", "was", *rng.sample(WORDS[mood].split(), 3), rng.choice(["indeed!", "…", "déjà vu"])]
    )


STORIES = {"everything": everything, "texts": texts, "amounts": amounts}


@dataclass(frozen=True)
class Told:
    story: Story
    model: Any
    home: Path
    file: Path


@pytest.fixture(scope="module", params=STORIES)
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    story = STORIES[request.param]()
    folder = tmp_path_factory.mktemp(request.param)
    file = folder / "data.csv"
    story.frame.write_csv(file)
    both = {"linear": {}, "boosted_trees": {"rounds": 60}}
    model = aias.train(file, target=story.target, time=600, folds=2, learners=both, search=False, home=folder / "home")
    yield Told(story, model, folder / "home", file)


def test_the_task_is_seen_from_the_target(told: Told) -> None:
    assert told.model.task.type == told.story.task
    assert told.model.task.target == told.story.target


def test_what_was_tried_stands_on_the_leaderboard_best_first(told: Told) -> None:
    board = told.model.leaderboard()

    assert len(board) >= 1
    assert any(line["chosen"] for line in board)
    assert sum(line["weight"] for line in board) == pytest.approx(1, abs=1e-3)
    values = [line["validation"]["value"] for line in board]
    assert values == sorted(values, reverse=told.model.task.direction == "higher")


def test_the_published_version_is_listed_and_loads_as_it_was(told: Told) -> None:
    assert [str(version) for version in aias.models(home=told.home)] == ["data@1", "data@2"]

    again = aias.load("data", home=told.home)

    assert aias.load(aias.models(home=told.home)[1], home=told.home).ref == again.ref
    assert again.manifest == told.model.manifest
    assert again.manifest.digest == told.model.version.digest
    assert list(again.predict(told.story.rows)) == list(told.model.predict(told.story.rows))


def test_the_quality_form_stands_beside_the_serving_form(told: Told) -> None:
    quality = told.model.quality
    assert (quality.ref, quality.manifest.form, told.model.manifest.form) == ("data@1", "quality", "serving")
    assert quality.quality is quality
    assert len(quality.predict(told.story.rows)) == ROWS


def test_the_answers_are_about_as_good_as_the_test_promised(told: Told) -> None:
    measured = {one.metric: one for one in told.model.evaluate(told.file)}

    if told.story.task == "regression":
        assert measured["r2"].value > 0.9
    else:
        assert measured["accuracy"].value > 0.85
    assert measured.keys() == {one.metric for one in told.model.manifest.measurements}


def test_whatever_holds_the_rows_the_answers_are_the_same(told: Told, tmp_path: Path) -> None:
    frame = told.story.rows
    frame.write_parquet(tmp_path / "rows.parquet")
    expected = told.model.predict(frame)

    assert len(expected) == ROWS
    for rows in (
        frame.to_pandas(),
        frame.to_arrow(),
        pa.table(frame.to_arrow()).to_batches()[0],
        frame.lazy(),
        frame.to_dict(as_series=False),
        frame.to_dicts(),
        tmp_path / "rows.parquet",
        str(tmp_path / "rows.parquet"),
        told.file,
        frame.with_columns(pl.lit("more").alias("a column the model never saw")),
    ):
        np.testing.assert_array_equal(told.model.predict(rows), expected, err_msg=type(rows).__name__)


def test_a_row_is_answered_the_same_alone_as_among_others(told: Told) -> None:
    rows = told.story.rows.to_dicts()[:25]

    alone = [told.model.predict([row])[0] for row in rows]

    assert alone == list(told.model.predict(rows))


def test_probabilities_are_shares_of_one_in_the_order_of_the_classes(told: Told) -> None:
    if told.story.task == "regression":
        with pytest.raises(AttributeError, match="regression"):
            told.model.predict_proba(told.story.rows)
        return

    found = told.model.predict_proba(told.story.rows)

    assert found.shape == (ROWS, len(told.model.task.classes))
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    best = [told.model.task.classes[i] for i in found.argmax(axis=1)]
    assert best == list(told.model.predict(told.story.rows))


def test_training_on_a_frame_is_training_on_the_file_it_was_written_to(told: Told, tmp_path: Path) -> None:
    frame = told.story.frame.to_pandas()
    if "since" in frame:
        frame["since"] = pd.to_datetime(frame["since"])

    other = aias.train(
        frame,
        target=told.story.target,
        name="other",
        time=600,
        folds=2,
        learners=("linear",),
        home=tmp_path,
        inline=True,
    )

    assert [(each.name, each.kind) for each in other.manifest.inputs] == [
        (each.name, each.kind) for each in told.model.manifest.inputs
    ]
    assert other.manifest.rows == told.model.manifest.rows


def test_deploying_points_an_endpoint_at_the_version(told: Told) -> None:
    endpoint = told.model.deploy("live")

    assert (endpoint.name, str(endpoint.ref)) == ("live", "data@2")
    with Registry.open(told.home) as registry:
        assert registry.endpoint("live").ref == Ref("data", 2)


def test_the_exported_folder_answers_without_aias(told: Told, tmp_path: Path) -> None:
    folder = told.model.export(tmp_path / "out")
    script = (folder / "predict.py").read_text()
    row = json.loads(ast.literal_eval(_literal_of(script)))

    printed = run_alone(folder)

    if told.story.task == "regression":
        assert printed["prediction"] == pytest.approx([told.model.predict([row])[0]], rel=1e-6)
    else:
        assert printed["label"] == [told.model.predict([row])[0]]
        np.testing.assert_allclose(printed["probabilities"], told.model.predict_proba([row]), atol=1e-6)


def test_the_exported_script_answers_other_rows_as_the_model_does(told: Told, tmp_path: Path) -> None:
    """The script is for people to copy from: what it does must hold for more than the row that it shows."""
    folder = told.model.export(tmp_path / "out")
    script = (folder / "predict.py").read_text()
    rows = [row for row in told.story.rows.to_dicts() if "since" not in row or row["since"]][:6]

    for row in rows:
        (folder / "predict.py").write_text(script.replace(f"row = json.loads({_literal_of(script)})", f"row = {row!r}"))
        printed = run_alone(folder)
        if told.story.task == "regression":
            assert printed["prediction"] == pytest.approx(list(told.model.predict([row])), rel=1e-6)
        else:
            np.testing.assert_allclose(printed["probabilities"], told.model.predict_proba([row]), atol=1e-6)


@pytest.mark.parametrize("split", ["random", "group:^g$", "time:^t.*$"])
def test_a_column_may_be_called_what_others_take_for_a_pattern(tmp_path: Path, split: str) -> None:
    rng = random.Random(3)
    numbers = [rng.random() for _ in range(ROWS)]
    data = {
        "^a.*$": numbers,
        "^$": [rng.choice("uv") for _ in range(ROWS)],
        "*": [said(rng.choice(["good", "bad"]), rng) for _ in range(ROWS)],
        "^t.*$": [f"2026-01-{rng.randint(1, 28):02d}" for _ in range(ROWS)],
        "^g$": [rng.choice("abcdefgh") for _ in range(ROWS)],
        "^y$": ["p" if number > 0.5 else "q" for number in numbers],
    }

    model = aias.train(data, target="^y$", split=split, learners=("linear",), time=600, home=tmp_path, inline=True)

    assert (model.predict(data) == np.array(data["^y$"])).mean() > 0.9


def test_what_cannot_be_learned_from_is_refused_with_advice(told: Told, tmp_path: Path) -> None:
    constant = told.story.frame.with_columns(pl.lit("same").alias(told.story.target))

    with pytest.raises(UserError) as refused:
        aias.train(constant, target=told.story.target, home=tmp_path / "none")

    assert refused.value.hint
    with pytest.raises(NotFound):
        aias.load("model", home=tmp_path / "none")


def _literal_of(script: str) -> str:
    return script.partition("row = json.loads(")[2].partition(")\n")[0]


def run_alone(folder: Path) -> dict[str, Any]:
    """What `predict.py` prints, run where Aias cannot be imported."""
    guard = "import sys, runpy; sys.modules['aias'] = None; runpy.run_path('predict.py', run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-I", "-c", guard], cwd=folder, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = (line.partition(" ") for line in done.stdout.splitlines())
    return {name: ast.literal_eval(rest) for name, _, rest in lines}
