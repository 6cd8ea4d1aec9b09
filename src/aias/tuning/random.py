"""Settings drawn by chance, whatever came of those before: what every other searcher has to beat."""

from collections.abc import Sequence
from typing import ClassVar

from aias.tuning.contract import Search, Space, Trial
from aias.tuning.study import Study, quiet_optuna

__all__ = ["Random"]


class Random:
    needs: ClassVar[tuple[str, ...]] = ("optuna",)

    @staticmethod
    def start(space: Space, *, seed: int, trials: Sequence[Trial] = ()) -> Search:
        return Study(space, quiet_optuna().samplers.RandomSampler(seed=seed), trials)
