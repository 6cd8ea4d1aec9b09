"""Gradient-boosted trees by XGBoost: grown level by level, on values and targets in float32.

XGBoost tells by `float32(x) < threshold`. The graph compares x in float64 with the largest value that float32 rounds to
below the threshold: equal for every x, infinite ones too, since what is beyond float32 counts as its end. Targets of a
regression are standardised while fitting, so that float32 holds them. Leaves are added up in float64, here and there.
"""

import importlib.util
import json
import sys
from dataclasses import replace
from functools import cache, cached_property
from typing import Any, ClassVar, Final

import numpy as np

from aias.core.events import Event
from aias.core.forest import LESS, LESS_OR_EQUAL, MEMBER, Forest
from aias.core.graph import GraphWriter
from aias.core.task import Task
from aias.encoders.contract import Floats, Ints
from aias.learners.contract import Examples, Fit, State

__all__ = ["XGBoost"]

ROUNDS_MAX: Final = 3_000

PATIENCE: Final = (20, 0.3, 200)
"""Rounds without a better validation loss before stopping: so many, and a share of the best round, up to a maximum."""

TELL_SECONDS: Final = 0.5
"""Between two events; each asks the trees so far for the validation score."""

STEPS_AT_ONCE: Final = 1 << 21
"""Rows times trees whose leaves are added up together: some 50 MB."""

LINKS: Final = {"binary": "sigmoid", "multiclass": "softmax", "regression": "identity"}

FLOAT32_MAX: Final = float(np.finfo(np.float32).max)

HIDDEN: Final = ("sklearn", "pandas", "pyarrow", "matplotlib", "graphviz", "dask", "joblib", "psutil", "polars")
"""What XGBoost imports when it is there and does not need here."""

OWN_NAME: Final = "_xgboost_of_aias"


