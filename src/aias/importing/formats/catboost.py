"""CatBoost's binary form or JSON (`model.save_model("model.cbm")`): trees in float64, symmetric or, of numbers, not.

Of categories the file holds hashes, and no values: those that count are the ones that stand in the rows given, in the
spelling that it knows. CatBoost is asked what each of them answers, one hot or by its statistics; a table of that
stands in the graph as a column more.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np

from aias.core.arrays import Floats, Ints
from aias.core.errors import UserError
from aias.core.forest import FLOAT32_MAX, Forest
from aias.core.graph import GraphWriter
from aias.core.symmetric import SymmetricTrees
from aias.core.task import TaskType
from aias.encoders.category import text_of
from aias.encoders.rows import Layout
from aias.forests.catboost import Places, description, splits_of, tables_of, trees_of
from aias.forests.uneven import reads_categories, uneven_of
from aias.graph.compile import compile_graph
from aias.importing.columns import MISSING, UNSEEN
from aias.importing.formats.contract import (
    Description,
    Input,
    Plan,
    Shown,
    UnfitModel,
    UnreadableModel,
    Values,
    apart,
    quantile_metric,
    shown_in,
)
from aias.importing.links import Link, write_link
from aias.importing.trees import check_forest

__all__ = ["CatBoost"]

LINKS: Final[dict[str, tuple[TaskType, Link]]] = {
    "Logloss": ("binary", "sigmoid"), "CrossEntropy": ("binary", "sigmoid"), "MultiClass": ("multiclass", "softmax"),
    "Focal": ("binary", "sigmoid"), "MultiClassOneVsAll": ("multiclass", "each"), "Poisson": ("regression", "exp"),
    "Tweedie": ("regression", "exp"),
}  # fmt: skip
"""Of its losses; all others give the sum itself."""

WRITTEN: Final = ("nan", "None", "<NA>")
"""What pandas makes of a missing value where a column becomes texts: CatBoost takes no missing category."""

BOOLEANS: Final = {"true": ("True", "1"), "false": ("False", "0")}
"""How they were written where they became texts; CatBoost itself takes them for 1 and 0."""

EVEN: Final = 0.5

NO_TABLES: Final = (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))


class CatBoost:
    title: ClassVar[str] = "CatBoost"

    def __init__(self, model: Any, library: str, shown: Shown = ()) -> None:
        found = description(model)
        features = found["features_info"]
        _check(found, features)
        loss, _, how = str(model.get_all_params().get("loss_function", "")).partition(":")
        task, self.link = LINKS.get(loss, ("regression", "identity"))
        outputs = len(found["scale_and_bias"][1])
        if task == "regression" and outputs > 1:
            raise UnfitModel(f"it gives {outputs} numbers a row, by `{loss}`", hint="import one model a number")
        places = {kind: _places(features.get(f"{kind}_features", ())) for kind in ("float", "categorical")}
        width = 1 + int(max(each.max(initial=0) for each in places.values()))
        names = [str(each) for each in model.feature_names_]
        named = names != [str(i) for i in range(width)]
        self.model, self.names, self.categories = model, names, places["categorical"]
        self.known: dict[int, int] = {}
        held = {
            at: self._spelled(at, shown_in(shown, names[at], at, named=named)) for at in self.categories.tolist()
        }  # fmt: skip
        self.inputs = tuple(
            Input(name, "category", *held[at]) if at in held else Input(name) for at, name in enumerate(names)
        )
        even = "oblivious_trees" in found
        self.trees = self._trees(found, features, places["float"], width) if even else None
        self.forest = self.trees.forest() if self.trees else uneven_of(found, places["float"])
        check_forest(self.forest, width + (self.trees.extra_width if self.trees else 0))
        classes = tuple(text_of(each) for each in model.classes_) if task != "regression" else ()
        threshold = _threshold(model) if task == "binary" else EVEN
        self.labelled = threshold != EVEN and len(classes) == 2
        said = f"it answers `{classes[1]}` where that has a probability above {threshold:g}" if self.labelled else ""
        strange = [at for at in _read(features) if not self.known.get(at, 1) and self.inputs[at].categories]
        self.description = Description(
            "CatBoost", self.inputs, named, task, 2 if task == "binary" else outputs, classes,
            labels=self.labelled, trees=len(found["oblivious_trees" if even else "trees"]),
            notes=_notes(self.inputs, said, [self.inputs[at] for at in strange]), libraries={"catboost": library},
            label_weights=(threshold, 1 - threshold) if self.labelled else (),
            metric=quantile_metric(how.partition("alpha=")[2].partition(";")[0] or "0.5") if loss == "Quantile" else "",
        )  # fmt: skip

    @classmethod
    def read(cls, path: Path, shown: Shown = ()) -> "CatBoost":
        """`shown`: the columns of the rows, and the different texts that stand in each."""
        try:
            import catboost
        except ImportError:
            raise UserError(
                "this is a model of CatBoost, which is not installed: nothing could be proved without its own answers",
                hint="pip install 'aias[catboost]'",
            ) from None
        model, kind = catboost.CatBoost(), "cbm" if path.read_bytes()[:4] == b"CBM1" else "json"
        try:
            model.load_model(str(path), format=kind)
        except catboost.CatBoostError as fault:
            raise UnreadableModel(
                f"CatBoost {catboost.__version__} does not read it: {re.sub(r'[^ ]*/', '', str(fault))[:200]}",
                hint="write it again with model.save_model('model.cbm')",
            ) from None
        try:
            return cls(model, catboost.__version__, shown)
        except catboost.CatBoostError as fault:
            for kind in ("text", "embedding"):  # of which it writes no JSON
                if f"{kind} features" in str(fault):
                    raise _unread(kind) from None
            raise

    def answer(self, values: Sequence[Values], plan: Plan) -> tuple[Floats, list[str] | None]:
        kind = "Exponent" if self.link == "exp" else "Probability" if self.link != "identity" else "RawFormulaVal"
        pool = self._pool(values)
        found = np.asarray(self.model.predict(pool, prediction_type=kind, thread_count=1), np.float64)
        labels = None
        if self.labelled:
            own = np.ravel(self.model.predict(pool, prediction_type="Class", thread_count=1))
            labels = [plan.classes[int(each)] for each in own == self.model.classes_[1]]
        return found.reshape(len(values[0]), -1), labels

    def write(self, plan: Plan) -> bytes:
        layout = Layout(len(self.inputs), tuple(range(len(self.inputs))), (), (), 0, 0)
        written = _Written(self.trees, self.forest, self.link)
        return compile_graph(written, layout, classes=plan.classes, label_weights=plan.label_weights)

    def _spelled(self, at: int, known: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], str, tuple[str, ...]]:
        """Each category of a column in the spelling that the file has a hash of: what it answers as it does an unseen
        one, it does not know; the word for a missing value, where it knows one only; and each category as rows have it.
        Raises `UnfitModel` where it tells two apart that are one category here."""
        texts = [UNSEEN, MISSING, *WRITTEN, *(way for given in known for way in _ways(given))]
        rows: list[Values] = [np.zeros(len(texts)) for _ in self.names]
        for place in self.categories.tolist():
            rows[place] = texts if place == at else [UNSEEN] * len(texts)
        leaves = [each.tobytes() for each in np.asarray(self.model.calc_leaf_indexes(self._pool(rows)))]
        answers = dict(zip(texts, leaves, strict=True))
        self.known[at] = 0
        none = {MISSING: None} | dict.fromkeys(WRITTEN)
        found, written = [], list[str]()
        for given in known:
            told = {answers[way]: way for way in reversed(_ways(given)) if answers[way] != leaves[0]}
            if given[0] == MISSING:  # who was trained on such a word knows it as a category
                found += [way for way in given[1:] if answers[way] != leaves[0]]
                none |= dict.fromkeys(given[1:])
                written += found[len(written) :]
                continue
            if len(told) > 1 or len({answers[way] for way in given[1:]}) > 1:
                raise apart(given[0], self.names[at])
            found.append(next(iter(told.values()), given[0]))
            written.append(given[0])
            self.known[at] += len(told)
        words = [way for way in none if answers[way] != leaves[0]]
        return tuple(found), words[0] if len(words) == 1 else MISSING, tuple(written)

    def _trees(self, found: Any, features: Any, numbers: Ints, width: int) -> SymmetricTrees:
        places: Places = {}
        tables = NO_TABLES
        if len(self.categories):
            sizes = np.array([2 + len(self.inputs[at].categories) for at in self.categories], np.int64)
            codes = np.arange(sizes.max())
            rows: list[Values] = [np.zeros(len(codes)) for _ in self.inputs]
            for at, size in zip(self.categories, sizes, strict=True):
                spelled = (self.inputs[at].missing, UNSEEN, *self.inputs[at].categories)
                rows[at] = [spelled[min(code, size - 1)] for code in codes]
            leaf = np.asarray(self.model.calc_leaf_indexes(self._pool(rows)))  # (codes, trees)
            places, tables = tables_of(
                features, splits_of(found), leaf, categories=self.categories, sizes=sizes, width=width
            )
        return trees_of(found, numbers, unit=np.array([0.0, 1.0]), places=places, tables=tables)

    def _pool(self, values: Sequence[Values]) -> Any:
        """Of numbers alone the one form of rows that needs no pandas."""
        import catboost

        columns = [
            each if isinstance(each, list) else np.clip(each, -FLOAT32_MAX, FLOAT32_MAX).astype(np.float32)
            for each in values
        ]
        if not len(self.categories):
            x = np.ascontiguousarray(np.column_stack(columns))
            return catboost.Pool(catboost.FeaturesData(num_feature_data=x, num_feature_names=self.names))
        held = np.empty((len(columns[0]), len(columns)), object)
        for at, column in enumerate(columns):
            held[:, at] = column
        return catboost.Pool(held, cat_features=self.categories.tolist(), feature_names=self.names)


@dataclass(frozen=True, slots=True, eq=False)
class _Written:
    trees: SymmetricTrees | None
    forest: Forest
    link: Link

    def export(self, graph: GraphWriter) -> str:
        x = graph.columns
        if self.trees is not None and self.trees.extra_width:
            x = graph.op("Concat", x, self.trees.write_extra(graph, x), axis=1)
        return write_link(graph, self.forest.write(graph, x), self.link)


def _check(found: Any, features: Any) -> None:
    """Raises `UnfitModel`."""
    if "oblivious_trees" not in found and reads_categories(found):
        raise UnfitModel(
            "its trees read categories and are not symmetric (`grow_policy`)",
            hint="train it with SymmetricTree, the usual, or on numbers alone",
        )
    if features.get("embedding_features"):
        raise _unread("embedding")
    if any(len(each["elements"]) != 1 or "cat_feature_index" not in each["elements"][0]
           for each in features.get("ctrs", ())):  # fmt: skip
        raise UnfitModel(
            "its trees read several categories together (`max_ctr_complexity`), of which there are too many to ask for",
            hint="train it with max_ctr_complexity=1, or `aias train ... --learner catboost` on the same rows",
        )
    if any(each.get("nan_value_treatment") == "AsTrue" for each in features.get("float_features", ())):
        raise UnfitModel("it takes missing values for the largest (`nan_mode=Max`)", hint="train with nan_mode=Min")


def _threshold(model: Any) -> float:
    """The probability of the second class above which CatBoost answers it (`set_probability_threshold`)."""
    said = model.get_metadata().get("binclass_probability_threshold") or EVEN
    try:
        found = float(said)
    except ValueError:
        found = np.nan
    if not 0 <= found <= 1:
        raise UnreadableModel(f"its threshold of a probability is {said!r}"[:100], hint="write the file again")
    return found


def _unread(kind: str) -> UnfitModel:
    return UnfitModel(
        f"it reads {kind} features, of which CatBoost keeps no values",
        hint="train on numbers and categories, or `aias train` on the same rows",
    )


def _places(features: Any) -> Ints:
    return np.array([int(each["flat_feature_index"]) for each in features], np.int64)


def _ways(given: Sequence[str]) -> list[str]:
    """How a category may have been written before training: rows are read without spaces around, and `True` as `true`;
    whole amounts are categories of pandas in two ways."""
    text = given[0]
    more = BOOLEANS.get(text.lower(), (f"{text}.0",) if text.lstrip("-").isdecimal() else ())
    spaced = (around.format(way) for around in (" {}", "{} ", " {} ") for way in given)
    return list(dict.fromkeys([*given, *more, *spaced, *_moments(text)]))


def _moments(text: str) -> list[str]:
    """How pandas writes a time that is written as ISO 8601 has it here."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT[0-9:.]+", text):
        return []
    return [text.replace("T", " "), *([text[:10]] if text.endswith("T00:00:00") else [])]


def _strange(each: Input) -> str:
    said = f"it knows none of the {len(each.categories)} values of `{each.name}` in the rows"
    return f"{said}: are they written as they were in training?"


def _read(features: Any) -> list[int]:
    """The categories that its trees ask for, by their places."""
    held = features.get("categorical_features", ())
    asked = {element["cat_feature_index"] for each in features.get("ctrs", ()) for element in each["elements"]}
    return [int(each["flat_feature_index"]) for each in held if each.get("values") or each["feature_index"] in asked]


def _notes(inputs: Sequence[Input], said: str, strange: Sequence[Input]) -> tuple[str, ...]:
    names = [f"{len(each.categories):,} of `{each.name}`" for each in inputs if each.kind == "category"]
    if not names:
        return (said,) if said else ()
    told = ", ".join(names[:8])
    words = [f"of `{each.name}` as {each.missing!r}" for each in inputs if each.missing]
    return (
        f"of categories the file holds hashes only: those in the rows count ({told}), others as never seen",
        *([said] if said else []),
        *(_strange(each) for each in strange),
        *([f"it was trained on a word for a missing value, which counts {', '.join(words[:8])}"] if words else []),
    )
