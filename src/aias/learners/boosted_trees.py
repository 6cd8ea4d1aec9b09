"""Gradient-boosted trees by LightGBM.

The graph holds thresholds, leaves and sets of categories in float64, as LightGBM does, and adds the trees up in the
same order: the scores are equal to the last bit.
"""

import ctypes
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Final

import numpy as np

from aias.core.arrays import Floats
from aias.core.forest import Forest
from aias.core.graph import GraphWriter
from aias.core.links import write_answers
from aias.core.task import LINKS, Task
from aias.forests.lightgbm import forest_of
from aias.learners.boosting import CODES_MAX, Rounds, bare, boost, by_shares, least_of, sets_of
from aias.learners.contract import COUNT, Examples, Fit, Fitted, Kind, State, halves, joined, state_text, text_state

__all__ = ["BoostedTrees"]

ROUNDS_MAX: Final = 3_000

ROWS_MIN: Final = 24
"""Each of eight folds then has a row for either half of those that judge; of none LightGBM tells the terminal."""

PARAMETERS_BYTES: Final = 1 << 18
"""Of JSON: fifty times what LightGBM 4 takes to list its parameters."""

OURS: Final = ("rounds", "codes_max")
"""Settings that LightGBM does not know. `codes_max`: as `boosting.CODES_MAX`."""


OBJECTIVES: Final = {
    "mae": "regression_l1", "median_absolute_error": "regression_l1", "mape": "regression_l1",
    "quantile_loss": "quantile",
}  # fmt: skip
"""Of LightGBM, for metrics that the mean does not answer best."""


class Trees:
    """`booster` may hold more rounds than `settings["rounds"]`, those that were tried after the best one.

    `threads`: to answer with. More than one wait for each other in every call: where a worker fits beside, a call of
    milliseconds then takes a hundred times as long.
    """

    def __init__(
        self, booster: Any, task: Task, settings: dict[str, Any], *, threads: int = 1, judged: Floats | None = None
    ) -> None:
        self.booster, self.task, self.settings, self.threads = booster, task, settings, threads
        self.judged = judged
        self.link = LINKS[task.type]

    def scores(self, x: Floats) -> Floats:
        raw = self.booster.predict(x, num_iteration=self.settings["rounds"], num_threads=self.threads)
        if self.task.type == "binary":
            return np.column_stack([1 - raw, raw])
        return np.asarray(raw, np.float64).reshape(len(x), -1)

    def forest(self) -> Forest:
        return forest_of(self._text(), len(self.task.classes) if self.task.type == "multiclass" else 1)

    def export(self, graph: GraphWriter, x: str) -> str:
        return write_answers(graph, self.forest().write(graph, x), self.link)

    def state(self) -> State:
        return {"text": text_state(self._text())}

    def _text(self) -> str:
        return str(self.booster.model_to_string(num_iteration=self.settings["rounds"]))


class BoostedTrees:
    name: ClassVar[str] = "boosted_trees"
    sparse: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ()
    rows_min: ClassVar[int] = ROWS_MIN
    loads: ClassVar[tuple[str, ...]] = ("lightgbm",)
    rounds_max: ClassVar[tuple[int, int]] = (ROUNDS_MAX, ROUNDS_MAX)

    @staticmethod
    def takes() -> dict[str, Kind | None]:
        return {**dict.fromkeys(_parameters()), "rounds": COUNT, "codes_max": COUNT}

    @staticmethod
    def fit(train: Examples, valid: Examples | None, how: Fit) -> Fitted:
        lightgbm, rows = _lightgbm(), len(train.y)
        if how.task.metric == "mape":  # LightGBM's own takes amounts below 1 for 1
            least = least_of(train.y)
            train, valid = by_shares(train, least), valid and by_shares(valid, least)
        settings = _settings(how, rows)
        data = lightgbm.Dataset(
            np.ascontiguousarray(train.x), train.y, weight=train.weight,
            categorical_feature=sets_of(how, most=how.settings.get("codes_max", CODES_MAX)), params=settings,
        )  # fmt: skip
        judging = [  # without the settings LightGBM would take all threads from here on, for everything
            lightgbm.Dataset(half.x, half.y, weight=half.weight, reference=data, params=settings)
            for half in (halves(valid) if valid is not None else [])
        ]
        booster = _booster(settings, data, judging, how.start)
        del train  # LightGBM has its own form of them by now, an eighth as large
        growing = _Growing(booster, valid, how)
        begun = growing.booster.current_iteration()  # with a round of its own, where it goes on from others
        most = int(how.settings.get("rounds", ROUNDS_MAX))
        rounds = Rounds(BoostedTrees.name, how, rows, valid, most, done=max(begun - 1, 0))
        if begun:
            rounds.over(growing.losses() if judging else [], growing.scores)
        return boost(growing, rounds)

    @staticmethod
    def load(state: State, task: Task, settings: dict[str, Any]) -> Trees:
        booster = _lightgbm().Booster(model_str=state_text(state["text"]))
        return Trees(booster, task, settings)