class Trees:
    """`booster` may hold more rounds than `settings["rounds"]`, those that were tried after the best one.

    Its sums times `scale` plus `shift` are those of the task.
    """

    def __init__(self, booster: Any, task: Task, settings: dict[str, Any], *, categories: Ints, unit: Floats) -> None:
        self.booster, self.task, self.settings = booster, task, settings
        self.categories, self.unit = categories, unit
        self.link = LINKS[task.type]

    def scores(self, x: Floats) -> Floats:
        sums = self._sums(x)
        if self.link == "identity":
            return sums
        if self.link == "sigmoid":
            with np.errstate(over="ignore"):
                return np.asarray(1 / (1 + np.exp(sums * [[1.0, -1.0]])))
        powers = np.exp(sums - sums.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))

    def forest(self) -> Forest:
        shift, scale = self.unit
        forest = _forest(self._nodes).scaled(scale)
        return replace(forest, base=forest.base + shift)

    def export(self, graph: GraphWriter, x: str) -> str:
        sums = self.forest().write(graph, x)
        if self.link == "softmax":
            return graph.op("Softmax", sums, axis=1)
        if self.link == "identity":
            return sums
        return graph.op("Sigmoid", graph.op("Mul", sums, graph.constant(np.array([[-1.0, 1.0]]))))

    def state(self) -> State:
        model = self.booster[: self.settings["rounds"]].save_raw("ubj")
        return {"model": np.frombuffer(model, np.uint8), "categories": self.categories, "unit": self.unit}

    @cached_property
    def _nodes(self) -> "_Nodes":
        return _Nodes(json.loads(self.booster[: self.settings["rounds"]].save_raw("json"))["learner"])

    def _sums(self, x: Floats) -> Floats:
        """XGBoost tells the leaf of each tree; their values are added up as the graph does it."""
        nodes, (shift, scale) = self._nodes, self.unit
        outputs, rounds = len(nodes.base), self.settings["rounds"]
        sums = np.empty((len(x), outputs))
        step = max(1, STEPS_AT_ONCE // len(nodes.counts))
        for start in range(0, len(x), step):
            data = _matrix(x[start : start + step], self.categories, threads=1)
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

    @staticmethod
    def fit(train: Examples, valid: Examples | None, how: Fit) -> Trees:
        return _Boosting(train, valid, how).run()

    @staticmethod
    def load(state: State, task: Task, settings: dict[str, Any]) -> Trees:
        booster = _xgboost().Booster(model_file=bytearray(state["model"].tobytes()))
        return Trees(booster, task, settings, categories=state["categories"], unit=state["unit"])


class _Boosting:
    """Round after round, until patience, rounds or time are out."""

    def __init__(self, train: Examples, valid: Examples | None, how: Fit) -> None:
        self.how, self.valid, self.rows = how, valid, len(train.y)
        self.categories, self.unit = np.array(how.categories, np.int64), _unit(train, how.task)
        settings = _settings(how)
        self.data = self._matrix(train, max_bin=settings["max_bin"])
        self.valid_data = None if valid is None else self._matrix(valid)
        held = [self.data] if valid is None else [self.data, self.valid_data]
        self.booster = _xgboost().Booster(settings, held)
        self.done, self.best_round, self.best_loss = 0, 0, np.inf
        self.told_at = -TELL_SECONDS
        self.started_at = how.deadline.clock()

    def run(self) -> Trees:
        how, longest = self.how, 0.0
        rounds = int(how.settings.get("rounds", ROUNDS_MAX))
        before = self.started_at
        while self.done < rounds and not self._stale():
            # A round that would end after the deadline is not begun; the first one always is.
            if self.done and how.deadline.left <= longest:
                break
            self.booster.update(self.data, self.done)
            self.done += 1
            self._judge()
            now = how.deadline.clock()
            before, longest = now, max(0.9 * longest, now - before)
        return self._best()

    def _matrix(self, examples: Examples, *, max_bin: int = 0) -> Any:
        shift, scale = self.unit
        weight = examples.weight
        if self.how.task.metric == "mape":  # an error counts by its share of the value
            weight = (1.0 if weight is None else weight) / np.maximum(1.0, np.abs(examples.y))
        labels = {"label": (examples.y - shift) / scale, "weight": weight}
        return _matrix(examples.x, self.categories, threads=self.how.threads, max_bin=max_bin, **labels)

    def _best(self) -> Trees:
        best = self.best_round if self.valid is not None else self.done
        settings = {**self.how.settings, "rounds": max(best, 1)}
        return Trees(self.booster, self.how.task, settings, categories=self.categories, unit=self.unit)

    def _stale(self) -> bool:
        least, share, most = PATIENCE
        return self.valid is not None and self.done - self.best_round >= min(least + share * self.best_round, most)

    def _judge(self) -> None:
        if self.valid_data is not None:
            loss = float(self.booster.eval(self.valid_data).rpartition(":")[2])
            if loss < self.best_loss:
                self.best_round, self.best_loss = self.done, loss
            now = self.how.deadline.clock()
            if now - self.told_at >= TELL_SECONDS:
                self.told_at = now
                self._tell(loss)
        if self.how.keep is not None:
            self.how.keep(self._best)

    def _tell(self, loss: float) -> None:
        seconds = max(self.how.deadline.clock() - self.started_at, 1e-9)
        facts: dict[str, object] = {
            "learner": "xgboost", "round": self.done, "validation_loss": loss, "best_round": self.best_round,
            "rows_per_second": self.rows * self.done / seconds, "seconds_left": self.how.deadline.left,
        }  # fmt: skip
        message = f"xgboost: {self.done} rounds, validation loss {loss:.4f}"
        if self.how.score is not None and self.valid is not None:
            facts["score"] = self.how.score(self.valid.y, self._valid_scores())
            message += f", {self.how.task.metric} {facts['score']:.4f}"
        self.how.watch(Event("train.round", message, "debug", facts))

    def _valid_scores(self) -> Floats:
        """In float32: XGBoost remembers the sums of rows that it judges."""
        shift, scale = self.unit
        raw = np.asarray(self.booster.predict(self.valid_data), np.float64) * scale + shift
        return np.column_stack([1 - raw, raw]) if self.how.task.type == "binary" else raw.reshape(len(raw), -1)


def _settings(how: Fit) -> dict[str, Any]:
    chosen: dict[str, Any] = {
        "tree_method": "hist", "max_bin": 256, "learning_rate": 0.05, "max_depth": 6, "min_child_weight": 2.0,
        "subsample": 0.8, "colsample_bynode": 0.7, "max_cat_to_onehot": 8,
        "seed": how.seed % (1 << 31), "nthread": how.threads, "verbosity": 0, **_objective(how.task),
    }  # fmt: skip
    return chosen | {key: value for key, value in how.settings.items() if key != "rounds"}


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


def _unit(train: Examples, task: Task) -> Floats:
    """What is subtracted from the targets, and by what they are divided."""
    if task.type != "regression":
        return np.array([0.0, 1.0])
    shift = float(np.average(train.y, weights=train.weight))
    return np.array([shift, float(np.sqrt(np.average((train.y - shift) ** 2, weights=train.weight))) or 1.0])


def _matrix(x: Floats, categories: Ints, *, threads: int, max_bin: int = 0, **labels: Any) -> Any:
    """Rows as XGBoost reads them; with `max_bin`, to be trained on."""
    kinds = np.full(x.shape[1], "q")
    kinds[categories] = "c"
    labels |= {"feature_types": kinds.tolist(), "nthread": threads}
    narrow = np.clip(x, -FLOAT32_MAX, FLOAT32_MAX).astype(np.float32)
    if max_bin:
        return _xgboost().QuantileDMatrix(narrow, max_bin=max_bin, **labels)
    return _xgboost().DMatrix(narrow, **labels)


class _Nodes:
    """The nodes of all trees one after another, leaves among them, from XGBoost's JSON of a model."""

    def __init__(self, learner: dict[str, Any]) -> None:
        model = learner["gradient_booster"]["model"]
        self.trees = model["trees"]
        assert not any(int(tree["tree_param"]["num_deleted"]) for tree in self.trees), "every node has its place"
        self.counts = np.array([len(tree["left_children"]) for tree in self.trees])
        self.starts = np.cumsum(self.counts) - self.counts
        self.output = np.array(model["tree_info"], np.int64)  # (trees,)
        self.left, self.right = self.joined("left_children"), self.joined("right_children")
        self.value = self.joined("split_conditions", np.float32).astype(np.float64)  # of leaves; thresholds of others
        base = np.array(json.loads(learner["learner_model_param"]["base_score"]), np.float32).astype(np.float64).ravel()
        self.base = np.log(base / (1 - base)) if learner["objective"]["name"] == "binary:logistic" else base

    def joined(self, name: str, kind: Any = np.int64) -> Any:
        return np.concatenate([np.array(tree[name], kind) for tree in self.trees])

    def sets(self) -> tuple[Ints, Floats]:
        """The sizes of the sets of all nodes, leaves too, and their members in the order of the nodes."""
        sizes = np.zeros(int(self.counts.sum()), np.int64)
        at = np.repeat(self.starts, [len(tree["categories_nodes"]) for tree in self.trees])
        sizes[at + self.joined("categories_nodes")] = self.joined("categories_sizes")
        return sizes, self.joined("categories", np.float64)


def _forest(nodes: _Nodes) -> Forest:
    """A tree that is one leaf gets a node above it, whose children are both that leaf."""
    is_leaf = nodes.left < 0
    inner = ~is_leaf | np.repeat(nodes.counts == 1, nodes.counts)
    # Children are numbered within their tree; here among all nodes, or among all leaves.
    index = np.where(is_leaf, np.cumsum(is_leaf), np.cumsum(inner)) - 1
    starts = np.repeat(nodes.starts, nodes.counts)
    leaf_places = np.arange(len(is_leaf))
    left, right = (np.where(is_leaf, leaf_places, starts + side)[inner] for side in (nodes.left, nodes.right))
    sizes, members = nodes.sets()
    # XGBoost's sets hold what goes right, and everything that it does not know goes left.
    member = (nodes.joined("split_type") == 1)[inner]
    left, right = np.where(member, right, left), np.where(member, left, right)
    missing_left = (nodes.joined("default_left") > 0)[inner] ^ member
    threshold, mode = _below(nodes.value[inner])
    return Forest(
        np.where(is_leaf, 0, nodes.joined("split_indices"))[inner], np.where(member, 0.0, threshold),
        np.where(member, MEMBER, mode).astype(np.uint8), missing_left,
        index[left], index[right], is_leaf[left], is_leaf[right],
        nodes.value[is_leaf], np.repeat(nodes.output, nodes.counts)[is_leaf], index[nodes.starts],
        np.cumsum(sizes[inner]), members, nodes.base,
    )  # fmt: skip


def _below(threshold: Floats) -> tuple[Floats, Any]:
    """The largest float64 that float32 rounds to below each threshold, and how to compare with it."""
    exact = threshold.astype(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        before = np.nextafter(exact, np.float32(-np.inf)).astype(np.float64)
        middle = before + (threshold - before) / 2
        found = np.where(middle.astype(np.float32) < exact, middle, np.nextafter(middle, -np.inf))
    # Nothing is below the least float32, and nothing finite or infinite is not below infinity.
    least = threshold <= -FLOAT32_MAX
    found = np.where(least, -np.inf, np.where(np.isposinf(threshold), np.inf, found))
    return found, np.where(least, LESS, LESS_OR_EQUAL)


@cache
def _xgboost() -> Any:
    """XGBoost without the libraries that it only serves: a tenth of the time, and 100 MB less.

    It is loaded under a name of our own: who imports XGBoost later gets one that knows them.
    """
    found = importlib.util.find_spec("xgboost")
    if "xgboost" in sys.modules or found is None or found.origin is None:
        return importlib.import_module("xgboost")
    hidden = [name for name in HIDDEN if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        spec = importlib.util.spec_from_file_location(OWN_NAME, found.origin)
        assert spec is not None and spec.loader is not None, "a package that was found has a loader"
        sys.modules[OWN_NAME] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        for name in hidden:
            del sys.modules[name]
    return module
