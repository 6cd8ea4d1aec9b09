"""`compress/workshop.py`: which rows techniques may choose by."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from aias.compress.workshop import Workshop


def test_rows_that_certify_are_not_among_those_to_choose_by() -> None:
    prepared: Any = SimpleNamespace(table=SimpleNamespace(rows=100))
    nothing: Any = None
    shop = Workshop(nothing, prepared, nothing, nothing, nothing, (), np.zeros(0), 0)
    shop.certifying = np.arange(0, 100, 2)
    assert (shop.some(64) % 2 == 1).all() and len(shop.some(64)) == 50
    assert len(shop.some(10)) == 10 and shop.some(10)[[0, -1]].tolist() == [1, 99]
