"""What files of trees bring along: measurements, classes, and every way to be damaged or unfit."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aias.artifact.manifest import Manifest
from aias.core.catalog import member
from aias.core.errors import UserError
from aias.importing.formats.contract import UnfitModel, UnreadableModel
from foreign_trees import QUIET, imported, like, rows

lightgbm = pytest.importorskip("lightgbm")


@pytest.fixture(scope="module")
def churn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of two classes, with the names of its columns."""
    x, amount = rows()
    data = lightgbm.Dataset(x, (amount > 1).astype(float), feature_name=["a", "b", "c"], params=QUIET)
    path = tmp_path_factory.mktemp("churn") / "My Churn.txt"
    lightgbm.train(QUIET | {"objective": "binary"}, data, 5).save_model(path)
    return path


def test_answers_in_the_rows_give_measurements_with_intervals(churn: Path, tmp_path: Path) -> None:
    x, amount = rows()
    told: list[Any] = []

    model = imported(
        churn, x, tmp_path, like=like(x, left=np.where(amount > 1, "yes", "no").tolist()), target="left",
        classes=["no", "yes"], watch=told.append,
    )  # fmt: skip

    manifest: Manifest = model.manifest
    (auc, *_) = manifest.measurements
    assert model.ref == "my-churn@1" and model.task.classes == ("no", "yes")
    assert auc.metric == "roc_auc" and auc.low is not None and auc.low < auc.value and auc.value > 0.8
    assert manifest.judged == "given" and manifest.rows == {"given": 80}
    card = (model.folder / "card.md").read_text("utf-8")
    assert "Measured on the 80 rows that it was imported with" in card and "lightgbm" in card
    assert "import.proved" in [event.name for event in told]
    assert manifest.lineage.settings["sha256"] and manifest.lineage.settings["file"] == "My Churn.txt"
    assert set(model.predict([{"a": 1.0, "b": 2.0, "c": 3}, {}])) <= {"no", "yes"}
    assert model.explain({"a": 1.0, "b": 2.0, "c": 3}).parts


@pytest.mark.parametrize(
    ("form", "alpha"), [("lightgbm", 0.9), ("xgboost", 0.25), ("catboost", 0.8), ("catboost", 0.5)]
)
def test_a_model_of_a_quantile_is_judged_by_that(form: str, alpha: float, tmp_path: Path) -> None:
    """By the RMSE a model of means is better, and would be published as its smaller form."""
    library = pytest.importorskip(form)
    (x, amount), path = rows(), tmp_path / "q.model"
    if form == "lightgbm":
        data = lightgbm.Dataset(x, amount, feature_name=["a", "b", "c"], params=QUIET)
        lightgbm.train(QUIET | {"objective": "quantile", "alpha": alpha}, data, 5).save_model(path)
    elif form == "xgboost":
        path = path.with_suffix(".json")
        one = {"objective": "reg:quantileerror", "quantile_alpha": alpha}
        library.train(one, library.DMatrix(x, amount), 5).save_model(path)
    else:
        loss = "Quantile" if alpha == 0.5 else f"Quantile:alpha={alpha}"
        one = library.CatBoostRegressor(iterations=5, loss_function=loss, verbose=0, allow_writing_files=False)
        one.fit(x, amount).save_model(str(path))

    first = imported(path, x, tmp_path, like=like(x, y=amount.tolist()), target="y", name="q")
    asked = imported(path, x, tmp_path, like=like(x, y=amount.tolist()), target="y", name="q", metric="mae")

    assert first.task.metric == first.manifest.measurements[0].metric == f"quantile_loss:{alpha}"
    assert asked.task.metric == "mae"


def test_a_single_row_with_its_answer_measures_an_amount(tmp_path: Path) -> None:
    x, amount = rows()
    data = lightgbm.Dataset(x, amount, feature_name=["a", "b", "c"], params=QUIET)
    lightgbm.train(QUIET, data, 5).save_model(tmp_path / "amount.txt")

    model = imported(tmp_path / "amount.txt", x, tmp_path, like=like(x[1:2], y=[9.0]), target="y")

    assert model.manifest.measurements[0].metric == "rmse"


def test_labels_that_the_model_does_not_know_are_refused_with_what_to_say(churn: Path, tmp_path: Path) -> None:
    x, amount = rows()
    rows_with = like(x, left=np.where(amount > 1, "yes", "no").tolist())

    with pytest.raises(UserError, match="2 labels that the model does not know, in 80 of 80 rows") as caught:
        imported(churn, x, tmp_path, like=rows_with, target="left")
    assert "--classes" in caught.value.hint


def test_a_file_of_trees_says_itself_what_its_sums_are(churn: Path, tmp_path: Path) -> None:
    x, _ = rows()

    with pytest.raises(UserError, match="a model of LightGBM says itself"):
        imported(churn, x, tmp_path, scores="logits")


