"""Extremely random trees (Geurts, Ernst and Wehenkel 2006) by scikit-learn: splits drawn by chance, answers averaged.

Trees grow to their end; how much their leaves are shrunk, the rows that judge choose (`shrinkage`).

Scikit-learn compares float32(x) with a threshold. The graph compares x in float64 with the largest value that float32
rounds to or below that threshold: equal for every x, infinite ones too, since what is beyond float32 counts as its end.
"""

from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Final

import numpy as np

from aias.core.arrays import Floats
from aias.core.forest import FLOAT32_MAX, LESS_OR_EQUAL, Forest, side_by_side
from aias.core.graph import GraphWriter
from aias.core.task import Task
from aias.learners.contract import COUNT, Examples, Fit, Kind, Number, State
from aias.learners.shrinkage import SHRINKAGE_USUAL, Shrunk, chosen

__all__ = ["ExtraTrees"]

TREES: Final = (100, 200)
"""At least so many, each of which may have as many leaves as that allows; and as many more as there is room for where
they have fewer. Of 5,700 rows of 6 classes 100 trees of 500 leaves have a log loss of 1.338, 200 of 250 1.371."""

MANY_ROWS: Final = 10_000
"""Of more rows more trees would take too long."""

SAMPLE_ROWS_MAX: Final = 100_000
"""Of more rows each tree sees a sample: with so many leaves as are allowed, it could not tell more apart."""

# Categories stay codes: what they say of the answers comes as columns of `target_means`, which on generated data gives
# as much as sorting them by it within the trees (AUC 0.900 both, without either 0.809), and makes no sets of codes.

NODES_MAX: Final = 300_000
"""In the graph; at 50 bytes a node this is 15 MB, and what all folds left takes seconds to write and to load."""

BATCH_SECONDS: Final = 0.5
"""Of trees between two looks at the clock; each batch costs scikit-learn as much besides as a few small trees."""

CHECKED_ROWS: Final = 200

RANKING: Final = ("roc_auc", "pr_auc", "roc_auc_ovr")

NEVER: Final = 1e-4
"""What a probability of 0 counts as, where shrinkage is chosen: a few trees say so lightly, an ensemble does not."""

OURS: Final = ("trees", "shrinkage")
"""Settings that scikit-learn does not know. `shrinkage`: how much leaves are drawn to what is above (`shrinkage`)."""


class Trees:
    """`forest` gives the probability of the second class, of each of more classes, or the prediction."""

    link: str = "identity"

    def __init__(self, forest: Forest, task: Task, settings: dict[str, Any]) -> None:
        self._forest, self.task, self.settings = forest, task, settings
        self.judged: Floats | None = None

    def scores(self, x: Floats) -> Floats:
        return _told(self._forest.sums(x), self.task)

    def forest(self) -> Forest:
        return self._forest

    def thinned(self, count: int) -> "Trees":
        """One of so many trees, each counting for that many; of a forest for every class, the same ones."""
        trees = self._forest.trees // self._forest.outputs
        kept = np.arange(0, trees, count)
        places = (np.arange(self._forest.outputs)[:, None] * trees + kept).ravel()
        return Trees(self._forest.some(places).scaled(trees / len(kept)), self.task, self.settings)

    def export(self, graph: GraphWriter, x: str) -> str:
        sums = self._forest.write(graph, x)
        if self.task.type != "binary":
            return sums
        both = graph.op("Concat", graph.op("Sub", graph.constant(np.ones((1, 1))), sums), sums, axis=1)
        return graph.op("Clip", both, graph.constant(0.0), graph.constant(1.0))

    def state(self) -> State:
        return self._forest.state()


