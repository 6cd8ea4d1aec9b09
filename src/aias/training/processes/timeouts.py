"""How long a unit, and the loading of what it needs, is waited for."""

from typing import Any, Final

GRACE_SECONDS: Final = 0.8
"""From a unit's deadline to its end; a learner that is not back by then is killed."""

LATE_SECONDS: Final = 1.0
"""That a unit is left where the end of fitting has moved towards it since it was begun."""

ENDING_SHARE: Final = 0.4
"""Of a unit's time, at most, that is kept for its end where others have the processors: it then takes longer, too."""

IMPORT_SECONDS: Final = 3.0
"""What a worker gets besides when a learner's library has to be loaded, on a machine with other work to do."""

START_SECONDS: Final = 5.0
"""And for its process to start, when this is its first unit; there is nothing else to go on with yet."""

LOADING_SHARE: Final = 0.2
"""Of the time left that a library may take to load, or longer where that is less than `IMPORT_SECONDS`; others wait
behind it."""


def early(seconds: float, *, stretch: float) -> float:
    """How much sooner than it is due a unit of so many seconds should come to its end."""
    return min(GRACE_SECONDS * (stretch - 1), ENDING_SHARE * seconds)


def at(worker: Any, due: float, *, fit_ends_at: float, fitted: bool) -> float:
    """When a worker whose unit is due by then is killed. `fitted`: whether there is something already; if not, the
    first is waited for, unless somebody has said stop (`fit_ends_at` is 0)."""
    loading = 0.0 if worker.order.configuration.learner in worker.loaded else IMPORT_SECONDS
    loading += 0.0 if worker.loaded else START_SECONDS
    if not fitted and fit_ends_at:
        return due + loading + GRACE_SECONDS
    due = max(due, min(due + loading, fit_ends_at))
    return min(due, fit_ends_at + LATE_SECONDS) + GRACE_SECONDS


def loading(left: float, *, stretch: float) -> float:
    """How long a library may take to load where so many seconds are left."""
    return max(IMPORT_SECONDS * stretch, LOADING_SHARE * left)
