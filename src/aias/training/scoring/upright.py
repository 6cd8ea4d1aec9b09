"""What class weights did to probabilities, taken back in closed form.

Who counts class k by w_k while fitting learns p_k w_k / Σ p w of what is p_k (Elkan 2001): divided by w_k, and made to
sum to 1, that is p_k again.
"""

import numpy as np

from aias.core.arrays import Floats


def taken_back(costs: Floats) -> Floats:
    """By what each probability is multiplied, (classes,). `costs`: how much a row of each class counted; 0 where there
    was none."""
    return np.asarray(1 / np.where(costs > 0, costs, 1.0))
