"""Settings that somebody hands to a learner, and that it does not have or cannot be fitted with."""

import importlib.util
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import aias
from aias.core.catalog import member
from aias.core.errors import UserError
from aias.core.events import Event
from aias.data.read import read
from aias.learners.contract import SettingRefused, check_settings
from aias.training.processes.worker import PLACE
from aias.training.train import NoModel, Recipe, check, train
from aias.tuning.spaces import SPACES
from trainings import LINEAR, table

TEXTS = {name: values for name, values in table(120).items() if name in {"note", "y"}}


def rows() -> dict[str, list[Any]]:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 80))
    return {"a": a.tolist(), "b": b.tolist(), "y": np.where(a > 0, "u", "v").tolist()}


@pytest.mark.parametrize(
    ("learner", "setting", "value", "said"),
    [
        ("boosted_trees", "num_leafs", 7, "has no setting `num_leafs`"),
        ("boosted_trees", "rounds", "x", "whole number from 1, not 'x'"),
        ("linear", "C", "big", "a number above 0, not 'big'"),
        ("linear", "C", 0, "a number above 0, not 0"),
        ("linear", "C", math.nan, "a number above 0, not nan"),
        ("linear", "C", math.inf, "a number above 0, not inf"),
        ("linear", "sparse", "yes", "one of False, True, not 'yes'"),
        ("linear", 3, 1, "has no setting `3`"),
        ("nearest", "k", 0, "whole number from 1, not 0"),
        ("nearest", "k", True, "whole number from 1, not True"),
        ("extra_trees", "trees", 2.5, "whole number from 1, not 2.5"),
        ("mlp", "width", None, "whole number from 1, not a value of type NoneType"),
        ("mlp", "dropout", 1, "a number from 0 to 0.95, not 1"),
        ("text_mlp", "update", "x", "one of 'sgd', 'momentum', 'adam', 'schedule_free', not 'x'"),
    ],
)
def test_what_a_learner_does_not_take_is_refused_before_a_file_is_read(
    tmp_path: Path, learner: str, setting: Any, value: Any, said: str
) -> None:
    with pytest.raises(SettingRefused, match=f"`{learner}`.*{said}") as caught:
        aias.train(tmp_path / "none.csv", target="y", learners={learner: {setting: value}}, inline=True, home=tmp_path)
    assert caught.value.hint


def test_a_hint_names_what_was_meant(tmp_path: Path) -> None:
    with pytest.raises(SettingRefused) as caught:
        aias.train(
            tmp_path / "none.csv", target="y", learners={"boosted_trees": {"num_leafs": 7}}, inline=True, home=tmp_path
        )
    assert caught.value.hint == "did you mean `num_leaf`?"


def test_settings_without_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the settings of `linear` are named values, not 'C'"):
        aias.train(rows(), target="y", learners={"linear": "C"}, inline=True, home=tmp_path)


@pytest.mark.parametrize(
    ("learner", "settings", "said"),
    [
        ("boosted_trees", {"num_leaves": "many"}, "num_leaves='many': Parameter num_leaves should be of type int"),
        ("boosted_trees", {"num_leaves": -3}, r"num_leaves=-3: Check failed: \(num_leaves\) > \(1\)$"),
        ("extra_trees", {"criterion": "x"}, "The 'criterion' parameter of ExtraTreesClassifier must be"),
        ("xgboost", {"max_depth": "x"}, "Invalid Parameter format for max_depth"),
        ("xgboost", {"max_dept": 3}, "has no setting `max_dept`"),
        ("catboost", {"depth": 99}, "depth=99: Maximum tree depth is 16"),
        ("catboost", {"depht": 3}, "Unknown option {depht}"),
        ("catboost", {"grow_policy": "Lossguide"}, "SymmetricTree only"),
    ],
)
def test_what_a_library_refuses_ends_training_at_once(
    tmp_path: Path, learner: str, settings: dict[str, Any], said: str
) -> None:
    for module in member("learners", learner).needs:
        pytest.importorskip(module)
    with pytest.raises(SettingRefused) as caught:
        aias.train(
            rows(), target="y", name="m", learners={"linear": {}, learner: settings}, time="600s", inline=True,
            home=tmp_path, search=False,
        )  # fmt: skip
    assert re.search(said, caught.value.message)


@pytest.mark.parametrize("learner", SPACES)
def test_what_is_searched_is_taken(learner: str) -> None:
    found = member("learners", learner)
    if hasattr(found, "takes"):
        check_settings(learner, found.takes(), {**SPACES[learner].usual, **SPACES[learner].always})


@pytest.mark.parametrize(
    "said",
    [
        "catboost/private/libs/options/plain_options_helper.cpp:512: it failed",
        "[15:22:51] /workspace/src/data/quantile_dmatrix.h:52: it failed\nStack trace:\n  [bt] (0) lib.so",
        "it failed at /__w/LightGBM/src/io/config_auto.cpp, line 352 .\n",
    ],
)
def test_where_in_its_source_a_library_failed_is_not_told(said: str) -> None:
    assert PLACE.sub("", said).strip() == "it failed"


@pytest.mark.parametrize("learner", ["linear", "nearest", "extra_trees"])
def test_a_learner_of_means_is_not_asked_for_a_quantile(learner: str) -> None:
    """Of exponential noise 63 % of the amounts lie below their mean, whatever quantile was asked for."""
    kinds = {"target": "y", "name": "n", "learners": ("boosted_trees", learner)}
    check(Recipe(**kinds, metric="quantile_loss"))
    with pytest.raises(UserError, match=f"`{learner}` answers with means") as refused:
        check(Recipe(**kinds, metric="quantile_loss:0.9"))
    assert "boosted_trees" in refused.value.hint
    assert learner not in refused.value.hint


@pytest.mark.parametrize(
    ("learner", "columns", "reason"),
    [
        ("nearest", {"x": range(3_100), "y": ["a", "b"] * 1_550}, "at most 3,000 rows, and these are 3,100"),
        ("boosted_trees", TEXTS, "nothing from texts alone"),
        ("extra_trees", {"x": range(96), "y": list("abcdefghijkl") * 8}, "at most 10 classes, and these are 12"),
    ],
)
def test_a_learner_that_cannot_take_part_is_told_why(learner: str, columns: dict[str, Any], reason: str) -> None:
    data = read({name: list(values) for name, values in columns.items()}, target="y")
    with pytest.raises(NoModel, match=f"`{learner}`: .*{reason}") as caught:
        train(data, replace(LINEAR, learners=(learner,), metric="accuracy"), inline=True)
    assert "time" not in (caught.value.hint or "")


def test_a_learner_that_is_not_installed_is_said_to_be_so(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "catboost" else find(name))
    with pytest.raises(NoModel, match="`catboost`: `catboost` is not installed"):
        train(read(table(60)), replace(LINEAR, learners=("catboost",)), inline=True)


def test_of_several_that_were_named_the_one_that_is_left_out_is_told() -> None:
    told: list[Event] = []
    recipe = replace(LINEAR, learners=("linear", "boosted_trees"))
    train(read(TEXTS, target="y"), recipe, inline=True, watch=told.append)

    (left_out,) = [each for each in told if each.name == "train.skipped" and each.level == "warning"]
    assert left_out.facts["learner"] == "boosted_trees" and "texts alone" in left_out.message