@pytest.mark.parametrize(
    "harm",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace("left_child=", "left_child=0 ", 1),
        lambda text: text.replace("split_feature=", "split_feature=9", 1),
        lambda text: text.replace("num_leaves=6", "num_leaves=600000000", 1),
        lambda text: text.replace("max_feature_idx=2", "max_feature_idx=999999999"),
        lambda text: text.replace("leaf_value=", "leaf_value=nan ", 1),
    ],
    ids=["cut", "moved", "feature", "leaves", "columns", "nan"],
)  # fmt: skip
def test_a_damaged_file_is_refused(harm: Any, churn: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.txt"
    path.write_text(harm(churn.read_text("utf-8")), encoding="utf-8")

    with pytest.raises(UnreadableModel):
        member("importing.formats", "lightgbm").read(path)


def test_trees_that_are_not_symmetric_and_read_categories_say_why(tmp_path: Path) -> None:
    catboost = pytest.importorskip("catboost", reason="the extra `catboost` is not installed")
    towns = [["north", "south", "east"][i % 3] for i in range(60)]
    booster = catboost.CatBoost(
        {"iterations": 3, "depth": 2, "thread_count": 1, "verbose": 0, "allow_writing_files": False,
         "grow_policy": "Depthwise", "one_hot_max_size": 5, "min_data_in_leaf": 1}
    )  # fmt: skip
    booster.fit(catboost.Pool([[town] for town in towns], [len(town) + 0.0 for town in towns], cat_features=[0]))
    booster.save_model(str(tmp_path / "model.cbm"))

    with pytest.raises(UnfitModel, match="not symmetric"):
        member("importing.formats", "catboost").read(tmp_path / "model.cbm", [])


@pytest.mark.parametrize(
    ("line", "harmed"), [("leaf_features=0", "leaf_features=9"), ("leaf_coeff=", "leaf_coeff=nan "),
                         ("num_features=", "num_features=7 "), ("leaf_const=", "leaf_const=inf ")],
)  # fmt: skip
def test_leaves_that_hold_no_linear_models_are_refused(line: str, harmed: str, tmp_path: Path) -> None:
    x, amount = rows()
    settings = QUIET | {"objective": "regression", "linear_tree": True}
    text = lightgbm.train(settings, lightgbm.Dataset(x[:, :1], amount, params=settings), 3).model_to_string()
    assert line in text
    (tmp_path / "linear.txt").write_text(text.replace(line, harmed, 1), encoding="utf-8")

    with pytest.raises(UnreadableModel):
        member("importing.formats", "lightgbm").read(tmp_path / "linear.txt")


def test_labels_of_a_model_that_gives_a_number_are_told_of(churn: Path, tmp_path: Path) -> None:
    said = churn.read_text("utf-8").replace("objective=binary sigmoid:1", "objective=custom")
    (tmp_path / "sums.txt").write_text(said)
    x, amount = rows()
    held = like(x, left=np.where(amount > 1, "yes", "no").tolist())

    with pytest.raises(UserError, match="one number a row, and `left` holds labels") as fault:
        imported(tmp_path / "sums.txt", x, tmp_path, like=held, target="left", classes=["no", "yes"])
    assert "objective" in fault.value.hint


def test_classes_and_columns_are_taken_from_arrays_and_not_from_a_text(churn: Path, tmp_path: Path) -> None:
    x, amount = rows()
    held = like(x, left=(amount > 1).astype(int).tolist())

    model = imported(
        churn, x, tmp_path, like=held, target="left", classes=np.array([0, 1]), columns=np.array(["a", "b", "c"])
    )  # fmt: skip

    assert model.task.classes == ("0", "1")
    assert model.manifest.lineage.settings["classes"] == ["0", "1"]
    with pytest.raises(UserError, match="lists of names"):
        imported(churn, x, tmp_path, classes="no,yes")


def test_json_of_something_else_is_told_apart(tmp_path: Path) -> None:
    pytest.importorskip("xgboost", reason="the extra `xgboost` is not installed")
    (tmp_path / "rows.json").write_text('{"instances": [[1, 2]]}')
    (tmp_path / "half.ubj").write_bytes(b"{L\0\0\0\0\0\0\0\x07learner{")

    with pytest.raises(UnreadableModel, match="no model of XGBoost or CatBoost: it holds 'instances'"):
        member("importing.formats", "xgboost").read(tmp_path / "rows.json")
    with pytest.raises(UnreadableModel, match="does not read it") as fault:
        member("importing.formats", "xgboost").read(tmp_path / "half.ubj")
    assert "/" not in fault.value.message  # where the library stands on this machine is nobody's business


def test_a_model_of_no_round_is_told_of(tmp_path: Path) -> None:
    xgboost = pytest.importorskip("xgboost", reason="the extra `xgboost` is not installed")
    x, amount = rows()
    xgboost.train({"nthread": 1, "verbosity": 0}, xgboost.DMatrix(x, amount), 0).save_model(tmp_path / "none.json")

    with pytest.raises(UnfitModel, match="no trees"):
        member("importing.formats", "xgboost").read(tmp_path / "none.json")


@pytest.mark.parametrize(("rounds", "told"), [(6, False), (9, True)])
def test_rounds_of_several_trees_are_counted_as_rounds(rounds: int, told: bool, tmp_path: Path) -> None:
    xgboost = pytest.importorskip("xgboost", reason="the extra `xgboost` is not installed")
    (x, amount), notes = rows(), list[Any]()
    data = xgboost.DMatrix(x, amount > 1)
    how = {"objective": "binary:logistic", "num_parallel_tree": 5, "max_depth": 2, "nthread": 1, "subsample": 0.7}
    booster = xgboost.train(how, data, rounds)
    booster.set_attr(best_iteration="5")
    booster.save_model(tmp_path / "model.json")

    imported(tmp_path / "model.json", x, tmp_path, watch=notes.append)

    said = [each.message for each in notes if "was the best" in each.message]
    assert bool(said) == told and all("round 5 was the best of 9" in each for each in said)


def test_json_that_is_nested_without_end_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("xgboost", reason="the extra `xgboost` is not installed")
    (tmp_path / "bomb.json").write_text('{"learner":' + "[" * 200_000)
    (tmp_path / "half.json").write_text(json.dumps({"learner": {"x": 1}})[:-4])

    for name in ("bomb.json", "half.json"):
        with pytest.raises(UnreadableModel):
            member("importing.formats", "xgboost").read(tmp_path / name)
