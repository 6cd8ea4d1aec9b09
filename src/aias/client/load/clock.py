"""Short sleeps that end when they should."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_PR_SET_TIMERSLACK: Final = 29
_SHARPEST_NS: Final = 1


@contextmanager
def exact_sleeps() -> Iterator[None]:
    """Linux lets a thread sleep 50 µs too long, to wake several at once: not this one, for so long."""
    if sys.platform != "linux":
        yield
        return
    prctl = ctypes.CDLL(None).prctl
    prctl(_PR_SET_TIMERSLACK, _SHARPEST_NS, 0, 0, 0)
    try:
        yield
    finally:
        prctl(_PR_SET_TIMERSLACK, 0, 0, 0, 0)
