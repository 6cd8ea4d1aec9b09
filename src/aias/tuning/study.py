"""What the searchers of Optuna share: a study in memory that is asked and told."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from aias.tuning.contract import Choice, Dimension, Float, Space, Trial


class Study:
    """A search by one of Optuna's samplers."""

    def __init__(self, space: Space, sampler: Any, trials: Sequence[Trial]) -> None:
        optuna = quiet_optuna()
        self._distributions = {name: _distribution(optuna, each) for name, each in space.items()}
        self._study = optuna.create_study(sampler=sampler, direction="minimize")
        self._asked: list[Any] = []
        for trial in trials:
            self.tell(trial.settings, trial.loss)

    def ask(self) -> dict[str, Any]:
        with warnings.catch_warnings(action="ignore"):  # what Optuna still calls experimental
            trial = self._study.ask(self._distributions)
        self._asked.append(trial)
        return dict(trial.params)

    def tell(self, settings: Mapping[str, Any], loss: float | None) -> None:
        optuna = quiet_optuna()
        state = optuna.trial.TrialState.FAIL if loss is None else optuna.trial.TrialState.COMPLETE
        for trial in self._asked:
            if trial.params == settings:
                self._asked.remove(trial)
                self._study.tell(trial, loss, state=state)
                return
        self._study.add_trial(optuna.trial.create_trial(
            params=dict(settings), distributions=self._distributions, value=loss, state=state
        ))  # fmt: skip


def quiet_optuna() -> Any:
    """Optuna without its log lines."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def _distribution(optuna: Any, dimension: Dimension) -> Any:
    if isinstance(dimension, Choice):
        return optuna.distributions.CategoricalDistribution(dimension.values)
    kind = "FloatDistribution" if isinstance(dimension, Float) else "IntDistribution"
    return getattr(optuna.distributions, kind)(dimension.low, dimension.high, log=dimension.log)
