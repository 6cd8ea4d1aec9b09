"""The tree of Parzen estimators as Hyperopt has it (Bergstra, Yamins and Cox 2013): each dimension by itself."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

import numpy as np

from aias.tuning.contract import Choice, Search, Space, Trial, number_of, value_at

__all__ = ["Hyperopt"]

DRAWN: Final = 5
"""Settings drawn by chance before densities mean anything; those told count."""


class Hyperopt:
    needs: ClassVar[tuple[str, ...]] = ("hyperopt",)

    @staticmethod
    def start(space: Space, *, seed: int, trials: Sequence[Trial] = ()) -> Search:
        return _Search(space, seed, trials)


class _Search:
    """Numbers are searched as places between 0 and 1, so that their limits are ours."""

    def __init__(self, space: Space, seed: int, trials: Sequence[Trial]) -> None:
        import hyperopt

        self._space, self._random = space, np.random.default_rng(seed)
        self._trials = hyperopt.Trials()
        self._domain = hyperopt.Domain(
            lambda _: None,
            {
                name: hyperopt.hp.choice(name, list(range(len(each.values)))) if isinstance(each, Choice)
                else hyperopt.hp.uniform(name, 0.0, 1.0)
                for name, each in space.items()
            },
        )  # fmt: skip
        self._asked: list[tuple[dict[str, Any], Any]] = []
        for trial in trials:
            self.tell(trial.settings, trial.loss)

    def ask(self) -> dict[str, Any]:
        from hyperopt import tpe

        ids = self._trials.new_trial_ids(1)
        self._trials.refresh()
        seed = int(self._random.integers(2**31))
        (found,) = tpe.suggest(ids, self._domain, self._trials, seed, n_startup_jobs=DRAWN)
        values = {name: held[0] for name, held in found["misc"]["vals"].items()}
        settings = {name: value_at(each, values[name]) for name, each in self._space.items()}
        self._trials.insert_trial_docs([found])
        self._trials.refresh()
        (kept,) = [each for each in self._trials.trials if each["tid"] == ids[0]]
        self._asked.append((settings, kept))
        return settings

    def tell(self, settings: Mapping[str, Any], loss: float | None) -> None:
        result = {"status": "fail"} if loss is None else {"status": "ok", "loss": loss}
        for place, (asked, found) in enumerate(self._asked):
            if asked == settings:
                del self._asked[place]
                self._end(found, result)
                return
        (number,) = self._trials.new_trial_ids(1)
        values = {name: [number_of(each, settings[name])] for name, each in self._space.items()}
        misc = {
            "tid": number, "cmd": self._domain.cmd, "workdir": None, "vals": values,
            "idxs": {name: [number] for name in values},
        }  # fmt: skip
        (made,) = self._trials.new_trial_docs([number], [None], [result], [misc])
        made["state"] = _DONE
        self._trials.insert_trial_docs([made])
        self._trials.refresh()

    def _end(self, found: Any, result: dict[str, Any]) -> None:
        found["result"], found["state"] = result, _DONE
        self._trials.refresh()


_DONE: Final = 2
"""Hyperopt's JOB_STATE_DONE."""
