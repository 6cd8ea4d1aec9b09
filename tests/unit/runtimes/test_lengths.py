"""Texts of mixed lengths are cut into runs that compute little of padding, and each is in one run."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aias.runtimes.lengths import ATTENTION, RUN_TOKENS, TOKENS_AT_ONCE, cuts, runs

LENGTHS = st.lists(st.integers(1, 128), min_size=1, max_size=40)


def cost(longest: list[int], ends: tuple[int, ...]) -> float:
    """Of runs that end there, in tokens."""
    spans = list(pairwise((0, *ends)))
    return sum(RUN_TOKENS + (end - start) * longest[end - 1] ** 2 * ATTENTION for start, end in spans)


@settings(max_examples=50)
@given(lengths=st.lists(st.integers(1, 128), min_size=1, max_size=8))
def test_no_other_cuts_cost_less(lengths: list[int]) -> None:
    longest = sorted(lengths)
    inner = range(1, len(longest))
    every = [(*some, len(longest)) for count in range(len(longest)) for some in combinations(inner, count)]
    found = cost(longest, tuple(cuts(longest, texts=1)))
    assert found == pytest.approx(min(cost(longest, each) for each in every))


@pytest.mark.parametrize("unpadded", [True, False])
@settings(max_examples=50)
@given(lengths=LENGTHS)
def test_every_row_is_in_one_run_and_no_run_is_too_large(lengths: list[int], *, unpadded: bool) -> None:
    there = np.array(lengths)
    found = runs(there, there, texts=1, unpadded=unpadded)
    assert sorted(np.concatenate(found).tolist()) == list(range(len(there)))
    for run in found:
        size = there[run].sum() if unpadded else len(run) * there[run].max()
        assert size <= TOKENS_AT_ONCE or len(run) == 1


def test_mixed_lengths_are_read_at_once() -> None:
    there = np.array([5, 14, 7, 40, 10] * 2)
    assert [len(run) for run in runs(there, there, texts=1, unpadded=True)] == [10]


def test_few_long_texts_among_many_short_ones_have_a_run_of_their_own_where_padding_costs_attention() -> None:
    there = np.array([4] * 60 + [128])
    assert [len(run) for run in runs(there, there, texts=1, unpadded=True)] == [60, 1]


def test_a_graph_that_keeps_padding_is_cut_up_only_where_there_is_too_much_for_one_run() -> None:
    there = np.array([5, 14, 7, 40, 10])
    assert [len(run) for run in runs(there, there, texts=1, unpadded=False)] == [5]
    there = np.array([4] * 60 + [128])
    assert [len(run) for run in runs(there, there, texts=1, unpadded=False)] == [60, 1]
