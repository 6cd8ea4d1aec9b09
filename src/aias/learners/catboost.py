"""Gradient-boosted trees by CatBoost: a level of a tree asks one question, categories by what they answered.

A question about a category depends on its code alone, so CatBoost is asked for all codes what they answer; a table of
the borders that each code passes stands in the graph as a column more. Without combinations of categories these tables
are all.

What is kept are these arrays and not CatBoost's own blob, which holds the time and a random name: the same data give
the same bytes, and the 400 MB library is needed for fitting only.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

import numpy as np

from aias.core.arrays import Floats, Ints
from aias.core.errors import shown
from aias.core.forest import FLOAT32_MAX, Forest
from aias.core.graph import GraphWriter
from aias.core.links import answers, write_answers
from aias.core.symmetric import SymmetricTrees
from aias.core.task import LINKS, Task
from aias.forests.catboost import description, splits_of, tables_of, trees_of
from aias.learners.boosting import Rounds, least_of
from aias.learners.contract import Examples, Fit, SettingRefused, State, joined
from aias.networks.answers import span_of

__all__ = ["CatBoost"]

SYMMETRIC: Final = "SymmetricTree"

ROUNDS_MAX: Final = (5_000, 2_000)
"""Where a round has a single tree, and where it has one of several classes."""

PATIENCE: Final = (20, 0.3, 150)
"""As `boosting.PATIENCE`; its rounds take longer."""

DEPTH: Final = 7
"""Where a round has a single tree: with larger steps better than 6 on ten sets of 14 (docs/log.md)."""

CLASSES_DEPTH, COLUMNS_SHARE = 6, 0.4
"""Where a round has a tree of several classes, each level asks a share of the columns. Half of the time or less, and
no worse (docs/log.md)."""

COLUMNS_MIN: Final = 5
"""A share of fewer could be none, and a model without a tree."""

FINISH_SECONDS: Final = (0.1, 1e-4)
"""To read the model back when rounds are over: at least, and for each tree."""

ABSENT: Final = -100.0
"""The sum of a class that no row has; CatBoost says -inf."""

CHECKED_ROWS: Final = 200


class Trees:
    def __init__(self, trees: SymmetricTrees, task: Task, settings: dict[str, Any]) -> None:
        self.trees, self.task, self.settings = trees, task, settings
        self.link = LINKS[task.type]
        self.judged: Floats | None = None

    @property
    def extra_width(self) -> int:
        """Columns that the forest reads after those of x."""
        return self.trees.extra_width

    def extra(self, x: Floats) -> Floats:
        return self.trees.extra_columns(x)

    def export_extra(self, graph: GraphWriter, x: str) -> str | None:
        return self.trees.write_extra(graph, x) if self.extra_width else None

    def scores(self, x: Floats) -> Floats:
        return answers(self.trees.sums(x), self.link)

    def forest(self) -> Forest:
        return self.trees.forest()

    def export(self, graph: GraphWriter, x: str) -> str:
        extra = self.export_extra(graph, x)
        sums = self.forest().write(graph, x if extra is None else graph.op("Concat", x, extra, axis=1))
        return write_answers(graph, sums, self.link)

    def state(self) -> State:
        return self.trees.state()


class CatBoost:
    name: ClassVar[str] = "catboost"
    sparse: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ("catboost",)
    shared: ClassVar[tuple[str, ...]] = ()
    rounds_max: ClassVar[tuple[int, int]] = ROUNDS_MAX
    classes_max: ClassVar[int] = 20
    """A tree stands in the graph once for each class."""

    @staticmethod
    def fit(train: Examples, valid: Examples | None, how: Fit) -> Trees:
        import catboost

        rows = _Rows(train.x.shape[1], how.categories, how.category_sizes)
        if how.task.metric == "mape":  # a share of the value is one of the value itself; of less than 1, one of 1
            unit = np.array([0.0, least_of(train.y)])
        else:  # float32 holds what is left
            unit = span_of(train.y, train.weight, how.task)[:2]
        settings, first = _settings(how, train.x.shape[1]), _first(how, train)
        done = 0 if first is None else len(first.leaves)
        rounds = Rounds(
            CatBoost.name, how, len(train.y), valid, settings["iterations"], finish_seconds=FINISH_SECONDS,
            patience=PATIENCE, done=done,
        )  # fmt: skip
        if first is not None:
            settings["iterations"] = max(settings["iterations"] - done, 1)
            if how.task.type != "multiclass":
                settings["boost_from_average"] = False
        model = catboost.CatBoost(settings)
        pools = [rows.labelled_pool(part, unit, how.task, first) for part in (train, *rounds.halves)]
        model.fit(pools[0], eval_set=pools[1:] or None, callbacks=[_Watcher(rounds, done)])
        rounds.tell_curve()
        # Each half is scored by the rounds that the other chose.
        parts = zip(rounds.for_halves, rounds.halves, strict=True)
        judged = [_raw(model, rows.pool(half.x), unit, ntree_end=at - done) for at, half in parts]
        if rounds.best - done < model.tree_count_:  # a single tree that asks nothing cannot be shrunk to itself
            model.shrink(ntree_end=rounds.best - done)
        trees = _trees(model, rows, unit)
        if how.task.type == "multiclass":
            trees = _of_all_classes(trees, np.unique(train.y), len(how.task.classes))
        found = Trees(trees, how.task, {**how.settings, "rounds": rounds.best})
        _check(found, model, rows, unit, train.x)
        if first is not None:
            found.trees = first.followed_by(replace(trees, base=trees.base - unit[0]), width=rows.width)
            judged = [each - unit[0] + first.sums(half.x) for each, half in zip(judged, rounds.halves, strict=True)]
        found.judged = answers(joined(judged), found.link) if judged else None
        return found

    @staticmethod
    def load(state: State, task: Task, settings: dict[str, Any]) -> Trees:
        return Trees(SymmetricTrees.load(state), task, settings)


@dataclass(frozen=True, eq=False)
class _Watcher:
    """Called by CatBoost after each round; says whether to go on.

    A fit that has to be killed leaves nothing. What is called does not see the model; and of a snapshot, which CatBoost
    can write, only a second fit on the same rows makes one, which stops at once and still took 2 s for 150 rounds of
    20,000 rows: whoever is overdue has no time for it. So the end is told by the clock after every round instead.
    """

    rounds: Rounds
    first: int
    """Of which nothing is to be made any more."""

    def after_iteration(self, info: Any) -> bool:
        if self.rounds.done == self.first:
            self.rounds.begun()  # the first would be long by what comes before it
        parts = [values for name, values in sorted(info.metrics.items()) if name != "learn"]
        self.rounds.over([values[-1] for part in parts for values in part.values()])
        return self.rounds.more()


def _first(how: Fit, train: Examples) -> SymmetricTrees | None:
    """The trees to go on from; not where a class that they know has no row, of which CatBoost's sums say nothing."""
    if how.start is None or (how.task.type == "multiclass" and len(np.unique(train.y)) < len(how.task.classes)):
        return None
    return SymmetricTrees.load(how.start)


