"""Gradient-boosted trees by LightGBM, written into the graph node by node.

The graph holds thresholds, leaves and sets of categories in float64, as LightGBM does, and adds the trees up in the
same order: the scores are equal to the last bit.
"""

from collections.abc import Iterator
from typing import Any, ClassVar, Final

import numpy as np

from aias.core.events import Event
from aias.core.graph import GraphWriter
from aias.core.task import Task
from aias.encoders.contract import Floats
from aias.learners.contract import Examples, Fit

__all__ = ["BoostedTrees"]

ROUNDS_MAX: Final = 3_000
PATIENCE: Final = 50
"""Rounds without a better validation loss before stopping."""

TELL_SECONDS: Final = 0.5
"""Between two events; each asks the trees so far for the validation score."""

LESS_OR_EQUAL, MEMBER = 0, 6
"""`nodes_modes` of the operator TreeEnsemble (ONNX, ai.onnx.ml 5)."""


class Trees:
    def __init__(self, booster: Any, task: Task, settings: dict[str, Any]) -> None:
        self.booster, self.task, self.settings = booster, task, settings

    def scores(self, x: Floats) -> Floats:
        raw = self.booster.predict(x, num_iteration=self.settings["rounds"])
        if self.task.type == "binary":
            return np.column_stack([1 - raw, raw])
        return np.asarray(raw, np.float64).reshape(len(x), -1)

    def export(self, graph: GraphWriter, x: str) -> str:
        model = self.booster.dump_model(num_iteration=self.settings["rounds"])
        outputs = len(self.task.classes) if self.task.type == "multiclass" else 1
        sums = graph.op("TreeEnsemble", x, domain="ai.onnx.ml", **_ensemble(model["tree_info"], outputs))
        if self.task.type == "multiclass":
            return graph.op("Softmax", sums, axis=1)
        if self.task.type == "regression":
            return sums
        return graph.op("Sigmoid", graph.op("Mul", sums, graph.constant(np.array([[-1.0, 1.0]]))))


class BoostedTrees:
    name: ClassVar[str] = "boosted_trees"
    sparse: ClassVar[bool] = False

    @staticmethod
    def fit(train: Examples, valid: Examples | None, how: Fit) -> Trees:
        import lightgbm

        x, y = np.ascontiguousarray(train.x), train.y
        rounds = int(how.settings.get("rounds", ROUNDS_MAX))
        settings = _settings(how, len(y))
        data = lightgbm.Dataset(
            x, y, categorical_feature=list(how.categories), free_raw_data=False, params={"verbose": -1}
        )
        monitor = _Monitor(how, valid, rows=len(y))
        against = [lightgbm.Dataset(valid.x, valid.y, reference=data)] if valid is not None else []
        booster = lightgbm.train(
            settings, data, rounds, valid_sets=against, valid_names=["valid"] * len(against), callbacks=[monitor]
        )
        best = monitor.best_round or booster.current_iteration()
        return Trees(booster, how.task, {**how.settings, "rounds": best})


class _Monitor:
    """A LightGBM callback: tells how it goes, and stops at the deadline or when patience is out."""

    order: ClassVar[int] = 30
    before_iteration: ClassVar[bool] = False

    def __init__(self, how: Fit, valid: Examples | None, *, rows: int) -> None:
        self.how, self.valid, self.rows = how, valid, rows
        self.told_at = -TELL_SECONDS
        self.best_round, self.best_loss = 0, np.inf
        self.started_at = how.deadline.clock()

    def __call__(self, env: Any) -> None:
        from lightgbm.callback import EarlyStopException

        done = env.iteration + 1
        if env.evaluation_result_list:
            loss = float(env.evaluation_result_list[0][2])
            if loss < self.best_loss:
                self.best_round, self.best_loss = done, loss
            now = self.how.deadline.clock()
            if now - self.told_at >= TELL_SECONDS:
                self.told_at = now
                self._tell(env.model, done, loss)
        stale = self.valid is not None and done - self.best_round >= PATIENCE
        if stale or self.how.deadline.passed:
            raise EarlyStopException(max(self.best_round, 1) - 1, env.evaluation_result_list)

    def _tell(self, booster: Any, done: int, loss: float) -> None:
        seconds = max(self.how.deadline.clock() - self.started_at, 1e-9)
        facts: dict[str, object] = {
            "learner": "boosted_trees", "round": done, "validation_loss": loss, "best_round": self.best_round,
            "rows_per_second": self.rows * done / seconds, "seconds_left": self.how.deadline.left,
        }  # fmt: skip
        message = f"boosted trees: {done} rounds, validation loss {loss:.4f}"
        if self.how.score is not None and self.valid is not None:
            scores = Trees(booster, self.how.task, {"rounds": done}).scores(self.valid.x)
            facts["score"] = self.how.score(self.valid.y, scores)
            message += f", {self.how.task.metric} {facts['score']:.4f}"
        self.how.watch(Event("train.round", message, "debug", facts))


