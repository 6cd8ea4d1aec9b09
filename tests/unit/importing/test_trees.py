"""Files of LightGBM, XGBoost and CatBoost answer as their own libraries do, whatever they were trained for."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from aias.core.catalog import member
from aias.core.task import TaskType
from aias.forests.xgboost import texts_of
from aias.graph.trees import trees_in
from aias.importing.formats.contract import Plan, UnfitModel
from aias.importing.proof import differences
from foreign_trees import QUIET, imported, like, rows

lightgbm = pytest.importorskip("lightgbm")


def answers(task: str, amount: Any) -> Any:
    if task == "regression":
        return amount - amount.min()
    return np.digitize(amount, [1.0] if task == "binary" else [0.5, 1.5]).astype(float)


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
    return said.task, float(differences(found, scores, relative=False).max())


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
