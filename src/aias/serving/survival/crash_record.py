"""Which versions end their workers. They get a process of their own, and if that does not help are run no more."""

from collections import defaultdict
from typing import Final

from aias.core.errors import NotFound

APART_DEATHS: Final = 2.0
"""In whose runs so many workers have ended, runs apart: one request costs two, as it is repeated once. Where several
versions ran at once they share a death, and apart it shows which of them it was."""

DEATHS_MAX: Final = 4.0
"""Of workers and of its own processes; then it runs no more."""

LOADING_DEATHS: Final = 2.0
"""What a death counts while a version was loaded: every start of a worker would end so."""

AGAIN_DEATHS: Final = 1.5
"""What a death counts in the run of a request that has seen a worker die before: hardly by chance, whoever else ran."""

WINDOW_SECONDS: Final = 600.0
"""Of this time. One that ends a worker a day costs less than not being answered at all."""

RELEASE: Final = "serve.release"
"""What a worker tells its supervisor when somebody vouches for a version."""

APART: Final = "serve.apart-wanted"
"""What it tells when it has measured that one needs a process of its own."""


class NotHeld(NotFound):
    """The version is neither quarantined nor in a process of its own"""

    code = "serving.not-held"


class CrashRecord:
    """Deaths of workers and of isolated processes, by version."""

    def __init__(self) -> None:
        self._deaths: dict[str, list[tuple[float, float]]] = defaultdict(list)
        self.apart: frozenset[str] = frozenset()
        self.quarantined: frozenset[str] = frozenset()

    def add(self, suspects: dict[str, float], now: float) -> bool:
        """Note a death; whether it was one too many for a version."""
        before = self.apart, self.quarantined
        for version, share in suspects.items():
            recent = [each for each in self._deaths[version] if now - each[0] <= WINDOW_SECONDS]
            self._deaths[version] = [*recent, (now, share)]
            deaths = sum(each[1] for each in self._deaths[version]) + 1e-9
            if deaths >= APART_DEATHS:
                self.apart |= {version}
            if deaths >= DEATHS_MAX:
                self.quarantined |= {version}
        return before != (self.apart, self.quarantined)

    def move(self, version: str) -> bool:
        """Have a version run apart that nobody blames; whether that is new."""
        if version in self.apart | self.quarantined:
            return False
        self.apart |= {version}
        return True

    def release(self, version: str, now: float) -> bool:
        """One step back for a version: who is quarantined runs apart, as if it had just come there; who runs apart runs
        beside the others. Whether it was either."""
        if version in self.quarantined:
            self.quarantined -= {version}
            self.apart |= {version}
            self._deaths[version] = [(now, APART_DEATHS)]
            return True
        if version in self.apart:
            self.apart -= {version}
            self._deaths.pop(version, None)
            return True
        return False

    def lists(self) -> tuple[list[str], list[str]]:
        """The versions that must not run, and those that must run apart, as they are told to workers."""
        return sorted(self.quarantined), sorted(self.apart)

    def suspects(self) -> list[str]:
        """The versions in whose runs a process has ended, were it one."""
        return sorted(self._deaths)

    def forgive(self) -> None:
        """Begin anew, with all versions."""
        self._deaths.clear()
        self.apart = self.quarantined = frozenset()