def _settings(how: Fit, rows: int) -> dict[str, Any]:
    task = how.task
    objective = {"binary": "binary", "multiclass": "multiclass", "regression": "regression"}[task.type]
    chosen: dict[str, Any] = {
        "objective": objective, "learning_rate": 0.05, "num_leaves": 31, "feature_fraction": 0.9,
        "min_data_in_leaf": max(1, min(20, rows // 20)), "min_data_per_group": max(1, min(50, rows // 50)),
        "seed": how.seed, "deterministic": True, "force_row_wise": True, "num_threads": how.threads, "verbose": -1,
    }  # fmt: skip
    if task.type == "multiclass":
        chosen["num_class"] = len(task.classes)
    return chosen | {key: value for key, value in how.settings.items() if key != "rounds"}


def _ensemble(trees: list[dict[str, Any]], outputs: int) -> dict[str, Any]:
    """The attributes of TreeEnsemble for LightGBM's dump; tree i adds to output i mod outputs."""
    nodes = _Nodes()
    for i, tree in enumerate(trees):
        nodes.roots.append(nodes.add(tree["tree_structure"], i % outputs)[0])
    return nodes.attributes(outputs)


class _Nodes:
    """Rows of the operator's parallel lists, grown tree by tree without recursion in depth beyond a tree's own."""

    def __init__(self) -> None:
        self.features: list[int] = []
        self.splits: list[float] = []
        self.modes: list[int] = []
        self.missing_goes_left: list[int] = []
        self.children: list[list[int]] = []
        self.sets: dict[int, list[float]] = {}
        self.leaf_outputs: list[int] = []
        self.leaf_values: list[float] = []
        self.roots: list[int] = []

    def add(self, node: dict[str, Any], output: int) -> tuple[int, int]:
        """Add a subtree; gives its index and whether that is a leaf's. A tree that is one leaf gets a node above it."""
        root = self._place(node) if "split_feature" in node else self._lone_leaf(node, output)
        waiting = [(root, node)] if "split_feature" in node else []
        while waiting:
            at, split = waiting.pop()
            for side, child in enumerate((split["left_child"], split["right_child"])):
                if "split_feature" in child:
                    placed = self._place(child)
                    waiting.append((placed, child))
                    self.children[at][2 * side : 2 * side + 2] = [placed, 0]
                else:
                    self.children[at][2 * side : 2 * side + 2] = [self._leaf(child, output), 1]
        return root, 0

    def attributes(self, outputs: int) -> dict[str, Any]:
        left, left_is_leaf, right, right_is_leaf = (list(column) for column in zip(*self.children, strict=True))
        found: dict[str, Any] = {
            "nodes_featureids": self.features, "nodes_splits": np.array(self.splits, np.float64),
            "nodes_modes": np.array(self.modes, np.uint8), "nodes_missing_value_tracks_true": self.missing_goes_left,
            "nodes_truenodeids": left, "nodes_trueleafs": left_is_leaf,
            "nodes_falsenodeids": right, "nodes_falseleafs": right_is_leaf,
            "leaf_targetids": self.leaf_outputs, "leaf_weights": np.array(self.leaf_values, np.float64),
            "tree_roots": self.roots, "n_targets": outputs, "aggregate_function": 1, "post_transform": 0,
        }  # fmt: skip
        if self.sets:
            found["membership_values"] = np.array(list(self._memberships()))
        return found

    def _place(self, split: dict[str, Any]) -> int:
        at = len(self.features)
        self.features.append(split["split_feature"])
        self.children.append([0, 0, 0, 0])
        if split["decision_type"] == "==":
            self.modes.append(MEMBER)
            self.splits.append(0.0)
            self.missing_goes_left.append(0)
            self.sets[at] = [float(code) for code in split["threshold"].split("||")]
            return at
        self.modes.append(LESS_OR_EQUAL)
        self.splits.append(split["threshold"])
        # Without missing values in training, LightGBM reads NaN as 0 (`missing_type` None).
        seen = split["missing_type"] == "NaN"
        self.missing_goes_left.append(int(split["default_left"] if seen else split["threshold"] >= 0))
        return at

    def _leaf(self, leaf: dict[str, Any], output: int) -> int:
        self.leaf_outputs.append(output)
        self.leaf_values.append(leaf["leaf_value"])
        return len(self.leaf_values) - 1

    def _lone_leaf(self, leaf: dict[str, Any], output: int) -> int:
        at = len(self.features)
        value = self._leaf(leaf, output)
        self.features.append(0)
        self.splits.append(0.0)
        self.modes.append(LESS_OR_EQUAL)
        self.missing_goes_left.append(1)
        self.children.append([value, 1, value, 1])
        return at

    def _memberships(self) -> Iterator[float]:
        """The sets in the order of their nodes, each closed by NaN."""
        for at in sorted(self.sets):
            yield from self.sets[at]
            yield float("nan")
