"""Gradient-boosted trees by XGBoost: grown level by level, on values and targets in float32.

Targets of a regression are standardised while fitting, so that float32 holds them. Leaves are added up in float64, here
and in the graph.
"""

import importlib.util
import json
import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, cached_property
from typing import Any, ClassVar, Final

import numpy as np

from aias.core.arrays import Floats, Ints
from aias.core.forest import FLOAT32_MAX, Forest
from aias.core.graph import GraphWriter
from aias.core.links import answers, write_answers
from aias.core.task import LINKS, Task
from aias.forests.xgboost import Nodes, forest_of
from aias.learners.boosting import Rounds, bare, boost, by_shares, least_of, sets_of
from aias.learners.contract import Examples, Fit, Fitted, SettingRefused, State, joined
from aias.networks.answers import span_of

__all__ = ["XGBoost"]

ROUNDS_MAX: Final = 3_000

FINISH_SECONDS: Final = (0.05, 1e-3)
"""To answer the validation rows when rounds are over: at least, and for each tree."""

STEPS_AT_ONCE: Final = 1 << 21
"""Rows times trees whose leaves are added up together: some 50 MB."""

OWN_NAME: Final = "_xgboost_of_aias"

WAIT_POLICY: Final = "OMP_WAIT_POLICY"
"""Read by OpenMP when it is loaded, and XGBoost brings its own."""


