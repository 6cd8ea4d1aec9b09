"""Gradient-boosted trees by LightGBM.

The graph holds thresholds, leaves and sets of categories in float64, as LightGBM does, and adds the trees up in the
same order: the scores are equal to the last bit.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Final

import numpy as np

from aias.core.forest import LESS_OR_EQUAL, MEMBER, Forest
from aias.core.graph import GraphWriter
from aias.core.task import Task
from aias.encoders.contract import Floats, Ints
from aias.learners.boosting import CODES_MAX, LINKS, Rounds, boost, sets_of, write_answers
from aias.learners.contract import Examples, Fit, Fitted, State, halves, state_text, text_state

__all__ = ["BoostedTrees"]

ROUNDS_MAX: Final = 3_000

OURS: Final = ("rounds", "codes_max")
"""Settings that LightGBM does not know. `codes_max`: as `boosting.CODES_MAX`."""


OBJECTIVES: Final = {
    "mae": "regression_l1", "median_absolute_error": "regression_l1", "mape": "mape", "quantile_loss": "quantile"
}  # fmt: skip
"""Of LightGBM, for metrics that the mean does not answer best."""

HIDDEN: Final = ("sklearn", "pandas", "pyarrow", "matplotlib", "graphviz", "dask", "joblib", "psutil")
"""What LightGBM imports when it is there, a second or more, and does not need here."""


class Trees:
    """`booster` may hold more rounds than `settings["rounds"]`, those that were tried after the best one.

    `threads`: to answer with; 0 for all there are.
    """

    def __init__(
        self, booster: Any, task: Task, settings: dict[str, Any], *, threads: int = 0, judged: Floats | None = None
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
        return _forest(self._text(), len(self.task.classes) if self.task.type == "multiclass" else 1)

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

    @staticmethod
    def fit(train: Examples, valid: Examples | None, how: Fit) -> Fitted:
        lightgbm, settings = _lightgbm(), _settings(how, len(train.y))
        data = lightgbm.Dataset(
            np.ascontiguousarray(train.x), train.y, weight=train.weight,
            categorical_feature=sets_of(how, most=how.settings.get("codes_max", CODES_MAX)), params=settings,
        )  # fmt: skip
        judging = [  # without the settings LightGBM would take all threads from here on, for everything
            lightgbm.Dataset(half.x, half.y, weight=half.weight, reference=data, params=settings)
            for half in (halves(valid) if valid is not None else [])
        ]
        growing = _Growing(_booster(settings, data, judging, how.start), valid, how)
        begun = growing.booster.current_iteration()  # with a round of its own, where it goes on from others
        most = int(how.settings.get("rounds", ROUNDS_MAX))
        rounds = Rounds(BoostedTrees.name, how, len(train.y), valid, most, done=max(begun - 1, 0))
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
        assert self.valid is not None, "rows that judge are asked for"
        return self.trees(self.booster.current_iteration()).scores(self.valid.x)

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


@cache
def _lightgbm() -> Any:
    """LightGBM without the libraries that it only serves: 0.3 s instead of 1.4 s.

    Where something was hidden, the module is ours alone: who imports LightGBM later gets one that knows them.
    """
    if "lightgbm" in sys.modules:
        return sys.modules["lightgbm"]
    hidden = [name for name in HIDDEN if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        import lightgbm
    finally:
        for name in hidden:
            del sys.modules[name]
    for name in [name for name in sys.modules if name.split(".")[0] == "lightgbm"]:
        del sys.modules[name]
    return lightgbm


def _forest(text: str, outputs: int) -> Forest:
    """LightGBM's own text of a model, its trees in turn for each output. Fields of all trees are read at once."""
    found = _fields(text[: text.index("\nend of trees")])
    leaves = found["num_leaves"].astype(np.int64)  # (trees,)
    lone = leaves == 1
    if lone.any():
        # A tree that is one leaf has no nodes; it gets one, whose children are both that leaf.
        at = (np.cumsum(leaves - 1) - (leaves - 1))[lone]
        alone = {"threshold": 0, "split_feature": 0, "decision_type": 0, "left_child": -1, "right_child": -1}
        found |= {name: np.insert(found[name], at, value) for name, value in alone.items()}
    nodes = np.maximum(leaves - 1, 1)
    kind = found["decision_type"].astype(np.int64)
    categorical = kind & _CATEGORICAL > 0
    assert not (kind >> 2 & 3 == _MISSING_IS_ZERO).any(), "zeros are never missing here"
    sets = _sets(found, nodes, categorical)
    first_node, first_leaf = _starts(nodes), _starts(leaves)
    left, left_is_leaf = _child(found["left_child"], np.repeat(first_node, nodes), np.repeat(first_leaf, nodes))
    right, right_is_leaf = _child(found["right_child"], np.repeat(first_node, nodes), np.repeat(first_leaf, nodes))
    threshold = np.where(categorical, 0.0, found["threshold"])
    # Where training had no missing values, LightGBM reads NaN as 0; and a set never holds NaN.
    missing_left = np.where(kind >> 2 & 3 == _MISSING_IS_NAN, kind & _DEFAULT_LEFT > 0, threshold >= 0)
    return Forest(
        found["split_feature"].astype(np.int64), threshold,
        np.where(categorical, MEMBER, LESS_OR_EQUAL).astype(np.uint8), missing_left & ~categorical,
        left, right, left_is_leaf, right_is_leaf,
        found["leaf_value"], np.repeat(np.arange(len(leaves)) % outputs, leaves), first_node, *sets, np.zeros(outputs),
    )  # fmt: skip


