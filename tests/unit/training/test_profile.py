"""The profile of the training data."""

import warnings

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
