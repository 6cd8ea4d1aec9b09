"""The searcher that Ray Tune uses by default, behind the same promise: Optuna's densities as Ray asks them.

It runs in this process and starts no cluster; its settings and results are those of Ray Tune's own trials.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from aias.tuning.contract import Choice, Dimension, Int, Search, Space, Trial
from aias.tuning.study import quiet_optuna

__all__ = ["Ray"]


class Ray:
    needs: ClassVar[tuple[str, ...]] = ("ray.tune", "optuna")

    @staticmethod
    def start(space: Space, *, seed: int, trials: Sequence[Trial] = ()) -> Search:
        return _Search(space, seed, trials)


class _Search:
    def __init__(self, space: Space, seed: int, trials: Sequence[Trial]) -> None:
        quiet_optuna()
        from ray import tune
        from ray.tune.search.optuna import OptunaSearch

        self._search = OptunaSearch(seed=seed)
        self._search.set_search_properties("loss", "min", {name: _domain(tune, each) for name, each in space.items()})
        self._asked: dict[str, dict[str, Any]] = {}
        self._count = 0
        for trial in trials:
            self.tell(trial.settings, trial.loss)

    def ask(self) -> dict[str, Any]:
        self._count += 1
        settings: dict[str, Any] = dict(self._search.suggest(str(self._count)))
        self._asked[str(self._count)] = settings
        return dict(settings)

    def tell(self, settings: Mapping[str, Any], loss: float | None) -> None:
        for name, asked in self._asked.items():
            if asked == settings:
                del self._asked[name]
                self._search.on_trial_complete(name, None if loss is None else {"loss": loss}, error=loss is None)
                return
        self._search.add_evaluated_point(dict(settings), loss, error=loss is None)


def _domain(tune: Any, dimension: Dimension) -> Any:
    if isinstance(dimension, Choice):
        return tune.choice(list(dimension.values))
    low, high = dimension.low, dimension.high
    if isinstance(dimension, Int):  # without the upper end
        return tune.lograndint(low, high + 1) if dimension.log else tune.randint(low, high + 1)
    return tune.loguniform(low, high) if dimension.log else tune.uniform(low, high)
