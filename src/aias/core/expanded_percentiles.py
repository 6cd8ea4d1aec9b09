"""How far out the percentiles of a bootstrap are taken, which are too narrow of few units (Hesterberg 2015, American
Statistician 69, 371-386)."""

import math


def expanded_tail(units: float, risk: float) -> float:
    """The share of the resamples beyond an end of the interval, outside which `risk` is to lie on this side:
    Φ(√(n / (n - 1)) t), t of n - 1 degrees of freedom. `units`: more than 1, what is drawn."""
    from scipy.special import ndtr, stdtrit  # late: a server that never measures need not load it

    return float(ndtr(math.sqrt(units / (units - 1)) * stdtrit(units - 1, risk)))
