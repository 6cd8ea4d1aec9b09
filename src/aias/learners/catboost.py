"""Gradient-boosted trees by CatBoost: a level of a tree asks one question, categories by what they answered.

CatBoost tells by `float32(x) > border`. The graph compares x in float64 with the largest value that float32 rounds to
the border or below: equal for every x, infinite ones too, since what is beyond float32 counts as its end. A question
about a category depends on its code alone, so CatBoost is asked for all codes what they answer; a table of the borders
that each code passes stands in the graph as a column more. Without combinations of categories these tables are all.

What is kept are these arrays and not CatBoost's own blob, which holds the time and a random name: the same data give
the same bytes, and the 400 MB library is needed for fitting only.
"""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from aias.core.events import Event
from aias.core.forest import LESS_OR_EQUAL, Forest, side_by_side
from aias.core.graph import GraphWriter
from aias.core.task import Task
from aias.encoders.contract import Floats, Ints
from aias.learners.contract import Examples, Fit, State

__all__ = ["CatBoost"]

ROUNDS_MAX: Final = 2_000

PATIENCE: Final = (20, 0.3, 150)
"""Rounds without a better validation loss before stopping: so many, and a share of the best round, up to a maximum."""

TELL_SECONDS: Final = 0.5

FINISH_SECONDS: Final = (0.1, 1e-4)
"""To read the model back when rounds are over: at least, and for each round and class."""

VALUES_AT_ONCE: Final = 1 << 22
"""Rows times trees that `scores` moves together: some 100 MB."""

LINKS: Final = {"binary": "sigmoid", "multiclass": "softmax", "regression": "identity"}

CHECKED_ROWS: Final = 200

FLOAT32_MAX: Final = float(np.finfo(np.float32).max)

_Split = tuple[int, int, Mapping[str, Any]]
"""Its level, its tree, and what it asks."""

_Places = dict[int, tuple[int, float]]


@dataclass(frozen=True, eq=False)
class Arrays:
    """Symmetric trees, all as deep as the deepest: a level that a tree has not is a border that nothing passes.

    Columns from the width of x on are the tables': `table[starts[j] + x[:, sources[j]]]` for the j-th.
    """

    feature: Ints  # (depth, trees)
    border: Floats  # (depth, trees) passed by what is greater, so never by NaN
    leaves: Floats  # (trees, 2 ** depth, outputs); bit i of a leaf: whether the border of level i was passed
    base: Floats  # (outputs,)
    sources: Ints  # (extra,)
    starts: Ints  # (extra,)
    table: Floats  # (values,)


