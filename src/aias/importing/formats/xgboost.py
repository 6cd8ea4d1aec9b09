"""XGBoost's JSON or UBJSON (`booster.save_model("model.json")`). It adds its leaves up in float32, we in float64."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np

from aias.core.arrays import Floats
from aias.core.errors import UserError, shown
from aias.core.forest import FLOAT32_MAX, Forest
from aias.core.links import sigmoid, softmax
from aias.core.task import TaskType
from aias.encoders.category import text_of
from aias.forests.xgboost import Nodes, base_of, forest_of, texts_of
from aias.importing.columns import codes_of
from aias.importing.formats.contract import (
    Description,
    Input,
    Plan,
    Shown,
    UnfitModel,
    UnreadableModel,
    Values,
    quantile_metric,
    shown_in,
)
from aias.importing.linear import AMOUNT_MAX, Weights, weights_of
from aias.importing.links import Link
from aias.importing.trees import check_forest, graph_of

__all__ = ["XGBoost"]

LINKS: Final[dict[str, tuple[TaskType, Link]]] = {
    "binary:logistic": ("binary", "sigmoid"), "binary:logitraw": ("binary", "sigmoid"),
    "multi:softprob": ("multiclass", "softmax"), "multi:softmax": ("multiclass", "softmax"),
    "reg:logistic": ("regression", "value"),
    "count:poisson": ("regression", "exp"), "reg:gamma": ("regression", "exp"), "reg:tweedie": ("regression", "exp"),
    "survival:cox": ("regression", "exp"), "survival:aft": ("regression", "exp"),
}  # fmt: skip
"""Of its objectives (src/objective, `PredTransform`); all others give the sum itself."""

RAW: Final = "binary:logitraw"
"""It is trained as `binary:logistic` is, and gives the sum; the version gives the probability."""


class XGBoost:
    title: ClassVar[str] = "XGBoost"

    def __init__(self, booster: Any, learner: dict[str, Any], library: str, shown: Shown = ()) -> None:
        boosting, self.objective = learner["gradient_booster"], learner["objective"]["name"]
        if self.objective == "binary:hinge":
            raise UnfitModel(
                "it gives labels without probabilities (`binary:hinge`)", hint="train it by `binary:logistic`"
            )
        drop = boosting.get("weight_drop")
        if drop is not None:  # of `dart`: trees with weights
            boosting = boosting["gbtree"]
        if not (boosting["model"].get("trees") or "weights" in boosting["model"]):
            raise UnfitModel("it has no trees", hint="train it for a round at least")
        task, self.link = LINKS.get(self.objective, ("regression", "identity"))
        base = base_of(learner)
        if _holds_vectors(boosting) or (task != "multiclass" and len(base) > 1):
            raise UnfitModel("it gives several numbers a row", hint="import one model a number")
        if not np.isfinite(base).all():
            raise UnreadableModel(f"its base score gives {base.tolist()}", hint="write the file again")
        self.booster, self.width = booster, int(booster.num_features())
        self.kinds = list(learner.get("feature_types") or ["q"] * self.width)
        self.inputs = _inputs(learner, boosting, self.width, shown)
        self.forest: Forest | None = None
        self.weights: Weights | None = None
        if boosting["name"] == "gblinear":
            self.weights = weights_of(boosting["model"], base, width=self.width, outputs=len(base))
        else:
            self.forest = _forest(Nodes(learner | {"gradient_booster": boosting}), drop, self.width)
        self.description = Description(
            "XGBoost", self.inputs, bool(learner.get("feature_names")), task,
            2 if task == "binary" else len(base), trees=self.forest.trees if self.forest else 0,
            notes=_notes(learner, booster.num_boosted_rounds(), self.objective), libraries={"xgboost": library},
            metric=quantile_metric(learner["objective"].get("quantile_loss_param", {}).get("quantile_alpha")),
        )  # fmt: skip

    @classmethod
    def read(cls, path: Path, shown: Shown = ()) -> "XGBoost":
        """`shown`: the columns of the rows, and the different texts that stand in each."""
        try:
            import xgboost
        except ImportError:
            raise UserError(
                "this is a model of XGBoost, which is not installed: nothing could be proved without its own answers",
                hint="pip install 'aias[xgboost]'",
            ) from None
        _check(path)
        try:
            booster = xgboost.Booster({"nthread": 1, "verbosity": 0}, model_file=bytearray(path.read_bytes()))
        except xgboost.core.XGBoostError as fault:
            raise UnreadableModel(
                f"XGBoost {xgboost.__version__} does not read it: {_first(fault)}",
                hint="write it again with the version that trained it: booster.save_model('model.json')",
            ) from None
        try:
            return cls(booster, json.loads(booster.save_raw("json"))["learner"], xgboost.__version__, shown)
        except (AssertionError, KeyError, IndexError, TypeError, ValueError) as fault:
            raise UnreadableModel(f"its trees do not fit together: {fault!r}"[:200], hint="write it again") from None

    def answer(self, values: Sequence[Values], plan: Plan) -> tuple[Floats, list[str] | None]:  # noqa: ARG002
        import xgboost

        most = AMOUNT_MAX if self.weights else FLOAT32_MAX
        x = np.clip(codes_of(self.inputs, values), -most, most).astype(np.float32)
        data = xgboost.DMatrix(x, feature_names=self.booster.feature_names, feature_types=self.kinds, nthread=1)
        if self.link == "softmax":  # `multi:softmax` itself tells the label only
            sums = self.booster.predict(data, output_margin=True, strict_shape=True).astype(np.float64)
            return softmax(sums), None
        found = self.booster.predict(data, strict_shape=True).astype(np.float64).reshape(len(x), -1)
        found = sigmoid(found) if self.objective == RAW else found  # sums of float32 do not overflow it
        return np.hstack([1 - found, found]) if self.link == "sigmoid" else found, None

    def write(self, plan: Plan) -> bytes:
        if self.weights:
            return self.weights.graph(self.inputs, plan, self.link)
        assert self.forest is not None, "trees, where there are no weights"
        return graph_of(self.inputs, plan, self.forest, self.link, down=True)


def _forest(nodes: Nodes, drop: Sequence[float] | None, width: int) -> Forest:
    """`drop`: the weights of the trees, of `dart`."""
    if drop is not None:
        nodes.value = np.where(nodes.left < 0, nodes.value * np.repeat(np.array(drop), nodes.counts), nodes.value)
    forest = forest_of(nodes, np.zeros(width, np.int64))
    check_forest(forest, width)
    return forest


def _holds_vectors(boosting: dict[str, Any]) -> bool:
    """Whether a leaf of any tree holds several values."""
    trees = boosting["model"].get("trees", ())
    return any(int(each["tree_param"].get("size_leaf_vector", 1)) > 1 for each in trees)


def _check(path: Path) -> None:
    """JSON is parsed here first: XGBoost's own parser follows any depth until its stack is full."""
    raw = path.read_bytes()
    if raw[:4] == b"binf":
        raise UnreadableModel(
            "it is in XGBoost's old binary form, which XGBoost reads no more since 3.1",
            hint="load it with xgboost below 3.1 and write booster.save_model('model.json')",
        )
    if raw[1:2] in b'\n\r\t "' and raw[:1] == b"{":
        try:
            found = json.loads(raw)
        except (ValueError, RecursionError) as fault:
            said = "nested too deeply" if isinstance(fault, RecursionError) else str(fault)
            raise UnreadableModel(f"the file is no JSON: {said}", hint="copy it again, or write it again") from None
        if not isinstance(found.get("learner"), dict):
            raise UnreadableModel(
                f"it is JSON, and no model of XGBoost or CatBoost: it holds {', '.join(map(shown, list(found)[:5]))}",
                hint="booster.save_model('model.json') writes XGBoost's, model.save_model('model.json', format='json') "
                "CatBoost's",
            )


