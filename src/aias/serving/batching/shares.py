"""Who has had how much: seconds of running, for tenants and for models alike."""

from typing import Any, Final

_REMEMBERED_MAX: Final = 1_024
"""Of those that wait for nothing."""


class Shares:
    """Seconds that each has had, on a common clock that does not let anybody save up: who comes back starts now."""

    def __init__(self) -> None:
        self._had: dict[Any, float] = {}
        self._now = 0.0

    def had(self, who: Any) -> float:
        return self._had.get(who, self._now)

    def ahead(self, who: Any) -> float:
        """How much more than whoever comes back now."""
        return max(0.0, self.had(who) - self._now)

    def enter(self, who: Any) -> None:
        if len(self._had) > _REMEMBERED_MAX:
            # Who has had less than the clock says starts from the clock: nothing is lost with these.
            self._had = {each: had for each, had in self._had.items() if had > self._now}
        self._had[who] = max(self._had.get(who, 0.0), self._now)

    def serve(self, who: Any) -> None:
        self._now = max(self._now, self.had(who))

    def charge(self, who: Any, seconds: float) -> None:
        self._had[who] = self.had(who) + seconds
