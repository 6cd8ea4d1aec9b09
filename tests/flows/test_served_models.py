"""Models that other servers are tried with, as their projects publish them: imported, compressed, or refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import aias
from aias.compress.frontier import PUBLISHED
from aias.importing.formats.contract import UnreadableModel
from compression_contexts import soon

FOLDER = "models/served_tabular_models"
IRIS = ("sepal_length_(cm)", "sepal_width_(cm)", "petal_length_(cm)", "petal_width_(cm)")
MUSHROOM_COLUMNS = 126

pytestmark = pytest.mark.shared


@pytest.fixture
def folder(shared: Path) -> Path:
    if not (shared / FOLDER).is_dir():
        pytest.skip(f"../shared/data/{FOLDER} is not here")
    return shared / FOLDER


def flowers() -> np.ndarray:
    """Between the least and the most of what iris measures: (rows, columns)."""
    return np.random.default_rng(0).uniform([4.3, 2.0, 1.0, 0.1], [7.9, 4.4, 6.9, 2.5], (200, 4)).round(1)


def mushrooms(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Columns, of which a row names those that are not 0, from 1 on, and labels: (rows, columns), (rows,)."""
    lines = [line.split() for line in path.read_text().splitlines()]
    x = np.zeros((len(lines), MUSHROOM_COLUMNS))
    for row, (_, *entries) in enumerate(lines):
        for each in entries:
            place, value = each.split(":")
            x[row, int(place) - 1] = float(value)
    return x, np.array([int(line[0]) for line in lines])


def published(path: Path, x: np.ndarray, home: Path, **known: Any) -> tuple[aias.Model, np.ndarray]:
    """The version, and its probabilities of the rows."""
    names = known.pop("names", [f"c{at}" for at in range(x.shape[1])])
    rows = {name: x[:, at].tolist() for at, name in enumerate(names)}
    model = aias.import_model(path, like=rows, name="m", home=home, **known)
    return model, np.array(model.predict_proba(rows))


@pytest.mark.parametrize("name", ["lightgbm/model.bst", "lightgbm_iris/iris-lightgbm.bst"])
def test_a_model_of_lightgbm_answers_as_its_library_does(folder: Path, name: str, tmp_path: Path) -> None:
    lightgbm: Any = pytest.importorskip("lightgbm")
    x = flowers()

    model, said = published(folder / name, x, tmp_path, names=IRIS)

    assert model.task.classes == ("0", "1", "2")
    assert np.abs(said - lightgbm.Booster(model_file=str(folder / name)).predict(x)).max() < 1e-5


@pytest.mark.parametrize("name", ["model.json", "model.ubj"])
def test_a_model_of_xgboost_answers_as_its_library_does(folder: Path, name: str, tmp_path: Path) -> None:
    xgboost: Any = pytest.importorskip("xgboost")
    x, path = flowers(), folder / "xgboost_iris" / name

    _, said = published(path, x, tmp_path)

    sums = xgboost.Booster(model_file=str(path)).predict(xgboost.DMatrix(x), output_margin=True)
    own = np.exp(sums) / np.exp(sums).sum(axis=1, keepdims=True)
    assert np.abs(said - own).max() < 1e-5


def test_a_model_in_the_old_form_of_xgboost_is_refused_with_how_to_write_it_anew(folder: Path, tmp_path: Path) -> None:
    xgboost: Any = pytest.importorskip("xgboost")
    if tuple(map(int, xgboost.__version__.split(".")[:2])) < (3, 1):
        pytest.skip("XGBoost reads its old form up to 3.0")

    with pytest.raises(UnreadableModel, match="old binary form") as fault:
        published(folder / "xgboost_iris" / "model.bst", flowers(), tmp_path)
    assert "save_model('model.json')" in fault.value.hint


def test_a_model_of_mushrooms_answers_as_its_library_does_and_compressing_it_ends_in_words(
    folder: Path, tmp_path: Path
) -> None:
    xgboost: Any = pytest.importorskip("xgboost")
    path = folder / "xgboost_mushroom" / "mushroom-xgboost.json"
    x, y = mushrooms(folder / "xgboost_mushroom" / "agaricus.txt.test")

    model, said = published(path, x, tmp_path)
    own = xgboost.Booster(model_file=str(path)).predict(xgboost.DMatrix(x))
    assert np.abs(said[:, 1] - own).max() < 1e-5
    assert np.mean((said[:, 1] > 0.5) == y) > 0.95  # its columns are those of the rows

    rows = {f"c{at}": x[:, at].tolist() for at in range(x.shape[1])} | {model.task.target: y.tolist()}
    with soon():
        found = model.compress(data=rows, max_loss="5%", time="600s", techniques=["cut_trees"], inline=True)
    states = {each.state for each in found.frontier.points}
    assert found.better == (PUBLISHED in states), found.frontier.verdict
    assert found.better or found.frontier.verdict.startswith("nothing is worth it, because ")
    assert all(each.reason for each in found.frontier.points if each.state == "fell")


@pytest.mark.parametrize(
    ("name", "maker"),
    [
        ("sklearn_iris/model.joblib", "scikit-learn or joblib"), ("pmml/model.pmml", "PMML"),
        ("sklearn_mixedtype/model.joblib", "scikit-learn or joblib"),
        ("sklearn_digits_svm/mnist-svm.joblib", "scikit-learn or joblib"),
    ],
)  # fmt: skip
def test_what_can_run_code_or_is_not_read_is_refused_with_what_to_do(
    folder: Path, name: str, maker: str, tmp_path: Path
) -> None:
    with pytest.raises(UnreadableModel, match=f"is of {maker}") as fault:
        published(folder / name, flowers(), tmp_path)
    assert "ONNX" in fault.value.hint or "onnx" in fault.value.hint
    assert not aias.models(home=tmp_path)
