"""Rows of one time err alike: what is measured on them is no surer than so many times make it."""

import datetime as dt
from pathlib import Path

import numpy as np
import pytest

import aias
from aias.core.task import Measurement
from aias.data.read import read
from aias.data.split import clusters_of

DAYS, EACH = 120, 20


def panel(seed: int) -> dict[str, list[object]]:
    """Of each day so many rows, whose amounts differ less from one another than from those of other days."""
    rng = np.random.default_rng(seed)
    day = np.repeat(np.arange(DAYS), EACH)
    x = rng.normal(size=len(day))
    y = x + 2 * rng.normal(size=DAYS)[day] + 0.1 * rng.normal(size=len(day))
    days = [str(dt.date(2024, 1, 1) + dt.timedelta(days=int(each))) for each in day]
    return {"day": [*days], "x": x.tolist(), "y": y.tolist()}


def times_as_wide(one: Measurement) -> float:
    """As that of an RMSE of as many normal errors, each of which stands for itself."""
    assert one.low is not None and one.high is not None
    return (one.high - one.low) / (2 * 1.96 * one.value / np.sqrt(2 * one.n))


def test_under_time_an_interval_is_of_times_to_come_not_of_rows(tmp_path: Path) -> None:
    model = aias.train(
        panel(0), target="y", name="m", split="time:day", learners=["linear"], search=False, inline=True, home=tmp_path
    )

    trained, (evaluated, *_) = model.manifest.measurements[0], model.evaluate(panel(1))

    assert min(times_as_wide(trained), times_as_wide(evaluated)) > 2  # of rows that err quite alike: √20


@pytest.mark.parametrize(
    ("days", "how", "clusters"),
    [(60, "time:day", 60), (60, "random", None), (40, "time:day", None), (600, "time:day", None)],
)
def test_rows_of_one_time_are_a_cluster_where_many_times_have_many_rows(days, how, clusters) -> None:
    rows = read({"day": [*range(days)] * (600 // days), "x": [i / 7 for i in range(600)]})

    found = clusters_of(rows, how)

    assert clusters == (None if found is None else len(set(found)))


def test_rows_without_a_time_stand_for_themselves() -> None:
    rows = read({"day": [*range(60)] * 9 + [None] * 5, "x": [i / 7 for i in range(545)]})

    found = clusters_of(rows, "time:day")

    assert found is not None and len(set(found)) == 65
