"""`client/compare.py`: steps side by side, measured on the same rows or not at all."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import aias
from aias.core.errors import NotFound, UserError


def rows(count: int, seed: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, count))
    return pl.DataFrame({"a": a, "b": b, "y": np.where(a + b + rng.normal(size=count) / 2 > 0, "yes", "no")})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> aias.Model:
    return aias.train(
        rows(300, 0), target="y", name="m", time="600s", learners=("linear",), folds=2, search=False, inline=True,
        home=tmp_path_factory.mktemp("home"),
    )  # fmt: skip


def test_steps_stand_in_their_order_with_quality_latency_and_size(model: aias.Model) -> None:
    found = aias.compare({"train": model.quality, "serve": model, "again": model}, rows(80, 1), seconds=0.05)

    assert [(step.name, step.ref) for step in found.steps] == [("train", "m@1"), ("serve", "m@2"), ("again", "m@2")]
    assert found.steps[0].quality == model.quality.evaluate(rows(80, 1))[0]
    assert all(step.row_us.low <= step.row_us.value <= step.row_us.high for step in found.steps)
    assert 0 < found.steps[1].size_bytes < model.version.size_bytes
    table = found.markdown().splitlines()
    assert len(table) == 5
    assert "m@2 stays" in table[-1]
    assert found.chart().startswith(b"<svg") and b"serve" in found.chart()


def test_without_labels_each_must_have_been_measured_on_the_same_rows(model: aias.Model) -> None:
    with pytest.raises(UserError, match="not measured on the same rows"):
        aias.compare({"train": model}, rows(20, 1).drop("y"), seconds=0.05)
    with pytest.raises(UserError, match="nothing to compare"):
        aias.compare({}, rows(20, 1))


def test_an_axis_or_technique_or_setting_that_there_is_not_is_refused_by_name(model: aias.Model) -> None:
    with pytest.raises(NotFound, match="no axis `sideways`"):
        model.optimize(axes=["sideways"], data=rows(300, 0), inline=True)
    with pytest.raises(NotFound, match="no technique `magic`"):
        model.compress(techniques=["magic"], data=rows(300, 0), inline=True)
    for learner, typed in (("text_mlp", "widht"), ("linear", "c"), ("nearest", "n"), ("extra_trees", "n_estimators")):
        with pytest.raises(UserError, match=f"`{learner}` has no setting `{typed}`"):
            aias.train(rows(50, 0), target="y", learners={learner: {typed: 3}}, inline=True)


def test_a_learner_with_settings_is_fitted_with_them_once(tmp_path: Path) -> None:
    found = aias.train(
        rows(120, 0), target="y", name="n", time="600s", learners={"text_mlp": {"width": 4, "epochs": 3}}, folds=1,
        search=False, inline=True, home=tmp_path,
    )  # fmt: skip

    (line,) = found.manifest.leaderboard
    assert (line.name, line.settings["width"]) == ("text_mlp", 4)
