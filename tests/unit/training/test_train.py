import msgspec
import numpy as np
import pytest

from aias.artifact.manifest import read_manifest
from aias.core.errors import AiasError, NotFound, UserError
from aias.core.events import Event
from aias.data.read import read
from aias.training.train import Recipe, train

RNG = np.random.default_rng(5)


def table(rows: int = 300) -> dict[str, list[object]]:
    words = ["free", "win", "home", "you", "later", "cash"]
    age = RNG.normal(40, 10, rows)
    notes = [" ".join(RNG.choice(words, 6)) for _ in range(rows)]
    y = [
        "spam" if ("free" in note) + (a > 45) + RNG.random() > 1 else "ham" for note, a in zip(notes, age, strict=True)
    ]
    return {"age": age.tolist(), "job": RNG.choice(["a", "b", "c"], rows).tolist(), "note": notes, "y": y}


def test_training_gives_a_proved_and_measured_model_and_tells_each_step() -> None:
    told: list[Event] = []
    trained = train(read(table()), Recipe(target="y", name="m", seconds=20), watch=told.append)
    names = [event.name for event in told]
    for step in ("train.split", "train.candidate", "train.chosen", "train.refit", "train.parity", "train.test"):
        assert step in names
    manifest = trained.manifest
    assert manifest.parity.label_differences == 0
    assert {candidate.learner for candidate in manifest.leaderboard} == {"linear", "boosted_trees"}
    assert sum(candidate.chosen for candidate in manifest.leaderboard) == 1
    assert manifest.measurements[0].metric == "roc_auc"
    assert manifest.measurements[0].n == manifest.rows["test"]
    assert all(event.facts is not None and msgspec.json.encode(event.facts) for event in told)


def test_the_same_seed_and_data_give_the_same_graph() -> None:
    data = read(table())
    recipe = Recipe(target="y", name="m", seconds=60)
    first, again = train(data, recipe).files, train(data, recipe).files
    assert {path for path in first if first[path] != again[path]} <= {"card.md"}  # which holds the seconds it took


def test_a_group_never_straddles_and_its_column_is_no_input() -> None:
    columns = table() | {"user": [f"u{i % 30}" for i in range(300)]}
    trained = train(read(columns), Recipe(target="y", name="m", seconds=10, split="group:user"))
    assert "user" not in [field.name for field in trained.manifest.inputs]
    assert "groups the rows" in next(f.reason for f in trained.manifest.ignored if f.name == "user")


def test_without_test_rows_there_are_no_test_scores() -> None:
    trained = train(read(table()), Recipe(target="y", name="m", seconds=10, fractions=(0.8, 0.2, 0.0)))
    assert trained.manifest.measurements == ()


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"metric": "auc"}, UserError, "no metric `auc`"),
        ({"seed": -1}, UserError, "-1 cannot be a seed"),
        ({"seed": 2**31}, UserError, "cannot be a seed"),
        ({"metric": "rmse"}, UserError, "judges numbers"),
        ({"seconds": 0.0}, UserError, "time budget"),
        ({"learners": ("magic",)}, NotFound, "no learner `magic`"),
        ({"split": "time:nothing"}, AiasError, "nothing"),
        ({"target": "z"}, AiasError, "no column `z`"),
    ],
)
def test_what_cannot_be_done_is_said_before_any_work(changes, error, says) -> None:
    recipe = Recipe(**({"target": "y", "name": "m"} | changes))
    with pytest.raises(error, match=says) as caught:
        train(read(table(60)), recipe)
    assert caught.value.hint


def test_a_table_without_usable_columns_is_refused() -> None:
    with pytest.raises(UserError, match="no column is left"):
        train(read({"same": [1] * 40, "y": ["a", "b"] * 20}), Recipe(target="y", name="m"))


@pytest.mark.parametrize(
    ("columns", "split"),
    [
        ({"a": [1, 2, 3], "y": ["x", "z", "x"]}, "random"),
        ({"a": [1.5, 2.5, 3.5, 5.0], "y": [0.1, 0.7, 0.2, 0.4]}, "random"),
        ({"day": list(range(0, 90, 3)), "a": [1, 5, 2] * 10, "y": ["x", "z"] * 9 + ["z"] * 12}, "time:day"),
    ],
)
def test_rows_too_few_or_too_alike_for_the_metric_still_give_a_manifest_that_reads_back(columns, split) -> None:
    trained = train(read(columns, target="y"), Recipe(target="y", name="m", seconds=10, split=split))

    assert read_manifest(trained.manifest.as_bytes()).leaderboard == trained.manifest.leaderboard
