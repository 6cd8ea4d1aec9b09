"""`compress/fold_groups.py`: who is judged together, and never by what has seen a row of it."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from aias.compress.context import Context
from aias.compress.fold_groups import together
from aias.training.selection.configuration import ALL


def context(folds: int, certify: list[int]) -> Context:
    held: Any = np.arange(10 * folds) % folds
    table = SimpleNamespace(fold_count=folds, folds=held)
    return cast(
        Context,
        SimpleNamespace(certifying=np.flatnonzero(np.isin(held, certify)), prepared=SimpleNamespace(table=table)),
    )


@pytest.mark.parametrize("folds", range(1, 12))
@pytest.mark.parametrize("certify", [[], [0], [1, 2], [0, 3, 5, 6]])
def test_each_fold_is_in_one_group_and_most_rows_are_left_to_learn_from(folds: int, certify: list[int]) -> None:
    certify = [each for each in certify if each < folds]
    held = context(folds, certify)
    for fold in range(folds):
        group = together(held, fold)
        assert fold in group
        assert all(together(held, each) == group for each in group)
        assert len({each in certify for each in group}) == 1
        assert len(group) == 1 or len(group) <= 0.4 * folds


def test_eight_folds_take_three_fits_to_search_and_to_certify_by() -> None:
    held = context(8, [1, 3, 6, 7])
    assert [together(held, each) for each in (0, 2, 4)] == [(0, 2, 4)] * 3
    assert {together(held, each) for each in (1, 3, 6, 7)} == {(1, 3), (6, 7)}
    assert together(held, ALL) == (ALL,)
