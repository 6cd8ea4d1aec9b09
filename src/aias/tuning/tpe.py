"""Densities of good and of bad settings, and what is likely under the one and not the other (Bergstra et al. 2011).

By Optuna; all dimensions together, and settings that are still being tried count as bad.
"""

import warnings
from collections.abc import Sequence
from typing import ClassVar, Final

from aias.tuning.contract import Search, Space, Trial
from aias.tuning.study import Study, quiet_optuna

__all__ = ["Tpe"]

DRAWN: Final = 5
"""Settings drawn by chance before densities mean anything; those told count."""


class Tpe:
    needs: ClassVar[tuple[str, ...]] = ("optuna",)

    @staticmethod
    def start(space: Space, *, seed: int, trials: Sequence[Trial] = ()) -> Search:
        optuna = quiet_optuna()
        with warnings.catch_warnings(action="ignore"):  # what Optuna still calls experimental
            sampler = optuna.samplers.TPESampler(
                seed=seed, n_startup_trials=DRAWN, multivariate=True, constant_liar=True
            )
        return Study(space, sampler, trials)
