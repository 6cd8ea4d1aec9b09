"""LightGBM's text (`booster.save_model("model.txt")`): every tree in float64, as LightGBM has it."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np

from aias.core.arrays import Floats
from aias.core.forest import MEMBER, Forest
from aias.core.task import TaskType
from aias.encoders.category import text_of
from aias.forests.lightgbm import forest_of, zeros_are_missing
from aias.importing.columns import codes_of
from aias.importing.formats.contract import (
    Description,
    Input,
    Plan,
    UnfitModel,
    UnreadableModel,
    Values,
    quantile_metric,
)
from aias.importing.linear_leaves import LinearLeaves, linear_leaves
from aias.importing.links import Link
from aias.importing.trees import check_forest, graph_of

__all__ = ["LightGBM"]

LINKS: Final[dict[str, tuple[TaskType, Link]]] = {
    "binary": ("binary", "sigmoid"), "multiclass": ("multiclass", "softmax"), "softmax": ("multiclass", "softmax"),
    "multiclassova": ("multiclass", "each"), "cross_entropy": ("regression", "value"),
    "cross_entropy_lambda": ("regression", "softplus"), "poisson": ("regression", "exp"),
    "gamma": ("regression", "exp"), "tweedie": ("regression", "exp"),
}  # fmt: skip
"""Of its objectives (src/objective/*.hpp, `ConvertOutput`); all others give the sum itself."""

INVENTED: Final = re.compile(r"Column_[0-9]+")


class LightGBM:
    title: ClassVar[str] = "LightGBM"

    def __init__(self, text: str) -> None:
        head = dict(line.partition("=")[::2] for line in text.partition("\nTree=")[0].splitlines())
        self.outputs = _whole(head, "num_tree_per_iteration", 1, 10_000)
        names = head.get("feature_names", "").split(" ")
        width = _whole(head, "max_feature_idx", 0, 1_000_000) + 1
        if len(names) != width:
            raise UnreadableModel(f"the file names {len(names)} features and has {width}", hint="write it again")
        objective = head.get("objective", "custom").split(" ")
        task, self.link = LINKS.get(objective[0], ("regression", "identity"))
        if objective[-1] == "sqrt":
            self.link = "square"
        if task == "regression" and self.outputs > 1:
            raise UnfitModel(
                f"it gives {self.outputs} numbers a row, by `{objective[0]}`", hint="import one model a number"
            )
        self.forest, self.linear = _forest(text, self.outputs)
        check_forest(self.forest, width)
        if self.linear and not 0 <= self.linear.columns.min() <= self.linear.columns.max() < width:
            raise UnreadableModel("a leaf asks for a column that is not there", hint="write the file again")
        self.zeros = zeros_are_missing(text)
        rounds = max(1, self.forest.trees // self.outputs)
        sigmoid = next((float(each[8:]) for each in objective if each.startswith("sigmoid:")), 1.0)
        scale = (sigmoid if self.link in {"sigmoid", "each"} else 1.0) / (rounds if "average_output" in head else 1)
        if scale != 1:
            self.forest = self.forest.scaled(scale)
            self.linear = self.linear and replace(self.linear, scale=scale)
        self.inputs = _inputs(names, text, self.forest)
        import lightgbm

        self.booster = lightgbm.Booster(model_str=text)
        self.description = Description(
            "LightGBM", self.inputs, not all(map(INVENTED.fullmatch, names)), task,
            2 if task == "binary" else self.outputs, trees=self.forest.trees, notes=_notes(objective[0], task),
            libraries={"lightgbm": lightgbm.__version__}, metric=_metric(objective[0], text),
        )  # fmt: skip

    @classmethod
    def read(cls, path: Path) -> "LightGBM":
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise UnreadableModel("it begins as LightGBM's text and is none", hint="copy the file again") from None
        return cls(text)

    def answer(self, values: Sequence[Values], plan: Plan) -> tuple[Floats, list[str] | None]:  # noqa: ARG002
        found = np.asarray(self.booster.predict(codes_of(self.inputs, values), num_threads=1), np.float64)
        if self.link == "sigmoid":
            return np.column_stack([1 - found, found]), None
        return found.reshape(-1, self.outputs), None

    def write(self, plan: Plan) -> bytes:
        return graph_of(self.inputs, plan, self.forest, self.link, zeros=self.zeros, linear=self.linear)


def _forest(text: str, outputs: int) -> tuple[Forest, LinearLeaves | None]:
    if "\nend of trees" not in text:
        raise UnreadableModel("the file ends in the middle of its trees", hint="copy it again, or write it again")
    try:
        return forest_of(text, outputs), linear_leaves(text, outputs)
    except (AssertionError, ValueError, IndexError, KeyError, OverflowError) as fault:
        raise UnreadableModel(f"its trees do not fit together: {fault!r}"[:200], hint="write the file again") from None


def _inputs(names: Sequence[str], text: str, forest: Forest) -> tuple[Input, ...]:
    """Categories of pandas stand in the file in the order of the columns that sets may read."""
    line = re.search(r"^pandas_categorical:(.*)$", text, re.MULTILINE)
    lists: Any = json.loads(line[1]) if line else None
    if not lists:
        return tuple(Input(name) for name in names)
    infos = re.search(r"^feature_infos=(.*)$", text, re.MULTILINE)
    kinds = (infos[1] if infos else "").split(" ")
    # A categorical column's info is its codes, `1:0:2`, a number's its range, `[0:1]`; `none` is a constant.
    places = [place for place, info in enumerate(kinds) if info != "none" and not info.startswith("[")]
    if len(places) != len(lists):
        places = sorted({*places, *(np.unique(forest.feature[forest.mode == MEMBER]).tolist())})
    if len(places) != len(lists) or len(kinds) != len(names):
        raise UnfitModel(
            f"{len(lists)} columns were categories of pandas, and the file does not say which",
            hint="train on numbers or codes, or remove columns that never change",
        )
    known = dict(zip(places, lists, strict=True))
    return tuple(
        Input(name, "category", tuple(map(text_of, known[place]))) if place in known else Input(name)
        for place, name in enumerate(names)
    )


def _whole(head: dict[str, str], name: str, least: int, most: int) -> int:
    try:
        found = int(head[name])
    except (KeyError, ValueError):
        raise UnreadableModel(f"the file does not say its `{name}`", hint="write it again") from None
    if not least <= found <= most:
        raise UnreadableModel(f"its `{name}` is {found}", hint="write it again")
    return found


def _metric(objective: str, text: str) -> str:
    alpha = re.search(r"^\[alpha: (\S+)\]$", text, re.MULTILINE)
    return quantile_metric(alpha[1]) if objective == "quantile" and alpha else ""


def _notes(objective: str, task: str) -> tuple[str, ...]:
    if objective in {"lambdarank", "rank_xendcg"}:
        return ("it ranks: its numbers say which of some rows comes first, and nothing by themselves",)
    if task == "regression" and objective in {"custom", "none"}:
        return ("it was trained by an objective of its own: what it gives are the sums of its trees",)
    return ()
