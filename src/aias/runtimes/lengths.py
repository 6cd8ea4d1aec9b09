"""Which texts of mixed lengths go through an encoder together, so that little is computed of padding.

    lengths  5 42 7 5 14  ─sort→  5 5 7 14 │ 42  ─▶ two runs, where the second costs less than padding five would

Costs are counted in tokens. A graph that drops padding pays for it in attention alone, with the square of the length.
Any other is an old one, or so small that a run more costs it more than padding: it is cut up where there is too much
for one run. Rows that have several texts are as long as the longest.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

TOKENS_AT_ONCE: Final = 512
"""Of a run: what it works on then stays in the processor's cache. MiniLM reads half as many texts again a second as
with 4,096."""

RUN_TOKENS: Final = 22.0
"""What a run costs beside its tokens: all weights come from memory once. MiniLM: 4.3 ms, and 0.19 a token."""

ATTENTION: Final = 1 / 600
"""What attention costs, of each pair of places in a text. MiniLM: 0.3 µs."""

Places = npt.NDArray[np.int64]


def runs(longest: Places, tokens: Places, *, texts: int, unpadded: bool) -> list[Places]:
    """Of rows with so many `tokens` in so many `texts`, of which the `longest` has so many: which rows each run has."""
    order = np.argsort(longest, kind="stable")
    found, at = [], 0
    while at < len(order):
        rest = order[at : at + TOKENS_AT_ONCE]
        sizes = np.cumsum(tokens[rest]) if unpadded else np.arange(1, 1 + len(rest)) * texts * longest[rest]
        some = rest[: max(1, int(np.searchsorted(sizes, TOKENS_AT_ONCE, side="right")))]
        ends = cuts(longest[some].tolist(), texts=texts) if unpadded else [len(some)]
        found += [some[start:end] for start, end in zip([0, *ends], ends, strict=False)]
        at += len(some)
    return found


def cuts(longest: Sequence[int], *, texts: int) -> list[int]:
    """Where runs of rows, short ones first, should end for all of them together to cost least in a graph that drops
    padding."""
    ends = [at for at in range(1, len(longest)) if longest[at] != longest[at - 1]] + [len(longest)]
    best, before = {0: 0.0}, dict[int, int]()
    for end in ends:
        length = longest[end - 1]
        for start, cost in list(best.items()):
            total = cost + RUN_TOKENS + (end - start) * texts * length**2 * ATTENTION
            if end not in best or total < best[end]:
                best[end], before[end] = total, start
    found = [len(longest)]
    while before[found[-1]]:
        found.append(before[found[-1]])
    return found[::-1]
