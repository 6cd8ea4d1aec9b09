"""When requests are meant to go out."""

from collections.abc import Iterator
from typing import Final

import numpy as np

_AT_ONCE: Final = 4_096


def poisson(rate: float, seconds: float, *, seed: int) -> Iterator[float]:
    """Seconds from the beginning to each arrival: callers that know nothing of each other, `rate` of them a second.

    The gaps between them are exponential; the same seed gives the same arrivals.
    """
    random, at = np.random.default_rng(seed), 0.0
    while True:
        times = at + np.cumsum(random.exponential(1.0 / rate, _AT_ONCE))
        at = float(times[-1])
        for each in times.tolist():
            if each >= seconds:
                return
            yield each
