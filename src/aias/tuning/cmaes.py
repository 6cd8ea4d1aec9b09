"""Evolution of a normal distribution over the numbers (Hansen 2016, arXiv 1604.00772); choices are drawn by chance.

By Optuna and cmaes. It starts around the best settings told, and wants trials by the hundred.
"""

import warnings
from collections.abc import Sequence
from typing import ClassVar

from aias.tuning.contract import Choice, Search, Space, Trial
from aias.tuning.study import Study, quiet_optuna

__all__ = ["Cmaes"]


class Cmaes:
    needs: ClassVar[tuple[str, ...]] = ("optuna", "cmaes")

    @staticmethod
    def start(space: Space, *, seed: int, trials: Sequence[Trial] = ()) -> Search:
        known = [trial for trial in trials if trial.loss is not None]
        best = min(known, key=lambda trial: trial.loss or 0.0, default=None)
        numbers = {name for name, each in space.items() if not isinstance(each, Choice)}
        start = {name: value for name, value in best.settings.items() if name in numbers} if best else None
        optuna = quiet_optuna()
        with warnings.catch_warnings(action="ignore"):  # a start will be told otherwise in Optuna 6
            sampler = optuna.samplers.CmaEsSampler(x0=start, seed=seed, warn_independent_sampling=False)
        return Study(space, sampler, trials)
