"""How often a teacher says what is known to be true."""

from collections.abc import Sequence

import numpy as np

from aias.core.errors import BadValue
from aias.core.events import Event
from aias.training.scoring.intervals import wilson


def compared_on(pairs: Sequence[tuple[str, str]], who: str, *, numbers: bool) -> Event:
    """Of true answers and the teacher's. Its facts are for the lineage."""
    beside, facts = f"on {len(pairs):,} rows with answers of their own {who}", {"compared": len(pairs)}
    if numbers:
        apart = float(np.mean([abs(number_of(mine) - number_of(its)) for mine, its in pairs]))
        return Event("teach.agreement", f"{beside} is {apart:.4g} off on average", facts=facts | {"difference": apart})
    share = float(np.mean([mine == its for mine, its in pairs]))
    low, high = wilson(share, len(pairs))
    message = f"{beside} says the same on {100 * share:.0f} % (95 %: {100 * low:.0f} to {100 * high:.0f})"
    return Event("teach.agreement", message, facts=facts | {"agreement": share})


def number_of(text: str) -> float:
    """Raises `BadValue`."""
    try:
        return float(text)
    except ValueError:
        raise BadValue(f"the answer {text!r} is no number") from None
