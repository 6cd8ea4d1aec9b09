"""CatBoost's files with categories answer as CatBoost does: one hot, by statistics, unseen and missing ones."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

import aias
from aias.importing.formats.contract import UnfitModel, UnreadableModel

catboost = pytest.importorskip("catboost", reason="the extra `catboost` is not installed")

TOWNS, JOBS = ("Paris", "Rome", "Kyiv"), tuple(f"job {i}" for i in range(9))
NAMES = ["size", "town", "age", "job"]


def rows(count: int = 120) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    data = np.empty((count, 4), object)
    data[:, 0], data[:, 2] = rng.normal(size=count).round(3), rng.integers(20, 60, count).astype(float)
    data[:, 1], data[:, 3] = rng.choice(TOWNS, count), rng.choice(JOBS, count)
    return data, data[:, 0] + 2 * (data[:, 1] == "Rome") + np.array([int(each[-1]) for each in data[:, 3]]) / 4


def fitted(path: Path, *, task: str = "regression", named: bool = True, **settings: Any) -> tuple[Any, Any]:
    data, amount = rows()
    y = amount.astype(float) if task == "regression" else np.where(amount > 1.5, "high", "low")
    loss = "RMSE" if task == "regression" else "Logloss"
    model = catboost.CatBoost(
        {"iterations": 8, "depth": 3, "thread_count": 1, "verbose": 0, "allow_writing_files": False,
         "loss_function": loss, "max_ctr_complexity": 1, **settings}
    )  # fmt: skip
    model.fit(catboost.Pool(data, y, cat_features=[1, 3], feature_names=NAMES if named else None))
    model.save_model(str(path), format=path.suffix[1:])
    return model, data


def table(data: Any) -> dict[str, list[Any]]:
    return {name: data[:, at].tolist() for at, name in enumerate(NAMES)}


@pytest.mark.parametrize(
    ("ending", "settings"),
    [(".cbm", {}), (".json", {"one_hot_max_size": 20}), (".cbm", {"one_hot_max_size": 4, "named": False}),
     (".cbm", {"task": "binary"})],
    ids=["statistics", "one hot", "both, without names", "two classes"],
)  # fmt: skip
def test_categories_answer_as_catboost_answers_them(ending: str, settings: dict[str, Any], tmp_path: Path) -> None:
    own, data = fitted(tmp_path / f"model{ending}", **settings)
    told: list[Any] = []

    model = aias.import_model(tmp_path / f"model{ending}", like=table(data), home=tmp_path, watch=told.append)

    odd = data[:4].copy()
    odd[0, 1], odd[1, 3], odd[2, 0] = "Nowhere", "never heard of", float("nan")
    for some in (data, odd):
        asked = catboost.Pool(some, cat_features=[1, 3])
        if settings.get("task"):
            np.testing.assert_allclose(model.predict_proba(table(some)), own.predict(asked, "Probability"), atol=1e-6)
        else:
            np.testing.assert_allclose(model.predict(table(some)), own.predict(asked), rtol=1e-6)
    notes = [event.message for event in told if event.name == "import.note"]
    assert any("3 of `town`" in each or "3 of `1`" in each for each in notes)


def test_several_categories_together_are_refused_with_what_to_do(tmp_path: Path) -> None:
    _, data = fitted(tmp_path / "model.json", max_ctr_complexity=3, iterations=40, depth=5)

    with pytest.raises(UnfitModel, match="several categories together") as fault:
        aias.import_model(tmp_path / "model.json", like=table(data), home=tmp_path)

    assert "max_ctr_complexity=1" in fault.value.hint


def test_categories_are_known_in_the_spelling_that_it_was_trained_on(tmp_path: Path) -> None:
    own, data = fitted(tmp_path / "plain.cbm")
    data = data[:, [1, 3]]
    data[:, 0] = np.array([" Oslo", "True", "7.0"])[np.arange(len(data)) % 3]  # read: `Oslo`, `true`, 7
    y = (data[:, 0] == " Oslo") * 3.0 + (data[:, 0] == "True")
    own = catboost.CatBoost(own.get_params())
    own.fit(catboost.Pool(data, y, cat_features=[0, 1]))
    own.save_model(str(tmp_path / "model.cbm"))
    towns = np.array(["Oslo", True, 7], object)[np.arange(len(data)) % 3].tolist()

    model = aias.import_model(
        tmp_path / "model.cbm", like={"town": towns, "job": data[:, 1].tolist()}, home=tmp_path,
    )  # fmt: skip

    held = {"town": towns, "job": data[:, 1].tolist()}
    np.testing.assert_allclose(model.predict(held), own.predict(catboost.Pool(data, cat_features=[0, 1])), rtol=1e-6)


def test_spellings_that_it_tells_apart_and_rows_do_not_are_refused(tmp_path: Path) -> None:
    data = np.array([["3"], ["3.0"], ["4"]], object)[np.arange(90) % 3]
    own = catboost.CatBoost({"iterations": 4, "thread_count": 1, "verbose": 0, "allow_writing_files": False})
    own.fit(catboost.Pool(data, np.arange(90) % 3, cat_features=[0]))
    own.save_model(str(tmp_path / "model.cbm"))

    with pytest.raises(UnfitModel, match="spellings of '3'"):
        aias.import_model(tmp_path / "model.cbm", like={"floors": data[:, 0].tolist()}, home=tmp_path)


def test_texts_are_refused_by_name(tmp_path: Path) -> None:
    data = np.array([["red car"], ["blue sea"]], object)[np.arange(60) % 2]
    own = catboost.CatBoost({"iterations": 2, "thread_count": 1, "verbose": 0, "allow_writing_files": False})
    own.fit(catboost.Pool(data, np.arange(60) % 2, text_features=[0]))
    own.save_model(str(tmp_path / "model.cbm"))

    with pytest.raises(UnfitModel, match="reads text features"):
        aias.import_model(tmp_path / "model.cbm", like={"said": data[:, 0].tolist()}, home=tmp_path)


@pytest.mark.parametrize("written", ["nan", "NA"])
def test_a_word_for_a_missing_value_that_it_was_trained_on_is_what_it_knows(written: str, tmp_path: Path) -> None:
    """CatBoost takes no missing category, so tables are made texts before: `nan`, which rows have for none."""
    data = np.array([["Oslo"], [written], ["Rome"]], object)[np.arange(90) % 3]
    settings = {"iterations": 4, "thread_count": 1, "verbose": 0, "allow_writing_files": False, "max_ctr_complexity": 1}
    own = catboost.CatBoost(settings).fit(catboost.Pool(data, np.arange(90) % 3, cat_features=[0]))
    own.save_model(str(tmp_path / "model.cbm"))
    told: list[Any] = []

    model = aias.import_model(
        tmp_path / "model.cbm", like={"town": data[:, 0].tolist()}, home=tmp_path, watch=told.append
    )

    expected = own.predict(catboost.Pool(data[:3], cat_features=[0]))
    np.testing.assert_allclose(model.predict({"town": ["Oslo", written, "Rome"]}), expected, rtol=1e-6)
    np.testing.assert_allclose(model.predict({"town": ["Oslo", None, "Rome"]}), expected, rtol=1e-6)
    assert any(f"of `town` as '{written}'" in each.message or f"of `0` as '{written}'" in each.message for each in told)


def test_features_that_are_vectors_are_refused_by_name(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(60, 3))
    own = catboost.CatBoost({"iterations": 2, "thread_count": 1, "verbose": 0, "allow_writing_files": False})
    own.fit(catboost.Pool([[list(row)] for row in x], x[:, 0] > 0, embedding_features=[0]))
    own.save_model(str(tmp_path / "model.cbm"))

    with pytest.raises(UnfitModel, match="reads embedding features"):
        aias.import_model(tmp_path / "model.cbm", like={"said": x[:, 0].tolist()}, home=tmp_path)


def test_catboosts_own_onnx_is_read(tmp_path: Path) -> None:
    """It names the operators of trees only, and no set of the others."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 2)).astype(np.float32)
    own = catboost.CatBoostRegressor(iterations=4, thread_count=1, verbose=0, allow_writing_files=False)
    own.fit(x, x[:, 0])
    own.save_model(str(tmp_path / "model.onnx"), format="onnx")
    table = {"a": x[:, 0].tolist(), "b": x[:, 1].tolist()}

    model = aias.import_model(tmp_path / "model.onnx", like=table, home=tmp_path)

    np.testing.assert_allclose(model.predict(table), own.predict(x), rtol=1e-5)


