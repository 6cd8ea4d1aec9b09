"""A random forest over the settings, and where it expects a gain (Hutter, Hoos and Leyton-Brown 2011), by SMAC3."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

from aias.tuning.contract import Choice, Search, Space, Trial, number_of, value_at

__all__ = ["Smac"]

DRAWN: Final = 5
"""Settings drawn by chance before there is anything to fit."""

TRIALS_MAX: Final = 10_000
"""More than time ever allows; SMAC3 wants to be told."""


class Smac:
    needs: ClassVar[tuple[str, ...]] = ("smac", "ConfigSpace")

    @staticmethod
    def start(space: Space, *, seed: int, trials: Sequence[Trial] = ()) -> Search:
        return _Search(space, seed, trials)


class _Search:
    """Numbers are searched as places between 0 and 1, and choices by their index, so that their limits are ours."""

    def __init__(self, space: Space, seed: int, trials: Sequence[Trial]) -> None:
        import ConfigSpace
        from smac import HyperparameterOptimizationFacade, Scenario

        self._space, self._seed = space, seed
        self._folder = tempfile.TemporaryDirectory(prefix="aias-smac-")  # it keeps a history of its own on disk
        self._places = ConfigSpace.ConfigurationSpace(seed=seed)
        self._places.add(
            ConfigSpace.Categorical(name, list(range(len(each.values)))) if isinstance(each, Choice)
            else ConfigSpace.Float(name, (0.0, 1.0))
            for name, each in space.items()
        )  # fmt: skip
        scenario = Scenario(
            self._places, deterministic=True, n_trials=TRIALS_MAX, seed=seed, output_directory=Path(self._folder.name)
        )
        design = HyperparameterOptimizationFacade.get_initial_design(
            scenario, n_configs=max(1, DRAWN - len(trials)), max_ratio=1.0
        )
        selector = HyperparameterOptimizationFacade.get_config_selector(scenario, retrain_after=2)
        self._smac = HyperparameterOptimizationFacade(
            scenario, _nothing, initial_design=design, config_selector=selector, overwrite=True, logging_level=False
        )
        self._asked: list[tuple[dict[str, Any], Any]] = []
        self._worst = max((trial.loss for trial in trials if trial.loss is not None), default=0.0)
        for trial in trials:
            self.tell(trial.settings, trial.loss)

    def ask(self) -> dict[str, Any]:
        info = self._smac.ask()
        settings = {name: value_at(each, info.config[name]) for name, each in self._space.items()}
        self._asked.append((settings, info))
        return dict(settings)

    def tell(self, settings: Mapping[str, Any], loss: float | None) -> None:
        from smac.runhistory.dataclasses import TrialValue
        from smac.runhistory.enumerations import StatusType

        # What failed counts as the worst so far: a forest can learn nothing from an infinite loss.
        self._worst = max(self._worst, loss) if loss is not None else self._worst
        status = StatusType.CRASHED if loss is None else StatusType.SUCCESS
        value = TrialValue(cost=self._worst if loss is None else loss, status=status)
        self._smac.tell(self._info(settings), value, save=False)

    def _info(self, settings: Mapping[str, Any]) -> Any:
        """That of what was asked for, or one made for settings that came from elsewhere."""
        import ConfigSpace
        from smac.runhistory.dataclasses import TrialInfo

        for place, (asked, info) in enumerate(self._asked):
            if asked == settings:
                del self._asked[place]
                return info
        values = {name: number_of(each, settings[name]) for name, each in self._space.items()}
        return TrialInfo(ConfigSpace.Configuration(self._places, values=values), seed=0)


def _nothing(_config: Any, seed: int = 0) -> float:  # noqa: ARG001 by this name SMAC3 calls it
    """Nobody calls it: who asks also tells."""
    return 0.0
