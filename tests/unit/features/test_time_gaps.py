from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from aias.core.events import nobody
from aias.core.schema import Field
from aias.data.read import read
from aias.encoders.rows import RowEncoder
from aias.features.time_gaps import TIMES_MAX, TimeGaps
from aias.graph.compile import compile_graph
from aias.runtimes.onnxruntime import _session
from aias.training.train import Recipe, train

NOON = datetime(2024, 2, 28, 12)


def encoder(times: int) -> RowEncoder:
    """A number between a category and the times."""
    fields = [Field("c", "category"), Field("x", "number"), *(Field(f"t{at}", "time") for at in range(times))]
    values = {"c": ["a", "b"], "x": [1.0, 2.0]} | {f"t{at}": [NOON, NOON] for at in range(times)}
    return RowEncoder.fit(fields, values)


DAY = 86_400_000.0


def test_each_two_times_are_so_far_apart() -> None:
    rows = encoder(3)
    gaps = TimeGaps.fit(rows.layout)
    assert gaps is not None and gaps.width == 3
    later = {"t1": NOON + timedelta(days=2, hours=6), "t2": NOON - timedelta(days=1)}
    encoded = rows.rows([{"t0": NOON, **later}, {"t0": NOON, "t2": NOON}])
    expected = np.array([[2.25, -1.0, -3.25], [np.nan, 0.0, np.nan]]) * DAY
    np.testing.assert_array_equal(gaps.columns(encoded), expected)
    assert TimeGaps.load(gaps.state()) is gaps  # for the graph of several fits, which has it once


@pytest.mark.parametrize(("times", "width"), [(0, None), (1, None), (2, 1), (TIMES_MAX + 2, 15)])
def test_there_are_no_more_than_a_few(times: int, width: int | None) -> None:
    gaps = TimeGaps.fit(encoder(times).layout)
    assert (None if gaps is None else gaps.width) == width


def test_equal_gaps_are_one_number() -> None:
    rows = encoder(2)
    gaps = TimeGaps.fit(rows.layout)
    assert gaps is not None
    starts = (NOON + timedelta(seconds=int(at)) for at in np.random.default_rng(0).integers(0, 10**8, 200))
    found = gaps.columns(rows.rows([{"t0": at, "t1": at + timedelta(minutes=70)} for at in starts]))
    assert np.unique(found).tolist() == [70 * 60_000]


def test_the_graph_gives_the_same_columns() -> None:
    rows = encoder(2)
    gaps = TimeGaps.fit(rows.layout)
    assert gaps is not None
    days = np.random.default_rng(0).uniform(0, 900, (50, 2)).tolist()
    encoded = rows.rows([{f"t{at}": NOON + timedelta(days=day) for at, day in enumerate(two)} for two in days])
    session = _session(compile_graph(gaps, rows.layout, classes=()), None)
    found = session.run(["prediction"], {"columns": encoded.columns})[0]
    np.testing.assert_array_equal(found, gaps.columns(encoded)[:, 0])


def test_how_long_something_took_is_learned_from() -> None:
    rng = np.random.default_rng(0)
    began = [NOON + timedelta(minutes=int(at)) for at in rng.integers(0, 500_000, 600)]
    days = rng.gamma(2, 5, 600)
    ended = [at + timedelta(days=float(each)) for at, each in zip(began, days, strict=True)]
    table = pl.DataFrame({"began": began, "ended": ended, "x": rng.normal(size=600), "y": 3 * np.sin(days / 4)})
    recipe = Recipe("y", "gaps", seconds=600, folds=2, learners=("boosted_trees",), search=False)
    small = {"boosted_trees": {"rounds": 60}}

    results = train(read(table, target="y"), replace(recipe, learner_settings=small), watch=nobody, inline=True)

    assert results.quality.manifest.leaderboard[0].derived == ("time_gaps",)
    assert next(each.value for each in results.quality.manifest.measurements if each.metric == "r2") > 0.9
