"""The profile of the training data."""

import warnings
from datetime import datetime

import polars as pl

from aias.core.schema import Field, Schema
from aias.data.dataset import Dataset
from aias.training.profile import profile


def test_numbers_at_the_end_of_what_a_float_holds_have_finite_quantiles():
    frame = pl.DataFrame({"far": [1.6e308, -1.6e308, 1.6e308, -1.6e308]})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = profile(Dataset(frame, Schema((Field("far", "number"),))))
    assert found["columns"]["far"]["quantiles"][::4] == [-1.6e308, 0.0, 1.6e308]


def test_the_median_of_times_is_known():
    days = [datetime(2024, 5, day) for day in (9, 1, 3)]
    frame = pl.DataFrame({"at": [*days, None], "never": pl.Series([None] * 4, dtype=pl.Datetime)})

    found = profile(Dataset(frame, Schema((Field("at", "time"), Field("never", "time")))))

    assert [found["columns"][name]["median"] for name in ("at", "never")] == ["2024-05-03 00:00:00", None]
