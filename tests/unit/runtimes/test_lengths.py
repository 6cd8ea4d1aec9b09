"""Texts of mixed lengths are cut into runs that compute little of padding, and each is in one run."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aias.runtimes.lengths import ATTENTION, RUN_TOKENS, TOKENS_AT_ONCE, cuts, runs

LENGTHS = st.lists(st.integers(1, 128), min_size=1, max_size=40)


def cost(longest: list[int], ends: tuple[int, ...], *, unpadded: bool) -> float:
    """Of runs that end there, in tokens."""
    total = 0.0
    for start, end in pairwise((0, *ends)):
        places, length = (end - start) * longest[end - 1], longest[end - 1]
        total += RUN_TOKENS + (places * length * ATTENTION if unpadded else places)
    return total


@pytest.mark.parametrize("unpadded", [True, False])
@settings(deadline=None, max_examples=50)
@given(lengths=st.lists(st.integers(1, 128), min_size=1, max_size=8))
def test_no_other_cuts_cost_less(lengths: list[int], *, unpadded: bool) -> None:
    longest = sorted(lengths)
    inner = range(1, len(longest))
    every = [(*some, len(longest)) for count in range(len(longest)) for some in combinations(inner, count)]
    found = cost(longest, tuple(cuts(longest, texts=1, unpadded=unpadded)), unpadded=unpadded)
    assert found == pytest.approx(min(cost(longest, each, unpadded=unpadded) for each in every))


@pytest.mark.parametrize("unpadded", [True, False])
@settings(deadline=None, max_examples=50)
@given(lengths=LENGTHS)
def test_every_row_is_in_one_run_and_no_run_is_too_large(lengths: list[int], *, unpadded: bool) -> None:
    there = np.array(lengths)
    found = runs(there, there, texts=1, unpadded=unpadded)
    assert sorted(np.concatenate(found).tolist()) == list(range(len(there)))
    for run in found:
        size = there[run].sum() if unpadded else len(run) * there[run].max()
        assert size <= TOKENS_AT_ONCE or len(run) == 1


def test_a_graph_that_drops_padding_reads_mixed_lengths_at_once_and_another_one_sorts_them() -> None:
    there = np.array([5, 14, 7, 40, 10] * 2)
    assert [len(run) for run in runs(there, there, texts=1, unpadded=True)] == [10]
    assert [sorted(there[run].tolist()) for run in runs(there, there, texts=1, unpadded=False)] == [
        [5, 5, 7, 7], [10, 10, 14, 14], [40, 40],
    ]  # fmt: skip


def test_few_long_texts_among_many_short_ones_have_a_run_of_their_own_in_either() -> None:
    there = np.array([4] * 60 + [128])
    assert [len(run) for run in runs(there, there, texts=1, unpadded=True)] == [60, 1]
