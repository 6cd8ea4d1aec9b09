"""Files of LightGBM, XGBoost and CatBoost answer as their own libraries do, whatever they were trained for."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

import aias
from aias.artifact.manifest import Manifest
from aias.client.model import Model
from aias.core.catalog import member
from aias.core.errors import UserError
from aias.core.task import TaskType
from aias.forests.xgboost import texts_of
from aias.graph.trees import trees_in
from aias.importing.formats.contract import Plan, UnfitModel, UnreadableModel
from aias.importing.proof import largest

lightgbm = pytest.importorskip("lightgbm")

QUIET = {"verbose": -1, "num_threads": 1, "num_leaves": 6, "min_data_in_leaf": 3, "deterministic": True}


def rows(count: int = 80) -> tuple[Any, Any]:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(count, 3)).round(2)
    x[:, 2] = rng.integers(0, 5, count)
    x[rng.random(count) < 0.2, 0] = np.nan
    x[rng.random(count) < 0.2, 1] = 0.0
    return x, np.nan_to_num(x[:, 0]) + (x[:, 1] > 0) + (x[:, 2] == 3)


def answers(task: str, amount: Any) -> Any:
    if task == "regression":
        return amount - amount.min()
    return np.digitize(amount, [1.0] if task == "binary" else [0.5, 1.5]).astype(float)


def like(x: Any, **more: Any) -> dict[str, Any]:
    return {name: column.tolist() for name, column in zip("abc", x.T, strict=True)} | more


def imported(path: Path, x: Any, home: Path, **more: Any) -> Model:
    return aias.import_model(path, like=more.pop("like", None) or like(x), home=home, **more)


def apart(form: str, path: Path, x: Any) -> tuple[TaskType, float]:
    """The task that the file says, and how far the graph made of it is from its library's answers."""
    foreign = member("importing.formats", form).read(path)
    said = foreign.description
    classes = tuple(map(str, range(said.outputs))) if said.task != "regression" else ()
    plan = Plan(said.task, classes)
    graph = onnxruntime.InferenceSession(foreign.write(plan))
    x = np.vstack([x, [[np.nan] * 3, [np.inf, -np.inf, -1], [1e-36, -1e-36, 2.7], [0.0, -0.0, -0.5], [1e30, 3e9, 99]]])
    found = graph.run([graph.get_outputs()[0].name], {"columns": x})[0].reshape(len(x), -1)
    scores, labels = foreign.answer(list(x.T), plan)
    assert labels is None
    return said.task, largest(found, scores, relative=False)


LIGHTGBM = {
    "binary": ({"objective": "binary", "sigmoid": 1.7}, "binary"), "l2": ({"objective": "regression"}, "regression"),
    "sqrt": ({"objective": "regression", "reg_sqrt": True}, "regression"),
    "poisson": ({"objective": "poisson"}, "regression"), "cross": ({"objective": "cross_entropy"}, "regression"),
    "multi": ({"objective": "multiclass", "num_class": 3}, "multiclass"),
    "each": ({"objective": "multiclassova", "num_class": 3}, "multiclass"),
    "zeros": ({"objective": "regression", "zero_as_missing": True}, "regression"),
    "linear": ({"objective": "binary", "linear_tree": True}, "binary"),
    "linear codes": ({"objective": "binary", "linear_tree": True, "max_cat_to_onehot": 1, "cat_smooth": 1.0,
                      "min_data_per_group": 1}, "binary"),
    "linear of three": ({"objective": "multiclass", "num_class": 3, "linear_tree": True}, "multiclass"),
    "linear of none": ({"objective": "binary", "linear_tree": True, "min_data_in_leaf": 100}, "binary"),
    "forest": (
        {"objective": "binary", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6, "feature_fraction": 0.7},
        "binary",
    ),
    "codes": ({"objective": "regression", "max_cat_to_onehot": 1, "cat_smooth": 1.0,
               "min_data_per_group": 1}, "regression"),
}  # fmt: skip