_FIELDS: Final = (
    "num_leaves", "num_cat", "split_feature", "threshold", "decision_type", "left_child", "right_child", "leaf_value",
    "cat_boundaries", "cat_threshold",
)  # fmt: skip

_CATEGORICAL, _DEFAULT_LEFT = 1, 2
"""Bits of `decision_type`; the two above them are the kind of missing values (LightGBM, include/LightGBM/tree.h)."""
_MISSING_IS_ZERO, _MISSING_IS_NAN = 1, 2


def _fields(trees: str) -> dict[str, Floats]:
    """The numbers of all trees, one after another. Float64 holds every one exactly: whole ones are below 2^32."""
    lines: dict[str, list[str]] = {name: [] for name in _FIELDS}
    for line in trees.split("\n"):
        name, _, values = line.partition("=")
        if values and name in lines:
            lines[name].append(values)
    return {name: np.fromstring(" ".join(values), sep=" ") for name, values in lines.items()}


def _starts(sizes: Ints) -> Ints:
    return np.cumsum(sizes) - sizes


def _child(child: Floats, first_node: Ints, first_leaf: Ints) -> tuple[Ints, Any]:
    """LightGBM's leaf i is child -1 - i."""
    index = child.astype(np.int64)
    return np.where(index < 0, first_leaf - 1 - index, first_node + index), index < 0


def _sets(found: Mapping[str, Floats], nodes: Ints, categorical: Any) -> tuple[Ints, Floats]:
    """The ends of the nodes' sets, and their members, from bitsets of 32-bit words.

    A categorical node's threshold is the number of its bitset within the tree.
    """
    counts = found["num_cat"].astype(np.int64)  # (trees,) bitsets
    if not counts.any():
        return np.zeros(len(categorical), np.int64), np.zeros(0)
    have = counts[counts > 0] + 1  # boundaries are written by trees that have sets
    bounds = found["cat_boundaries"].astype(np.int64)
    words = np.delete(np.diff(bounds, append=0), np.cumsum(have) - 1)  # (bitsets,)
    bits = np.unpackbits(found["cat_threshold"].astype("<u4").view(np.uint8), bitorder="little")
    word, bit = np.nonzero(bits.reshape(-1, 32))
    bitset_of_word = np.repeat(np.arange(len(words)), words)
    member = (word - _starts(words)[bitset_of_word[word]]) * 32 + bit
    # Bitsets stand in the order in which the tree was grown, sets in the order of nodes.
    tree_of_node = np.repeat(np.arange(len(nodes)), nodes)
    bitset = (_starts(counts)[tree_of_node] + np.where(categorical, found["threshold"], 0).astype(np.int64))[
        categorical
    ]
    node_of_bitset = np.empty(len(words), np.int64)
    node_of_bitset[bitset] = np.flatnonzero(categorical)
    node = node_of_bitset[bitset_of_word[word]]
    sizes = np.bincount(node, minlength=len(categorical))
    return np.cumsum(sizes), member[np.argsort(node, kind="stable")].astype(np.float64)
