"""A Gaussian process over the settings, and where it expects the largest gain: the most from few trials.

By Optuna, and over PyTorch (the extra `deep`). A proposal costs up to seconds once there are hundreds of trials.
"""

import warnings
from collections.abc import Sequence
from typing import ClassVar, Final

from aias.tuning.contract import Search, Space, Trial
from aias.tuning.study import Study, quiet_optuna

__all__ = ["Gp"]

DRAWN: Final = 5
"""Settings drawn by chance before there is anything to fit; those told count."""


class Gp:
    needs: ClassVar[tuple[str, ...]] = ("optuna", "torch")

    @staticmethod
    def start(space: Space, *, seed: int, trials: Sequence[Trial] = ()) -> Search:
        optuna = quiet_optuna()
        with warnings.catch_warnings(action="ignore"):  # what Optuna still calls experimental
            sampler = optuna.samplers.GPSampler(seed=seed, n_startup_trials=DRAWN)
        return Study(space, sampler, trials)
