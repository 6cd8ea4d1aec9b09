"""How long a fold should take: by what its learner took before, or else by what trees took."""

from collections.abc import Iterable
from typing import Final

from aias.training.selection.configuration import Configuration
from aias.training.selection.trial import STRETCH, Trial, paced, reserved

UNIT_SECONDS_MIN: Final = 1.0
"""In less a unit cannot even start its libraries; what is taken for its time while nothing is known."""

FIRST_SHARE: Final = 0.5
"""Of the time left that the folds of one configuration may take while others wait."""

ALONE_SHARE: Final = 0.7
"""The same where one fit that is through is worth more than two that are cut."""

LAST_SHARE: Final = 0.9
"""Of the time left that the folds of one configuration may take at most, those still waiting to be begun included."""


def allowed(
    trial: Trial, trials: Iterable[Trial], left: float, *, turns: int, workers: int, estimate: float,
    seen_whole: bool,
) -> float:  # fmt: skip
    """Seconds of a fold, by those left, how often folds of its configuration have to follow one another, and what it
    should take. `seen_whole`: as in `Table`, of which a fit is the model."""
    left -= reserved(trial, trials, left=left, workers=workers)
    share = ALONE_SHARE if seen_whole and not paced(trial.configuration) else FIRST_SHARE
    wanted = max(share * trial.configuration.share * left / turns, STRETCH * estimate, UNIT_SECONDS_MIN)
    return min(left if turns == 1 else LAST_SHARE * left / turns, wanted)


class FitSeconds:
    """Seconds of a fold of something that costs 1, by learner and by what it last read."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], float] = {}
        self._trees: str | None = None  # the first of them, whose pace stands for learners that were not met yet
        self._plain: float | None = None

    def __bool__(self) -> bool:
        return bool(self._known)

    def knows(self, configuration: Configuration) -> bool:
        """Whether its learner was met."""
        return (configuration.learner,) in self._known

    def learn(self, configuration: Configuration, seconds: float) -> None:
        """A fold of it takes so long, in the mean."""
        learner, pace = configuration.learner, seconds / configuration.cost
        if configuration.settings.get("log_target"):  # may need ten times the rounds: nothing is told of others by that
            self._known[(learner, "log")] = pace
            return
        self._known[(learner,)] = self._known[(learner, *configuration.derived)] = pace
        if learner == "boosted_trees":
            self._trees = self._trees or configuration.name
            self._plain = pace if self._trees == configuration.name else self._plain

    def estimate(self, configuration: Configuration) -> float:
        """Seconds of a fold."""
        learner = configuration.learner
        own = ("log",) if configuration.settings.get("log_target") else configuration.derived
        pace = self._known.get((learner, *own), self._known.get((learner,), self._plain))
        return UNIT_SECONDS_MIN * min(configuration.cost, 1.0) if pace is None else pace * configuration.cost