@pytest.mark.parametrize("name", LIGHTGBM)
def test_lightgbm_answers_alike(name: str, tmp_path: Path) -> None:
    settings, task = LIGHTGBM[name]
    x, amount = rows()
    y = {"binary": (amount > 1), "multiclass": np.digitize(amount, [0.5, 1.5]), "regression": amount - amount.min()}[
        task
    ]
    if name == "cross":
        y = (amount - amount.min()) / np.ptp(amount)
    sets = [2] if "codes" in name else []
    data = lightgbm.Dataset(x, y, categorical_feature=sets, params=QUIET | settings)
    booster = lightgbm.train(QUIET | settings, data, 7)
    booster.save_model(tmp_path / "model.txt")

    assert apart("lightgbm", tmp_path / "model.txt", x) == (task, pytest.approx(0, abs=1e-6))


def test_categories_of_pandas_are_known_by_their_names(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    x, amount = rows()
    towns = np.array(["Oslo", "Rome", "Paris", "Bonn", "Kyiv"])[x[:, 2].astype(int)]
    frame = pandas.DataFrame({"the size": x[:, 0], "town": pandas.Categorical(towns)})
    settings = QUIET | {"max_cat_to_onehot": 1, "cat_smooth": 1.0, "min_data_per_group": 1}
    booster = lightgbm.train(settings, lightgbm.Dataset(frame, amount), 7)
    booster.save_model(tmp_path / "model.txt")
    size = [None if np.isnan(v) else v for v in x[:, 0]]

    model = imported(tmp_path / "model.txt", x, tmp_path, like={"town": towns.tolist(), "the size": size})

    assert [field.name for field in model.manifest.inputs] == ["the size", "town"]
    asked = [{"the size": a, "town": b} for a, b in zip(size, towns.tolist(), strict=True)]
    np.testing.assert_allclose(model.predict(asked), booster.predict(frame), rtol=1e-6)
    nowhere = frame.assign(town=pandas.Categorical(["Nowhere"] * len(frame)))
    unknown = model.predict([row | {"town": "Nowhere"} for row in asked])
    np.testing.assert_allclose(unknown, booster.predict(nowhere), rtol=1e-6)
    assert trees_in((model.folder / "model.onnx").read_bytes()) is not None  # they can be cut


XGBOOST = {
    "binary": ({"objective": "binary:logistic"}, "binary"), "hits": ({"objective": "count:poisson"}, "regression"),
    "multi": ({"objective": "multi:softprob", "num_class": 3}, "multiclass"),
    "labels": ({"objective": "multi:softmax", "num_class": 3}, "multiclass"),
    "l2": ({"objective": "reg:squarederror", "base_score": 0.3}, "regression"),
    "share": ({"objective": "reg:logistic"}, "regression"), "margin": ({"objective": "binary:logitraw"}, "binary"),
    "dart": ({"objective": "binary:logistic", "booster": "dart", "rate_drop": 0.5, "one_drop": 1}, "binary"),
    "forest": ({"objective": "binary:logistic", "num_parallel_tree": 3, "subsample": 0.5}, "binary"),
    "codes": ({"objective": "reg:squarederror", "max_cat_to_onehot": 1}, "regression"),
    "pruned": ({"objective": "binary:logistic", "tree_method": "exact", "gamma": 1.5}, "binary"),
    "linear": ({"objective": "binary:logistic", "booster": "gblinear"}, "binary"),
    "linear of three": ({"objective": "multi:softprob", "num_class": 3, "booster": "gblinear"}, "multiclass"),
    "all pruned": ({"objective": "binary:logistic", "tree_method": "exact", "gamma": 20.0}, "binary"),
}  # fmt: skip


@pytest.mark.parametrize("name", XGBOOST)
def test_xgboost_answers_alike(name: str, tmp_path: Path) -> None:
    xgboost = pytest.importorskip("xgboost", reason="the extra `xgboost` is not installed")
    settings, task = XGBOOST[name]
    x, amount = rows()
    y = {"binary": (amount > 1), "multiclass": np.digitize(amount, [0.5, 1.5]), "regression": amount - amount.min()}[
        task
    ]
    if name == "share":
        y = (amount > 1).astype(float)
    kinds = ["float", "float", "c" if name == "codes" else "float"]
    data = xgboost.DMatrix(x, y.astype(float), feature_types=kinds, feature_names=["a", "b", "c"], nthread=1)
    booster = xgboost.train({"nthread": 1, "max_depth": 3, "verbosity": 0, **settings}, data, 7)
    path = tmp_path / ("model.ubj" if name == "multi" else "model.json")
    booster.save_model(path)

    assert apart("xgboost", path, x) == (task, pytest.approx(0, abs=1e-5))


def test_several_labels_a_row_are_told_of(tmp_path: Path) -> None:
    xgboost = pytest.importorskip("xgboost", reason="the extra `xgboost` is not installed")
    x, amount = rows()
    y = np.column_stack([amount > 1, amount > 2, x[:, 1] > 0]).astype(float)
    booster = xgboost.train({"objective": "binary:logistic", "nthread": 1}, xgboost.DMatrix(x, y, nthread=1), 3)
    booster.save_model(tmp_path / "model.json")

    with pytest.raises(UnfitModel, match="several numbers a row"):
        imported(tmp_path / "model.json", x, tmp_path)


@pytest.mark.parametrize(
    "towns", [("Oslo", "Rome", "Ağrı"), ("Köln", "Oslo", "Rome"), ("上海", "北京"), ("Уфа", "Москва")]
)
def test_categories_that_xgboost_cut_off_are_made_whole_by_the_rows(towns: tuple[str, ...], tmp_path: Path) -> None:
    xgboost = pytest.importorskip("xgboost", reason="the extra `xgboost` is not installed")
    pandas = pytest.importorskip("pandas")
    x, amount = rows()
    town = np.array(towns, object)[x[:, 2].astype(int) % len(towns)]
    town[::7] = None
    frame = pandas.DataFrame({"a": x[:, 1], "town": pandas.Categorical(town, categories=towns)})
    data = xgboost.DMatrix(frame, amount + (town == towns[-1]), enable_categorical=True, nthread=1)
    booster = xgboost.train({"nthread": 1, "max_depth": 3, "verbosity": 0, "max_cat_to_onehot": 1}, data, 7)
    booster.save_model(tmp_path / "model.json")
    held = {"a": x[:, 1].tolist(), "town": town.tolist()}

    model = imported(tmp_path / "model.json", x, tmp_path, like=held)

    assert model.manifest.inputs[1].categories == towns
    assert trees_in((model.folder / "model.onnx").read_bytes()) is not None  # they can be cut
    np.testing.assert_allclose(model.predict(held), booster.predict(data), rtol=1e-5)


def test_a_mean_of_linear_trees_is_proved_on_difficult_rows_too(tmp_path: Path) -> None:
    x, amount = rows()
    settings = QUIET | {"linear_tree": True, "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6}
    booster = lightgbm.train(settings, lightgbm.Dataset(x, amount, params=settings), 7)
    booster.save_model(tmp_path / "model.txt")

    model = imported(tmp_path / "model.txt", x, tmp_path)

    np.testing.assert_allclose(model.predict(like(x)), booster.predict(x), rtol=1e-6)


@pytest.mark.parametrize("objective", ["reg:squarederror", "count:poisson", "reg:logistic"])
def test_a_linear_booster_is_proved_on_difficult_rows_too(objective: str, tmp_path: Path) -> None:
    xgboost = pytest.importorskip("xgboost", reason="the extra `xgboost` is not installed")
    x, amount = rows()
    y = (amount > 1) * 1.0 if objective == "reg:logistic" else amount - amount.min()
    settings = {"nthread": 1, "verbosity": 0, "booster": "gblinear", "objective": objective}
    booster = xgboost.train(settings, xgboost.DMatrix(x, y, feature_names=["a", "b", "c"], nthread=1), 7)
    booster.save_model(tmp_path / "model.ubj")
    asked = [{name: None if np.isnan(v) else v for name, v in zip("abc", each, strict=True)} for each in x.tolist()]

    model = imported(tmp_path / "model.ubj", x, tmp_path)

    said = booster.predict(xgboost.DMatrix(x, feature_names=["a", "b", "c"], nthread=1))
    np.testing.assert_allclose(model.predict(asked), said, rtol=1e-5)
    assert model.predict([{"a": 1e200, "b": 0.0, "c": 0.0}]) == model.predict([{"a": 1e30, "b": 0.0, "c": 0.0}])


def test_categories_that_rows_do_not_make_whole_are_told_of() -> None:
    pytest.importorskip("xgboost", reason="the extra `xgboost` is not installed")
    cut = "上海北京广州".encode()[:6]

    assert texts_of(cut, [0, 2, 4, 6], ["上海", "北京", "广州"]) is None
    assert texts_of(cut, [0, 3, 6], ["上海"]) == ["上", "海"]
    assert texts_of(b"redblue", [0, 3, 7], []) == ["red", "blue"]


CATBOOST = {
    "binary": ({"loss_function": "Logloss"}, "binary"), "l2": ({"loss_function": "RMSE"}, "regression"),
    "multi": ({"loss_function": "MultiClass"}, "multiclass"), "hits": ({"loss_function": "Poisson"}, "regression"),
    "each": ({"loss_function": "MultiClassOneVsAll"}, "multiclass"),
    "focal": ({"loss_function": "Focal:focal_alpha=0.5;focal_gamma=1.0"}, "binary"),
    "levels": ({"loss_function": "Logloss", "grow_policy": "Depthwise"}, "binary"),
    "leaves": ({"loss_function": "RMSE", "grow_policy": "Lossguide", "max_leaves": 6}, "regression"),
    "uneven": ({"loss_function": "MultiClass", "grow_policy": "Lossguide"}, "multiclass"),
    "stumps": ({"loss_function": "RMSE", "grow_policy": "Depthwise", "min_data_in_leaf": 1000}, "regression"),
}  # fmt: skip


@pytest.mark.parametrize("name", CATBOOST)
def test_catboost_answers_alike(name: str, tmp_path: Path) -> None:
    catboost = pytest.importorskip("catboost", reason="the extra `catboost` is not installed")
    settings, task = CATBOOST[name]
    x, amount = rows()
    y: Any = amount - amount.min()
    if task != "regression":
        y = np.array(["low", "mid", "high"])[np.digitize(amount, [1.0] if task == "binary" else [0.5, 1.5])]
    booster = catboost.CatBoost(
        {"iterations": 7, "depth": 3, "thread_count": 1, "verbose": 0, "allow_writing_files": False, **settings}
    )
    booster.fit(catboost.Pool(x, y, feature_names=["a", "b", "c"]))
    path = tmp_path / ("model.json" if name == "multi" else "model.cbm")
    booster.save_model(str(path), format=path.suffix[1:])

    assert apart("catboost", path, x) == (task, pytest.approx(0, abs=1e-5))


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


def test_json_that_is_nested_without_end_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("xgboost", reason="the extra `xgboost` is not installed")
    (tmp_path / "bomb.json").write_text('{"learner":' + "[" * 200_000)
    (tmp_path / "half.json").write_text(json.dumps({"learner": {"x": 1}})[:-4])

    for name in ("bomb.json", "half.json"):
        with pytest.raises(UnreadableModel):
            member("importing.formats", "xgboost").read(tmp_path / name)