class Trees:
    def __init__(self, arrays: Arrays, task: Task, settings: dict[str, Any]) -> None:
        self.arrays, self.task, self.settings = arrays, task, settings
        self.link = LINKS[task.type]

    @property
    def extra_width(self) -> int:
        """Columns that the trees read after those of x."""
        return len(self.arrays.sources)

    def extra(self, x: Floats) -> Floats:
        """How many borders each code passes: (rows, extra_width)."""
        places = x[:, self.arrays.sources].astype(np.int64) + self.arrays.starts
        return np.asarray(self.arrays.table[places])

    def export_extra(self, graph: GraphWriter, x: str) -> str | None:
        if not self.extra_width:
            return None
        codes = graph.op("Gather", x, graph.constant(self.arrays.sources), axis=1)
        places = graph.op("Add", codes, graph.constant(self.arrays.starts.astype(np.float64)))
        return graph.op("Gather", graph.constant(self.arrays.table), graph.op("Cast", places, to=_INT64), axis=0)

    def scores(self, x: Floats) -> Floats:
        sums = self.sums(x)
        if self.link == "identity":
            return sums
        if self.link == "sigmoid":
            with np.errstate(over="ignore"):
                return np.asarray(1 / (1 + np.exp(sums * [[1.0, -1.0]])))
        powers = np.exp(sums - sums.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))

    def sums(self, x: Floats) -> Floats:
        """What the trees add up to: (rows, outputs)."""
        arrays = self.arrays
        trees = np.arange(len(arrays.leaves))
        total = np.empty((len(x), len(arrays.base)))
        step = max(1, VALUES_AT_ONCE // (len(trees) * len(arrays.base)))
        for start in range(0, len(x), step):
            part = x[start : start + step]
            leaf = self._leaf(np.hstack([part, self.extra(part)]).T)  # noqa: S610 not Django's
            total[start : start + step] = arrays.leaves[trees[:, None], leaf].sum(axis=0)
        return total + arrays.base

    def _leaf(self, columns: Floats) -> Ints:
        """The leaf that each row reaches in each tree: (trees, rows)."""
        arrays = self.arrays
        leaf = np.zeros((len(arrays.leaves), columns.shape[1]), np.int64)
        for level, feature in enumerate(arrays.feature):
            leaf |= (columns[feature] > arrays.border[level][:, None]).astype(np.int64) << level
        return leaf

    def forest(self) -> Forest:
        one = [_forest(self.arrays, output) for output in range(len(self.arrays.base))]
        return one[0] if len(one) == 1 else side_by_side(one)

    def export(self, graph: GraphWriter, x: str) -> str:
        extra = self.export_extra(graph, x)
        sums = self.forest().write(graph, x if extra is None else graph.op("Concat", x, extra, axis=1))
        if self.link == "softmax":
            return graph.op("Softmax", sums, axis=1)
        if self.link == "identity":
            return sums
        return graph.op("Sigmoid", graph.op("Mul", sums, graph.constant(np.array([[-1.0, 1.0]]))))

    def state(self) -> State:
        return {each.name: getattr(self.arrays, each.name) for each in fields(Arrays)}


class CatBoost:
    name: ClassVar[str] = "catboost"
    sparse: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ("catboost",)
    shared: ClassVar[tuple[str, ...]] = ()
    classes_max: ClassVar[int] = 20
    """A tree stands in the graph once for each class."""

    @staticmethod
    def fit(train: Examples, valid: Examples | None, how: Fit) -> Trees:
        import catboost

        watcher = _Watcher(how, rows=len(train.y), judged=valid is not None)
        rows, unit = _Rows(train.x.shape[1], how.categories, how.category_sizes), _unit(train, how.task)
        model = catboost.CatBoost(_settings(how))
        pools = [rows.labelled_pool(each, unit, how.task) for each in (train, valid) if each is not None]
        model.fit(pools[0], eval_set=pools[1:] or None, callbacks=[watcher])
        done = max(1, watcher.best_round if valid is not None else watcher.done)
        model.shrink(ntree_end=done)
        found = Trees(_arrays(model, rows, unit), how.task, {**how.settings, "rounds": done})
        _check(found, model, rows, unit, train.x)
        return found

    @staticmethod
    def load(state: State, task: Task, settings: dict[str, Any]) -> Trees:
        return Trees(Arrays(**{each.name: state[each.name] for each in fields(Arrays)}), task, settings)


@dataclass(eq=False)
class _Watcher:
    """Called by CatBoost after each round; says whether to go on. There is no state to keep before the last round."""

    how: Fit
    rows: int
    judged: bool
    done: int = 0
    best_round: int = 0
    best_loss: float = np.inf

    def __post_init__(self) -> None:
        self.started_at = self.before = self.how.deadline.clock()
        self.told_at, self.longest = -TELL_SECONDS, 0.0

    def after_iteration(self, info: Any) -> bool:
        now = self.how.deadline.clock()
        self.done += 1
        if self.done > 1:  # the first is long by what comes before it
            self.longest = max(0.9 * self.longest, now - self.before)
        self.before = now
        if self.judged:
            (losses,) = info.metrics["validation"].values()
            if losses[-1] < self.best_loss:
                self.best_round, self.best_loss = self.done, losses[-1]
            if now - self.told_at >= TELL_SECONDS:
                self.told_at = now
                self._tell(losses[-1], now)
        least, each = FINISH_SECONDS
        finish = least + each * self.done * self.how.task.outputs
        return not self._stale() and self.how.deadline.left > self.longest + finish

    def _stale(self) -> bool:
        least, share, most = PATIENCE
        return self.judged and self.done - self.best_round >= min(least + share * self.best_round, most)

    def _tell(self, loss: float, now: float) -> None:
        facts: dict[str, object] = {
            "learner": "catboost", "round": self.done, "validation_loss": loss, "best_round": self.best_round,
            "rows_per_second": self.rows * self.done / max(now - self.started_at, 1e-9),
            "seconds_left": self.how.deadline.left,
        }  # fmt: skip
        message = f"catboost: {self.done} rounds, validation loss {loss:.4f}"
        self.how.watch(Event("train.round", message, "debug", facts))


def _settings(how: Fit) -> dict[str, Any]:
    chosen: dict[str, Any] = {
        "iterations": int(how.settings.get("rounds", ROUNDS_MAX)), "learning_rate": 0.05, "depth": 6,
        "max_ctr_complexity": 1, "boosting_type": "Plain", "use_best_model": False, "allow_const_label": True,
        "random_seed": how.seed % (1 << 31), "thread_count": how.threads,
        "allow_writing_files": False, "logging_level": "Silent", "loss_function": _loss(how.task),
    }  # fmt: skip
    if how.task.type == "multiclass":
        chosen["classes_count"] = len(how.task.classes)
    return chosen | {key: value for key, value in how.settings.items() if key != "rounds"}


def _loss(task: Task) -> str:
    """What the metric is answered best by."""
    if task.type != "regression":
        return "Logloss" if task.type == "binary" else "MultiClass"
    if task.quantile is not None:
        return f"Quantile:alpha={task.quantile}"
    return {"mae": "MAE", "median_absolute_error": "MAE", "mape": "MAPE"}.get(task.metric, "RMSE")


def _unit(train: Examples, task: Task) -> Floats:
    """What is subtracted from the targets, and by what they are divided: float32 holds what is left."""
    if task.type != "regression" or task.metric == "mape":  # a share of the value is one of the value itself
        return np.array([0.0, 1.0])
    shift = float(np.average(train.y, weights=train.weight))
    return np.array([shift, float(np.sqrt(np.average((train.y - shift) ** 2, weights=train.weight))) or 1.0])


class _Rows:
    """How columns become CatBoost's: first the numbers, then the categories, each in their order."""

    def __init__(self, width: int, categories: Sequence[int], sizes: Sequence[int]) -> None:
        self.categories = np.array(categories, np.int64)
        self.numbers = np.setdiff1d(np.arange(width), self.categories)
        self.sizes, self.width = np.array(sizes, np.int64), width

    def pool(self, x: Floats, **labels: Any) -> Any:
        import catboost

        numbers = np.clip(x[:, self.numbers], -FLOAT32_MAX, FLOAT32_MAX).astype(np.float32)
        names = np.array([b"%d" % code for code in range(self.sizes.max(initial=0))], object)
        data = catboost.FeaturesData(
            num_feature_data=np.ascontiguousarray(numbers) if len(self.numbers) else None,
            cat_feature_data=names[x[:, self.categories].astype(np.int64)] if len(self.categories) else None,
        )
        return catboost.Pool(data, **labels)

    def labelled_pool(self, part: Examples, unit: Floats, task: Task) -> Any:
        shift, scale = unit
        return self.pool(part.x, label=part.y if task.classes else (part.y - shift) / scale, weight=part.weight)

    def of_all_codes(self) -> Floats:
        """A row for each code, which all categories hold as far as they go."""
        x = np.zeros((self.sizes.max(initial=1), len(self.numbers) + len(self.categories)))
        x[:, self.categories] = np.minimum(np.arange(len(x))[:, None], self.sizes - 1)
        return x


def _arrays(model: Any, rows: _Rows, unit: Floats) -> Arrays:
    found = _description(model)
    trees, (scale, base), (shift, spread) = found["oblivious_trees"], found["scale_and_bias"], unit
    splits = [
        (level, place, split) for place, tree in enumerate(trees) for level, split in enumerate(tree["splits"] or ())
    ]
    places, tables = _tables(model, rows, found["features_info"], splits)
    shape = max((level + 1 for level, _, _ in splits), default=1), len(trees)
    feature, border = np.zeros(shape, np.int64), np.full(shape, np.inf)
    for level, place, split in splits:
        if split["split_type"] == "FloatFeature":
            feature[level, place] = rows.numbers[split["float_feature_index"]]
            border[level, place] = _widest(split["border"])
        else:
            feature[level, place], border[level, place] = places[split["split_index"]]
    leaves = np.zeros((len(trees), 2 ** shape[0], len(base)))
    for place, tree in enumerate(trees):
        values = np.array(tree["leaf_values"]).reshape(-1, len(base))
        leaves[place, : len(values)] = values * (scale * spread)
    return Arrays(feature, border, leaves, np.array(base) * spread + shift, *tables)


def _description(model: Any) -> dict[str, Any]:
    """The model as CatBoost writes it down, which it does to files only."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.json"
        model.save_model(str(path), format="json")
        return dict(json.loads(path.read_text(encoding="utf-8")))


def _tables(model: Any, rows: _Rows, info: Mapping[str, Any], splits: Sequence[_Split]) -> tuple[_Places, Any]:
    """What the splits that read categories answer to each code: a table for each number that a category becomes.

    Gives the columns and borders of these splits; and the tables' sources, starts and values.
    """
    asked = {each[2]["split_index"]: each for each in splits if each[2]["split_type"] != "FloatFeature"}
    leaf = np.asarray(model.calc_leaf_indexes(rows.pool(rows.of_all_codes())))  # (codes, trees)
    ends = _ctr_ends(info)
    groups: dict[tuple[int, int], list[tuple[int, Floats]]] = {}
    for index, (level, tree, split) in sorted(asked.items(), key=lambda each: each[0]):
        key, reads = -1 - index, split
        if split["split_type"] == "OnlineCtr":
            key = int(np.searchsorted(ends, index, side="right"))
            (reads,) = info["ctrs"][key]["elements"]
        category = int(reads["cat_feature_index"])
        passed = leaf[: rows.sizes[category], tree] >> level & 1
        groups.setdefault((category, key), []).append((index, passed.astype(np.float64)))
    # Within a group borders rise: who passes one has passed all before.
    places = {
        index: (rows.width + column, before + 0.5)
        for column, group in enumerate(groups.values())
        for before, (index, _) in enumerate(group)
    }
    values = [np.sum([passed for _, passed in group], axis=0) for group in groups.values()]
    sizes = np.array([len(each) for each in values], np.int64)
    sources = rows.categories[np.array([category for category, _ in groups], np.int64)]
    return places, (sources, np.cumsum(sizes) - sizes, np.concatenate([np.zeros(0), *values]))


def _ctr_ends(info: Mapping[str, Any]) -> Ints:
    """Where the splits of each number made of a category end: CatBoost counts splits over all features."""
    numbers, categories = info.get("float_features", ()), info.get("categorical_features", ())
    first = sum(len(each["borders"]) for each in numbers) + sum(len(each.get("values", ())) for each in categories)
    return first + np.cumsum([len(each["borders"]) for each in info.get("ctrs", ())], dtype=np.int64)


def _widest(border: float) -> float:
    """The largest float64 that float32 rounds to the border or below."""
    exact = np.float32(border)
    assert np.isfinite(exact), "borders lie between values that are finite"
    if exact == np.float32(FLOAT32_MAX):
        return np.inf
    middle = (float(exact) + float(np.nextafter(exact, np.float32(np.inf)))) / 2
    return middle if np.float32(middle) <= exact else float(np.nextafter(middle, -np.inf))


def _check(found: Trees, model: Any, rows: _Rows, unit: Floats, x: Floats) -> None:
    """On some rows, on these with gaps, and on all codes, the arrays add up to what CatBoost answers."""
    some = x[:CHECKED_ROWS]
    gaps = some.copy()
    gaps[:, rows.numbers] = np.where(np.arange(len(some))[:, None] % 2 == 0, np.nan, some[:, rows.numbers])
    part = np.vstack([some, gaps, rows.of_all_codes()])
    shift, scale = unit
    expected = model.predict(rows.pool(part), prediction_type="RawFormulaVal").reshape(len(part), -1) * scale + shift
    assert np.allclose(found.sums(part), expected, rtol=1e-9, atol=1e-9 * scale), "CatBoost's trees are read rightly"


def _forest(arrays: Arrays, output: int) -> Forest:
    """Plain trees: a node whose one side nothing can reach, or whose sides are one leaf, is left out."""
    depth, trees = arrays.feature.shape
    values, ref = np.unique(arrays.leaves[:, :, output], return_inverse=True)
    ref = -1 - ref.reshape(trees, -1)  # (trees, paths); leaves are below zero, nodes not
    reached, made = _reached(arrays), list[tuple[Any, ...]]()
    count = 0
    for level in reversed(range(depth)):
        half = 1 << level
        left, right = ref[:, :half], ref[:, half:]
        goes_left, goes_right = reached[level + 1][:, :half], reached[level + 1][:, half:]
        asks = goes_left & goes_right & (left != right)
        tree = np.nonzero(asks)[0]
        each = arrays.feature[level, tree], arrays.border[level, tree]
        made.append((*each, left[asks], right[asks]))
        ref = np.where(asks, count + np.cumsum(asks).reshape(asks.shape) - 1, np.where(goes_left, left, right))
        count += len(tree)
    lone = ref[:, 0] < 0  # a tree of one leaf gets a node above it
    alone = np.zeros(lone.sum(), np.int64)
    made.append((alone, alone.astype(np.float64), ref[lone, 0], ref[lone, 0]))
    roots = np.where(lone, count + np.cumsum(lone) - 1, ref[:, 0])
    feature, border, left, right = (np.concatenate(each) for each in zip(*made, strict=True))
    return Forest(
        feature, border, np.full(len(feature), LESS_OR_EQUAL, np.uint8), np.ones(len(feature), np.bool_),
        np.where(left < 0, -1 - left, left), np.where(right < 0, -1 - right, right), left < 0, right < 0,
        values, np.zeros(len(values), np.int64), roots,
        np.zeros(len(feature), np.int64), np.zeros(0), arrays.base[output : output + 1],
    )  # fmt: skip


def _reached(arrays: Arrays) -> list[npt.NDArray[np.bool_]]:
    """For each level, which paths to it some row can take: (trees, 2 ** level). Bit i: border of level i passed."""
    depth, trees = arrays.feature.shape
    reached = [np.ones((trees, 1), np.bool_)]
    for level in range(depth):
        path = np.arange(1 << level)
        left = reached[level].copy()
        right = left & np.isfinite(arrays.border[level])[:, None]
        for above in range(level):
            same = arrays.feature[above] == arrays.feature[level]
            passed = (path >> above & 1 > 0)[None, :]
            right &= ~((same & (arrays.border[above] <= arrays.border[level]))[:, None] & ~passed)
            left &= ~((same & (arrays.border[above] >= arrays.border[level]))[:, None] & passed)
        reached.append(np.hstack([left, right]))
    return reached


_INT64: Final = 7
"""`TensorProto.INT64`, from the ONNX specification."""
