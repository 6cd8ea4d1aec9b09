"""What an error advises is of use in Python, too."""

import inspect

import lightgbm
import numpy as np
import pytest

import aias
from aias.core.errors import NotFound, UserError


@pytest.fixture(scope="module")
def booster(tmp_path_factory):
    folder = tmp_path_factory.mktemp("booster")
    rng = np.random.default_rng(0)
    values = rng.normal(size=(120, 2))
    data = lightgbm.Dataset(values, values[:, 0], feature_name=["a", "b"])
    path = folder / "amounts.txt"
    lightgbm.train({"objective": "regression", "verbose": -1}, data, 3).save_model(path)
    rows = [{"a": float(a), "b": float(b), "y": float(a)} for a, b in values]
    return path, rows, folder


def test_a_hint_names_the_argument_as_well_as_the_option(booster):
    path, rows, folder = booster
    with pytest.raises(UserError) as fault:
        aias.import_model(path, like=rows, home=folder, classes=["no", "yes"])
    assert fault.value.hint == "leave out `--classes`, or `classes=`"


def test_an_unknown_kind_of_scores_is_named_by_what_python_calls_it(booster):
    path, rows, folder = booster
    with pytest.raises(UserError, match="is no kind of `scores`"):
        aias.import_model(path, like=rows, home=folder, scores="odds")


def test_help_on_training_explains_every_argument():
    told = inspect.getdoc(aias.train)
    assert [name for name in inspect.signature(aias.train).parameters if f"`{name}`" not in told] == ["source"]


def test_one_name_needs_no_list(booster):
    path, rows, folder = booster
    model = aias.import_model(path, like=rows, home=folder, name="one")
    with pytest.raises(NotFound, match="no learner `lin`"):
        aias.train(rows, target="y", learners="lin", home=folder)
    with pytest.raises(ValueError, match="no learner `lin`"):
        aias.Regressor(learners="lin").fit([[1.0], [2.0], [3.0]], [1.0, 2.0, 3.0])
    with pytest.raises(NotFound, match="no technique `int`"):
        model.compress(data=rows, techniques="int")
