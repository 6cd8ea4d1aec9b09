"""The last word of an optimisation."""

import pytest

from aias.optimize.certify import Gain
from aias.optimize.optimize import _verdict


@pytest.mark.parametrize(("low", "tried", "said"), [
    (0.01, True, "better than m@2 on rows"),
    (0.01, False, "better than m@2 on rows"),  # fitting again may be enough
    (-0.01, True, "nothing is certain to be better than m@2"),
    (-0.01, False, "nothing was tried, so m@2 stays"),
])  # fmt: skip
def test_the_last_word_fits_what_was_tried_and_gained(low: float, tried: bool, said: str) -> None:
    gain = Gain("roc_auc", 0.02, low, 0.03, 300)

    assert _verdict("m@2", gain, tried=tried).startswith(said)