class ExtraTrees:
    name: ClassVar[str] = "extra_trees"
    sparse: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ()
    loads: ClassVar[tuple[str, ...]] = ("sklearn.ensemble",)
    means: ClassVar[bool] = True
    thins: ClassVar[bool] = True
    classes_max: ClassVar[int] = 10
    """A tree stands in the graph once for each class."""

    @staticmethod
    def takes() -> dict[str, Kind | None]:
        known = (
            "bootstrap", "criterion", "max_depth", "max_features", "max_leaf_nodes", "max_samples",
            "min_impurity_decrease", "min_samples_leaf", "min_samples_split",
        )  # fmt: skip
        return {**dict.fromkeys(known), "trees": COUNT, "shrinkage": Number()}

    @staticmethod
    def fit(train: Examples, valid: Examples | None, how: Fit) -> Trees:
        wanted = int(how.settings.get("trees", TREES[0]))
        may_grow = "trees" not in how.settings and len(train.y) <= MANY_ROWS
        model = _model(how, len(train.y), wanted)
        x = _narrow(train.x)
        done, longest, batch = 0, 0.0, how.threads
        # Trees that would be ready after the deadline are not begun; the first ones always are.
        while done < wanted and (not done or how.deadline.left > longest * batch):
            batch = min(batch, wanted - done)
            began = how.deadline.clock()
            model.set_params(n_estimators=done + batch)
            model.fit(x, train.y, sample_weight=train.weight)
            if may_grow and not done:
                wanted = _room(model.estimators_[0].tree_, how.task)
            done += batch
            longest = 1.2 * max((how.deadline.clock() - began) / batch, 1e-6)
            batch = max(how.threads, int(min(BATCH_SECONDS, how.deadline.left / 2) / longest))
            if how.keep is not None:
                how.keep(lambda: _fitted(model, how, valid))
        if done < wanted:
            how.cuts.append(ExtraTrees.name)
        fitted = _fitted(model, how, valid)
        _check(fitted, model, x)
        _tell(fitted, valid, how)
        return fitted

    @staticmethod
    def load(state: State, task: Task, settings: dict[str, Any]) -> Trees:
        return Trees(Forest.load(state), task, settings)


