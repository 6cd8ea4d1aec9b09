"""The matrix of features: of all rows, of some, and block by block where there are very many."""

import numpy as np
import pytest

from aias.core.schema import Field
from aias.encoders.rows import RowEncoder
from aias.training.pipeline import WITHOUT_SENTENCES, Features

ROWS = 230


def features() -> Features:
    chance = np.random.default_rng(0)
    values = {"a": chance.normal(size=ROWS), "b": chance.choice(["x", "y", None], ROWS), "c": chance.normal(size=ROWS)}
    values["a"][::7] = np.nan
    encoder = RowEncoder.fit([Field("a", "number"), Field("b", "category"), Field("c", "number")], values)
    return Features(encoder, encoder.columns(values, ROWS))


@pytest.mark.parametrize("rows", [np.arange(ROWS), np.arange(1, ROWS, 3), np.array([229, 0, 5]), np.arange(0)])
def test_block_by_block_it_is_the_same(rows: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = features().matrix(WITHOUT_SENTENCES).toarray()
    monkeypatch.setattr("aias.training.pipeline.BLOCK_ROWS", 50)
    long = features()
    (some,) = long.parts(WITHOUT_SENTENCES, rows, kept=False)
    assert some.has_canonical_format and some.shape == (len(rows), whole.shape[1])
    np.testing.assert_array_equal(some.toarray(), whole[rows])
    np.testing.assert_array_equal(long.matrix(WITHOUT_SENTENCES).toarray(), whole)


def test_of_very_many_values_it_is_in_single_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = features().matrix(WITHOUT_SENTENCES)
    monkeypatch.setattr("aias.training.pipeline.BLOCK_ROWS", 50)
    monkeypatch.setattr("aias.training.pipeline.SINGLE_FROM", 100)
    (half,) = features().parts(WITHOUT_SENTENCES, np.arange(0, ROWS, 2), kept=False)
    assert whole.dtype == np.float64 and half.dtype == np.float32
    np.testing.assert_array_equal(half.toarray(), whole[::2].toarray().astype(np.float32))