class Trees:
    """`booster` may hold more rounds than `settings["rounds"]`, those that were tried after the best one.

    Its sums times the second of `unit` plus the first are those of the task. `sizes`: each column's codes, 0 for
    numbers.
    """

    def __init__(self, booster: Any, task: Task, settings: dict[str, Any], *, sizes: Ints, unit: Floats) -> None:
        self.booster, self.task, self.settings = booster, task, settings
        self.sizes, self.unit = sizes, unit
        self.link = LINKS[task.type]
        self.judged: Floats | None = None

    def scores(self, x: Floats) -> Floats:
        return answers(self._sums(x), self.link)

    def forest(self) -> Forest:
        shift, scale = self.unit
        forest = forest_of(self._nodes, self.sizes).scaled(scale)
        return replace(forest, base=forest.base + shift)

    def export(self, graph: GraphWriter, x: str) -> str:
        return write_answers(graph, self.forest().write(graph, x), self.link)

    def state(self) -> State:
        model = self.booster[: self.settings["rounds"]].save_raw("ubj")
        return {"model": np.frombuffer(model, np.uint8), "sizes": self.sizes, "unit": self.unit}

    @cached_property
    def _nodes(self) -> Nodes:
        return Nodes(json.loads(self.booster[: self.settings["rounds"]].save_raw("json"))["learner"])

    def _sums(self, x: Floats) -> Floats:
        """XGBoost tells the leaf of each tree; their values are added up as the graph does it."""
        nodes, (shift, scale) = self._nodes, self.unit
        outputs, rounds = len(nodes.base), self.settings["rounds"]
        sums = np.empty((len(x), outputs))
        step = max(1, STEPS_AT_ONCE // len(nodes.counts))
        for start in range(0, len(x), step):
            data = _matrix(x[start : start + step], self.sizes, threads=1)
            leaf = self.booster.predict(data, pred_leaf=True, iteration_range=(0, rounds), strict_shape=True)
            leaf = leaf.reshape(len(leaf), -1).T.astype(np.int64)  # (trees, rows)
            value = nodes.value[nodes.starts[:, None] + leaf] * scale
            sums[start : start + step] = value.reshape(-1, outputs, leaf.shape[1]).sum(axis=0).T
        return np.asarray(sums + (nodes.base * scale + shift))


class XGBoost:
    name: ClassVar[str] = "xgboost"
    sparse: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ("xgboost",)
    shared: ClassVar[tuple[str, ...]] = ()
    rounds_max: ClassVar[tuple[int, int]] = (ROUNDS_MAX, ROUNDS_MAX)

    @staticmethod
    def fit(train: Examples, valid: Examples | None, how: Fit) -> Fitted:
        most = int(how.settings.get("rounds", ROUNDS_MAX))
        first = None if how.start is None else XGBoost.load(how.start, how.task, {})
        done = 0 if first is None else first.booster.num_boosted_rounds()
        rounds = Rounds(XGBoost.name, how, len(train.y), valid, most, finish_seconds=FINISH_SECONDS, done=done)
        growing = _Growing(train, rounds, first)
        if done:  # the first is always made
            growing.grow()
            rounds.over(growing.losses() if rounds.halves else [], growing.scores)
        return boost(growing, rounds)

    @staticmethod
    def load(state: State, task: Task, settings: dict[str, Any]) -> Trees:
        booster = _xgboost().Booster(model_file=bytearray(state["model"].tobytes()))
        return Trees(booster, task, settings, sizes=state["sizes"], unit=state["unit"])


class _Growing:
    """A booster on its way, from nothing or from the rounds of `first`, whose target has the same unit."""

    def __init__(self, train: Examples, rounds: Rounds, first: Trees | None) -> None:
        self.how = how = rounds.how
        self.sizes, self.unit = np.zeros(train.x.shape[1], np.int64), span_of(train.y, train.weight, how.task)[:2]
        self.least = least_of(train.y)
        sizes = dict(zip(how.categories, how.category_sizes, strict=True))
        for place in sets_of(how):
            self.sizes[place] = sizes[place]
        settings = _settings(how)
        _check_known(how.settings)
        self.data = self._matrix(train, max_bin=settings["max_bin"])
        self.judging = [(self._matrix(half), f"half {i}") for i, half in enumerate(rounds.halves)]
        held = [self.data, *(each for each, _ in self.judging)]
        begun = None if first is None else first.booster.save_raw("ubj")
        self.booster = _xgboost().Booster(settings, held, model_file=begun)
        self.done = rounds.done

    def grow(self) -> bool:
        self.booster.update(self.data, self.done)
        self.done += 1
        return True

    def losses(self) -> list[float]:
        text = self.booster.eval_set(self.judging, self.done - 1)  # [3]\thalf 0-rmse:0.5\thalf 1-rmse:0.6
        return [float(each.rpartition(":")[2]) for each in text.split("\t")[1:]]

    def scores(self) -> Floats:
        """In float32: XGBoost remembers the sums of rows that it judges."""
        shift, scale = self.unit
        parts = [self.booster.predict(data) for data, _ in self.judging]
        raw = joined([part.reshape(len(part), -1) * scale + shift for part in parts])
        return np.hstack([1 - raw, raw]) if self.how.task.type == "binary" else raw

    def trees(self, rounds: int) -> Trees:
        settings = {**self.how.settings, "rounds": rounds}
        return Trees(self.booster, self.how.task, settings, sizes=self.sizes, unit=self.unit)

    def _matrix(self, examples: Examples, *, max_bin: int = 0) -> Any:
        shift, scale = self.unit
        weight = examples.weight
        if self.how.task.metric == "mape":  # an error counts by its share of the value
            weight = by_shares(examples, self.least).weight
        labels = {"label": (examples.y - shift) / scale, "weight": weight}
        return _matrix(examples.x, self.sizes, threads=self.how.threads, max_bin=max_bin, **labels)


def _settings(how: Fit) -> dict[str, Any]:
    chosen: dict[str, Any] = {
        "tree_method": "hist", "max_bin": 256, "learning_rate": 0.04, "max_depth": 7, "min_child_weight": 4.0,
        "subsample": 0.75, "colsample_bynode": 0.6, "max_cat_to_onehot": 8, "max_cat_threshold": 32,
        "seed": how.seed % (1 << 31), "nthread": how.threads, "verbosity": 0, **_objective(how.task),
    }  # fmt: skip
    return chosen | _own(how.settings)


def _check_known(settings: Mapping[str, Any]) -> None:
    """XGBoost warns of settings that it does not have, and goes on. Raises `SettingRefused`."""
    told, row = {**_own(settings), "verbosity": 1}, _xgboost().DMatrix(np.zeros((1, 1)))
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        _xgboost().Booster(told, [row]).save_config()
    for name in told:
        if any(f'"{name}"' in f"{each.message}" for each in heard):
            raise SettingRefused(f"`xgboost` has no setting `{name}`", hint="look in XGBoost's list of parameters")


def _own(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those of XGBoost."""
    return {key: value for key, value in settings.items() if key != "rounds"}


def _objective(task: Task) -> dict[str, Any]:
    """The objective that the metric is answered best by, and its loss."""
    if task.type == "binary":
        return {"objective": "binary:logistic", "eval_metric": "logloss"}
    if task.type == "multiclass":
        return {"objective": "multi:softprob", "num_class": len(task.classes), "eval_metric": "mlogloss"}
    if task.quantile is not None:
        return {"objective": "reg:quantileerror", "quantile_alpha": task.quantile, "eval_metric": "quantile"}
    if task.metric in {"mae", "mape", "median_absolute_error"}:
        return {"objective": "reg:absoluteerror", "eval_metric": "mae"}
    return {"objective": "reg:squarederror", "eval_metric": "rmse"}


def _matrix(x: Floats, sizes: Ints, *, threads: int, max_bin: int = 0, **labels: Any) -> Any:
    """Rows as XGBoost reads them; with `max_bin`, to be trained on."""
    labels |= {"feature_types": np.where(sizes > 0, "c", "q").tolist(), "nthread": threads}
    narrow = np.clip(x, -FLOAT32_MAX, FLOAT32_MAX).astype(np.float32)
    if max_bin:
        return _xgboost().QuantileDMatrix(narrow, max_bin=max_bin, **labels)
    return _xgboost().DMatrix(narrow, **labels)


@cache
def _xgboost() -> Any:
    """XGBoost without the libraries that it only serves: a tenth of the time, and 100 MB less.

    It is loaded under a name of our own: who imports XGBoost later gets one that knows them.
    """
    found = importlib.util.find_spec("xgboost")
    if "xgboost" in sys.modules or found is None or found.origin is None:
        return importlib.import_module("xgboost")
    with bare(), _patient():
        spec = importlib.util.spec_from_file_location(OWN_NAME, found.origin)
        assert spec is not None and spec.loader is not None, "a package that was found has a loader"
        sys.modules[OWN_NAME] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    _freed_quietly(module)
    return module


def _freed_quietly(module: Any) -> None:
    """A booster that outlives its library, as the process ends, has nothing left to free."""
    core = module.core
    free = core.Booster.__del__

    def quietly(self: Any) -> None:
        if getattr(core, "_LIB", core) is not None:  # the library itself, where it is called so
            free(self)

    core.Booster.__del__ = quietly


@contextmanager
def _patient() -> Iterator[None]:
    """Its threads will sleep while they wait: on a busy machine they took five times as long to wait for each other as
    to work."""
    policy = os.environ.get(WAIT_POLICY)
    os.environ.setdefault(WAIT_POLICY, "passive")
    try:
        yield
    finally:
        if policy is None:
            del os.environ[WAIT_POLICY]