def _inputs(learner: dict[str, Any], boosting: dict[str, Any], width: int, shown: Shown) -> tuple[Input, ...]:
    names = learner.get("feature_names") or [f"f{i}" for i in range(width)]
    if len(names) != width:
        raise UnreadableModel(f"it names {len(names)} features and has {width}", hint="write the file again")
    lists = boosting["model"].get("cats", {}).get("enc", [])
    named = bool(learner.get("feature_names"))
    return tuple(
        _input(name, lists[i] if i < len(lists) else {}, shown_in(shown, name, i, named=named))
        for i, name in enumerate(names)
    )


def _input(name: str, known: dict[str, Any], rows: Sequence[Sequence[str]]) -> Input:
    """Categories are texts, one after another in bytes, or numbers. Raises `UnfitModel`."""
    values, offsets = known.get("values") or [], known.get("offsets") or []
    if not values:
        return Input(name)
    if not offsets:
        return Input(name, "category", tuple(map(text_of, values)))
    texts = texts_of(bytes(each % 256 for each in values), offsets, [way for ways in rows for way in ways])
    if texts is None:
        raise UnfitModel(
            f"of the categories of `{name}` the file holds a part: XGBoost cuts them off where they are not ASCII",
            hint="give rows in which each of them occurs or, where several are as long, train on a Polars table",
        )
    return Input(name, "category", tuple(map(text_of, texts)))


def _notes(learner: dict[str, Any], rounds: int, objective: str) -> tuple[str, ...]:
    notes = []
    best = learner.get("attributes", {}).get("best_iteration")
    if best is not None and best.isdigit() and int(best) + 1 < rounds:
        notes.append(
            f"the file says that round {int(best)} was the best of {rounds}: all of them are taken, as "
            "`Booster.predict` does; `booster[: best + 1].save_model(...)` writes fewer"
        )
    if objective == RAW:
        notes.append(f"it gives sums (`{RAW}`): the version gives the probabilities that these are logits of")
    if objective.startswith("rank:"):
        notes.append("it ranks: its numbers say which of some rows comes first, and nothing by themselves")
    return tuple(notes)


def _first(fault: Exception) -> str:
    """What it says, without the time, and without the stack, which tells where things stand on this machine."""
    said, *_ = re.split(r"Stack trace:|\[bt\]", str(fault))
    return " ".join(re.sub(r"^\[[0-9:]+\] |\S*/", "", line.strip()) for line in said.splitlines()).strip()[:200]