def _booster(settings: dict[str, Any], data: Any, judging: Sequence[Any], start: State | None) -> Any:
    """Without a round yet or, with a `start`, with its rounds and the next."""
    lightgbm = _lightgbm()
    if start is not None:
        return lightgbm.train(
            settings, data, 1, init_model=lightgbm.Booster(model_str=state_text(start["text"])),
            valid_sets=judging, valid_names=[f"half {i}" for i in range(len(judging))], keep_training_booster=True,
        )  # fmt: skip
    booster = lightgbm.Booster(settings, data)
    for i, rows in enumerate(judging):
        booster.add_valid(rows, f"half {i}")
    return booster


@dataclass(frozen=True, eq=False)
class _Growing:
    """A booster on its way; `valid` are the rows that judge."""

    booster: Any
    valid: Examples | None
    how: Fit

    def grow(self) -> bool:
        return not self.booster.update()

    def losses(self) -> list[float]:
        return [value for _, _, value, _ in self.booster.eval_valid()]

    def scores(self) -> Floats:
        """What LightGBM has summed so far: to ask all trees again would take longer and longer."""
        told: list[Floats] = []

        def tell(scores: Floats, _: Any) -> tuple[str, float, bool]:
            told.append(scores.reshape(len(scores), -1))
            return "told", 0.0, True

        self.booster.eval_valid(tell)
        found = joined(told)
        return np.hstack([1 - found, found]) if self.how.task.type == "binary" else found

    def trees(self, rounds: int) -> Trees:
        return Trees(self.booster, self.how.task, {**self.how.settings, "rounds": rounds}, threads=self.how.threads)


def _settings(how: Fit, rows: int) -> dict[str, Any]:
    task = how.task
    chosen: dict[str, Any] = {
        "objective": OBJECTIVES.get(task.metric.partition(":")[0], task.type), "learning_rate": 0.05, "num_leaves": 31,
        "feature_fraction": 0.9, "min_data_in_leaf": max(1, min(20, rows // 20)),
        "min_data_per_group": max(1, min(50, rows // 50)), "seed": how.seed, "deterministic": True,
        "force_row_wise": True, "num_threads": how.threads, "verbose": -1,
    }  # fmt: skip
    if task.quantile is not None:
        chosen["alpha"] = task.quantile
    if task.type == "multiclass":
        # A rare class's first leaves would leap, since p (1 - p), by which gradients are divided, is next to nothing.
        chosen |= {"num_class": len(task.classes), "lambda_l2": 1.0}
    return chosen | {key: value for key, value in how.settings.items() if key not in OURS}


def _parameters() -> set[str]:
    """All that LightGBM has, by any of their names: it says nothing of others."""
    lightgbm, size, buffer = _lightgbm(), ctypes.c_int64(), ctypes.create_string_buffer(PARAMETERS_BYTES)
    lightgbm.basic._safe_call(  # noqa: SLF001  nothing public lists them
        lightgbm.basic._LIB.LGBM_DumpParamAliases(  # noqa: SLF001
            ctypes.c_int64(PARAMETERS_BYTES), ctypes.byref(size), buffer
        )
    )
    found: dict[str, list[str]] = json.loads(buffer.value)
    return {*found, *(alias for aliases in found.values() for alias in aliases)}


@cache
def _lightgbm() -> Any:
    """LightGBM without the libraries that it only serves: 0.3 s instead of 1.4 s.

    Where something was hidden, the module is ours alone: who imports LightGBM later gets one that knows them.
    """
    if "lightgbm" in sys.modules:
        return sys.modules["lightgbm"]
    with bare():
        import lightgbm
    for name in [name for name in sys.modules if name.split(".")[0] == "lightgbm"]:
        del sys.modules[name]
    return lightgbm
