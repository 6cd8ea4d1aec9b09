"""When Python's garbage collector looks for cycles: by the clock.

By itself it looks whenever there are 700 objects more than before. Under load a thousand requests wait, of 60 objects
each. They are no garbage, but were gone through again and again: for a twentieth of the time, and up to 40 ms at once,
in which nobody was refused. What is over here leads back to nothing of itself, so hardly anything waits for a look.
"""

import asyncio
import gc
from typing import Final

YOUNG_MAX: Final = 200_000
"""Objects more than at the last look, at which there is one at once: some 40 MB, had they all become garbage."""

LOOK_SECONDS: Final = 30.0
"""From one look at what is new to the next; of what 1,000 waiting requests hold 25 ms."""

ALL_EVERY: Final = 10
"""Looks; the last of them is at all that is there: every five minutes."""


def collect_by_time() -> None:
    """From now on, in the running loop. What is there by now stays, and is not looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_MAX, ALL_EVERY, ALL_EVERY)
    asyncio.get_running_loop().call_later(LOOK_SECONDS, _look, 1)


def _look(count: int) -> None:
    gc.collect(2 if count % ALL_EVERY == 0 else 1)
    asyncio.get_running_loop().call_later(LOOK_SECONDS, _look, count + 1)


def forget_frames(fault: BaseException | None) -> None:
    """Of a fault that has been told. They hold the request and its body, and one of them the fault again."""
    while fault is not None:
        fault.__traceback__, fault = None, fault.__context__
