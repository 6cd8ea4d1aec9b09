"""A few of many, as far apart as they can be."""

import numpy as np

from aias.core.arrays import Ints


def evenly(many: int, most: int) -> Ints:
    """At most so many of the places from 0 to `many` - 1, the first and the last among them: (places,)."""
    return np.unique(np.linspace(0, many - 1, min(many, most)).astype(np.int64))