def _rows_of(data: Any) -> list[dict[str, Any]]:
    return [dict(zip(NAMES, row, strict=True)) for row in data.tolist()]


def test_labels_are_those_of_the_threshold_that_the_file_holds(tmp_path: Path) -> None:
    own, data = fitted(tmp_path / "model.cbm", task="binary")
    told: list[Any] = []
    for threshold in (0.2, 0.8):
        own.get_metadata()["binclass_probability_threshold"] = str(threshold)
        own.save_model(str(tmp_path / "model.cbm"))

        model = aias.import_model(tmp_path / "model.cbm", like=table(data), home=tmp_path, watch=told.append)

        asked = catboost.Pool(data, cat_features=[1, 3])
        expected = np.ravel(own.predict(asked, "Class")).tolist()
        likeliest = np.where(own.predict(asked, "Probability")[:, 1] > 0.5, "low", "high").tolist()
        assert model.predict(table(data)).tolist() == expected != likeliest
        fed = {"columns": model.runtime.encoder.rows(_rows_of(data)).columns}
        graph = onnxruntime.InferenceSession(model.folder / "model.onnx")
        assert graph.run(["label"], fed)[0].tolist() == expected
    assert any("`low` where that has a probability above 0.8" in each.message for each in told)
    own.get_metadata()["binclass_probability_threshold"] = "2"
    own.save_model(str(tmp_path / "model.cbm"))
    with pytest.raises(UnreadableModel, match="threshold"):
        aias.import_model(tmp_path / "model.cbm", like=table(data), home=tmp_path)


