"""Smaller models trained directly compete always: who fell for want of time among other fits has another turn."""

from collections.abc import Callable, Sequence
from typing import Final

from aias.compress.context import Context
from aias.compress.fitting import fitted_when_asked
from aias.compress.halving import LATE
from aias.compress.trial import Trial
from aias.training.selection.configuration import Configuration

DIRECT: Final = "smaller_model"


class Direct:
    """`whole`: how many seconds in all would have been enough for all of them; `tried` judges one, and `fell` notes who
    came too late again: its name, its technique, the reason, and those seconds."""

    def __init__(
        self, context: Context, configurations: Sequence[Configuration], whole: float,
        tried: Callable[[Trial], None], fell: Callable[[str, str, str, float], None],
    ) -> None:  # fmt: skip
        self._waiting = [Trial(fitted_when_asked(context, each), DIRECT) for each in configurations]
        self._whole, self._tried, self._fell = whole, tried, fell

    def turn(self, count: int | None = None) -> list[Trial]:
        """So many of them, by default all that are left, the cheapest first."""
        trials = self._waiting[:count]
        del self._waiting[:count]
        late = []
        for each in trials:
            self._tried(each)
            if each.evidence is None and each.reason.startswith(LATE):
                self._fell(each.name, each.technique, each.reason, self._whole)
                late.append(each)
        return [each for each in trials if each not in late]