def _settings(how: Fit, columns: int) -> dict[str, Any]:
    many, policy = how.task.type == "multiclass", how.settings.get("grow_policy", SYMMETRIC)
    if policy != SYMMETRIC:
        raise SettingRefused(f"`catboost` grows trees of `grow_policy` {SYMMETRIC} only here, not {shown(policy)}")
    chosen: dict[str, Any] = {
        "iterations": int(how.settings.get("rounds", ROUNDS_MAX[many])), "learning_rate": 0.08, "depth": DEPTH,
        "max_ctr_complexity": 1, "boosting_type": "Plain", "use_best_model": False, "allow_const_label": True,
        "random_seed": how.seed % (1 << 31), "thread_count": how.threads,
        "allow_writing_files": False, "logging_level": "Silent", "loss_function": _loss(how.task),
    }  # fmt: skip
    if many:
        chosen |= {"classes_count": len(how.task.classes), "depth": CLASSES_DEPTH}
        if columns >= COLUMNS_MIN:
            chosen["rsm"] = COLUMNS_SHARE
    return chosen | {key: value for key, value in how.settings.items() if key != "rounds"}


def _loss(task: Task) -> str:
    """What the metric is answered best by."""
    if task.type != "regression":
        return "Logloss" if task.type == "binary" else "MultiClass"
    if task.quantile is not None:
        return f"Quantile:alpha={task.quantile}"
    return {"mae": "MAE", "median_absolute_error": "MAE", "mape": "MAPE"}.get(task.metric, "RMSE")


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

    def labelled_pool(self, part: Examples, unit: Floats, task: Task, first: SymmetricTrees | None) -> Any:
        """With what `first` says of each row, where there are trees to go on from."""
        shift, scale = unit
        said = {} if first is None else {"baseline": (first.sums(part.x) - shift) / scale}
        label = part.y if task.classes else (part.y - shift) / scale
        return self.pool(part.x, label=label, weight=part.weight, **said)

    def of_all_codes(self) -> Floats:
        """A row for each code, which all categories hold as far as they go."""
        x = np.zeros((self.sizes.max(initial=1), len(self.numbers) + len(self.categories)))
        x[:, self.categories] = np.minimum(np.arange(len(x))[:, None], self.sizes - 1)
        return x


def _trees(model: Any, rows: _Rows, unit: Floats) -> SymmetricTrees:
    found = description(model)
    asked = list(splits_of(found))
    leaf = np.asarray(model.calc_leaf_indexes(rows.pool(rows.of_all_codes())))  # (codes, trees)
    places, tables = tables_of(
        found["features_info"], asked, leaf, categories=rows.categories, sizes=rows.sizes, width=rows.width
    )
    return trees_of(found, rows.numbers, unit=unit, places=places, tables=tables)


def _of_all_classes(trees: SymmetricTrees, seen: Ints, classes: int) -> SymmetricTrees:
    """CatBoost's trees know the classes that they have seen."""
    leaves, base = np.zeros((*trees.leaves.shape[:2], classes)), np.full(classes, ABSENT)
    leaves[..., seen], base[seen] = trees.leaves, trees.base
    return replace(trees, leaves=leaves, base=base)


def _check(found: Trees, model: Any, rows: _Rows, unit: Floats, x: Floats) -> None:
    """On some rows, on these with gaps, and on all codes, the arrays add up to what CatBoost answers."""
    some = x[:CHECKED_ROWS]
    gaps = some.copy()
    gaps[:, rows.numbers] = np.where(np.arange(len(some))[:, None] % 2 == 0, np.nan, some[:, rows.numbers])
    part = np.vstack([some, gaps, rows.of_all_codes()])
    expected = _raw(model, rows.pool(part), unit)
    assert np.allclose(found.trees.sums(part), expected, rtol=1e-9, atol=1e-9 * unit[1]), "CatBoost is read rightly"


def _raw(model: Any, pool: Any, unit: Floats, **how: int) -> Floats:
    """CatBoost's own sums: (rows, outputs)."""
    shift, scale = unit
    sums = np.asarray(model.predict(pool, prediction_type="RawFormulaVal", **how), np.float64)
    sums = np.where(np.isneginf(sums), ABSENT, sums)
    return np.asarray(sums.reshape(pool.num_row(), -1) * scale + shift)