def told_apart(values: list[str], path: Path) -> tuple[Any, dict[str, list[Any]]]:
    """A model of a number and of these values, as they are written, and its rows."""
    rng = np.random.default_rng(0)
    held = {"size": rng.normal(size=150).round(3).tolist(), "what": rng.choice(values, 150).tolist()}
    y = [each + 2 * (what == values[0]) for each, what in zip(held["size"], held["what"], strict=True)]
    model = catboost.CatBoost(
        {"iterations": 8, "depth": 3, "thread_count": 1, "verbose": 0, "allow_writing_files": False,
         "loss_function": "RMSE", "max_ctr_complexity": 1}
    )  # fmt: skip
    data = np.array([held["size"], held["what"]], object).T
    model.fit(catboost.Pool(data, y, cat_features=[1], feature_names=["size", "what"]))
    model.save_model(str(path))
    return model.predict(catboost.Pool(data, cat_features=[1])), held


@pytest.mark.parametrize(
    "values",
    [["2020-01-01", "2021-02-03", "2019-05-05"], ["2020-01-01 10:00:00", "2021-02-03 11:30:00"], ["y ", "x", " z"],
     ["1,000", "2,000", "3"], ["$5", "$7", "$9"], ["5%", "10%"], ["0.50", "1.25"]],
    ids=lambda values: values[0],
)  # fmt: skip
def test_what_reads_as_a_time_or_a_number_is_told_apart_as_it_is_written(values: list[str], tmp_path: Path) -> None:
    """Its hash was looked for as that of a time, was not found, and all were answered as never seen."""
    expected, held = told_apart(values, tmp_path / "model.cbm")
    lines = [f'{size},"{what}"' for size, what in zip(*held.values(), strict=True)]
    (tmp_path / "rows.csv").write_text("\n".join(["size,what", *lines, ""]))

    for like in (tmp_path / "rows.csv", held):
        model = aias.import_model(tmp_path / "model.cbm", like=like, home=tmp_path)
        np.testing.assert_allclose(model.predict(like), expected, atol=1e-6)


def test_categories_of_which_the_file_knows_none_are_told_of(tmp_path: Path) -> None:
    _, held = told_apart(["red", "blue"], tmp_path / "model.cbm")
    for like, warned in ((held, False), (held | {"what": [each.upper() for each in held["what"]]}, True)):
        told: list[Any] = []
        aias.import_model(tmp_path / "model.cbm", like=like, home=tmp_path, watch=told.append)
        assert any("it knows none of the 2 values of `what`" in each.message for each in told) == warned


@pytest.mark.parametrize("written", ["booleans", "texts"])
def test_categories_that_were_booleans_are_known(written: str, tmp_path: Path) -> None:
    """CatBoost takes them for 1 and 0, and all were answered as never seen."""
    rng = np.random.default_rng(0)
    sizes, flags = rng.normal(size=150).round(3).tolist(), (rng.random(150) < 0.5).tolist()
    data = np.array([sizes, flags], object).T
    own = catboost.CatBoostRegressor(iterations=8, depth=3, thread_count=1, verbose=0, allow_writing_files=False)
    pool = catboost.Pool(data, np.array(sizes) + 2 * np.array(flags), cat_features=[1], feature_names=["size", "flag"])
    own.fit(pool).save_model(str(tmp_path / "model.cbm"))
    told: list[Any] = []
    like: Any = {"size": sizes, "flag": flags}
    if written == "texts":
        like = tmp_path / "rows.csv"
        like.write_text("\n".join(["size,flag", *(f"{a},{b}" for a, b in zip(sizes, flags, strict=True)), ""]))

    model = aias.import_model(tmp_path / "model.cbm", like=like, home=tmp_path, watch=told.append)

    np.testing.assert_allclose(model.predict(like), own.predict(pool), atol=1e-6)
    rows = [{"size": a, "flag": b} for a, b in zip(sizes[:20], flags[:20], strict=True)]
    for each in (rows, [{**row, "flag": str(row["flag"])} for row in rows]):
        np.testing.assert_allclose(model.predict(each), own.predict(pool)[:20], atol=1e-6)
    assert not any("it knows none" in each.message for each in told)