def _model(how: Fit, rows: int, trees: int) -> Any:
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

    leaves_max = max(2, NODES_MAX // (trees * _outputs(how.task)))
    chosen: dict[str, Any] = {
        "max_features": 0.5,
        "max_leaf_nodes": leaves_max if rows > leaves_max else None,
        "bootstrap": rows > SAMPLE_ROWS_MAX, "max_samples": SAMPLE_ROWS_MAX if rows > SAMPLE_ROWS_MAX else None,
        "random_state": how.seed, "n_jobs": how.threads, "warm_start": True,
    }  # fmt: skip
    chosen |= {key: value for key, value in how.settings.items() if key not in OURS}
    return (ExtraTreesClassifier if how.task.classes else ExtraTreesRegressor)(**chosen)


def _room(first: Any, task: Task) -> int:
    """How many trees like the first the graph has room for."""
    return int(np.clip(NODES_MAX // (int(first.n_leaves) * _outputs(task)), *TREES))


def _outputs(task: Task) -> int:
    return len(task.classes) if task.type == "multiclass" else 1


def _narrow(x: Floats) -> Any:
    """As scikit-learn reads numbers; NaN stays."""
    return np.clip(x, -FLOAT32_MAX, FLOAT32_MAX).astype(np.float32)


def _fitted(model: Any, how: Fit, valid: Examples | None) -> Trees:
    """The trees so far, shrunk as it was asked for or as the rows that judge want it."""
    shrunk = _shrunk(model, how.task)
    shrinkage, judged = how.settings.get("shrinkage", SHRINKAGE_USUAL), None
    if valid is not None and "shrinkage" not in how.settings and not how.deadline.passed:
        shrinkage, judged = chosen(shrunk, _narrow(valid.x), valid, partial(_worse, how))
    settings = {
        **how.settings, "trees": len(shrunk.trees), "max_leaf_nodes": model.max_leaf_nodes, "shrinkage": shrinkage
    }  # fmt: skip
    fitted = Trees(_forest(shrunk, shrunk.values(shrinkage)), how.task, settings)
    fitted.judged = None if judged is None else _told(judged, how.task)
    return fitted


def _told(sums: Floats, task: Task) -> Floats:
    return np.clip(np.hstack([1 - sums, sums]), 0, 1) if task.type == "binary" else sums


def _worse(how: Fit, sums: Floats, valid: Examples) -> float:
    """By the metric where it ranks, which no calibration changes afterwards; else by log loss or squared error."""
    scores = _told(sums, how.task)
    if how.task.metric in RANKING and how.score is not None:
        return -how.score(valid.y, scores)
    if not how.task.classes:
        with np.errstate(over="ignore"):
            return float(np.average((scores[:, 0] - valid.y) ** 2, weights=valid.weight))
    each = np.maximum(scores[np.arange(len(scores)), valid.y], NEVER)
    return -float(np.average(np.log(each), weights=valid.weight))


def _shrunk(model: Any, task: Task) -> Shrunk:
    trees = [each.tree_ for each in model.estimators_]
    return Shrunk(trees, _values(np.concatenate([tree.value[:, 0] for tree in trees]), model, task))


def _forest(shrunk: Shrunk, values: Floats) -> Forest:
    """Scikit-learn's arrays one after another, once for each output, with the `values` of their nodes; a tree that is
    one leaf gets a node above it."""
    trees, counts, starts = shrunk.trees, shrunk.counts, shrunk.starts

    def joined(name: str) -> Any:
        return np.concatenate([getattr(tree, name) for tree in trees])

    is_leaf = joined("children_left") < 0
    inner = ~is_leaf | np.repeat(counts == 1, counts)
    node, leaf = np.cumsum(inner) - 1, np.cumsum(is_leaf) - 1

    def child(side: str) -> tuple[Any, Any]:
        there = np.where(is_leaf, np.arange(len(is_leaf)), np.repeat(starts, counts) + joined(side))[inner]
        return np.where(is_leaf[there], leaf[there], node[there]), is_leaf[there]

    left, left_is_leaf = child("children_left")
    right, right_is_leaf = child("children_right")
    values = values[is_leaf] / len(trees)
    one = Forest(
        np.maximum(joined("feature")[inner], 0).astype(np.int64), _widened(joined("threshold")[inner]),
        np.full(int(inner.sum()), LESS_OR_EQUAL, np.uint8), joined("missing_go_to_left")[inner].astype(bool),
        left, right, left_is_leaf, right_is_leaf, values[:, 0], np.zeros(len(values), np.int64), node[starts],
        np.zeros(int(inner.sum()), np.int64), np.zeros(0), np.zeros(1),
    )  # fmt: skip
    if values.shape[1] == 1:
        return one
    return side_by_side([replace(one, leaf_value=column.copy()) for column in values.T])


def _values(values: Floats, model: Any, task: Task) -> Floats:
    """What nodes say of each output: (nodes, outputs)."""
    if not task.classes:
        return values
    shares = np.zeros((len(values), len(task.classes)))
    shares[:, model.classes_] = values  # a class may be missing from these rows
    return shares[:, 1:] if task.type == "binary" else shares


def _widened(threshold: Floats) -> Floats:
    """The largest t for each of which, for all x in float64, x <= t is float32(x) <= threshold."""
    below = threshold.astype(np.float32)
    with np.errstate(over="ignore"):
        below = np.where(below > threshold, np.nextafter(below, np.float32(-np.inf)), below)
        above = np.nextafter(below, np.float32(np.inf))
    # What lies halfway rounds to the one of the two whose last bit is 0.
    half = (below.astype(np.float64) + above.astype(np.float64)) / 2
    return np.where(below.view(np.uint32) & 1, np.nextafter(half, -np.inf), half)


def _check(fitted: Trees, model: Any, x: Any) -> None:
    """On some rows, and on these with gaps, the forest adds up to what scikit-learn's trees say, shrunk."""
    some = x[:CHECKED_ROWS].copy()
    gaps = np.where(np.arange(some.size).reshape(some.shape) % 3 == 0, np.float32(np.nan), some)
    shrunk = _shrunk(model, fitted.task)
    for rows in (some, gaps):
        expected = shrunk.scores(shrunk.places(rows), fitted.settings["shrinkage"])
        assert np.allclose(fitted.forest().sums(rows.astype(np.float64)), expected, rtol=1e-9), "trees are read rightly"


def _tell(fitted: Trees, valid: Examples | None, how: Fit) -> None:
    trees = fitted.settings["trees"]
    how.tell(
        f"extra trees: {trees} trees, {fitted.forest().nodes} nodes", valid,
        None if how.deadline.passed else fitted.scores, learner="extra_trees", counted="Trees", round=trees,
    )  # fmt: skip
