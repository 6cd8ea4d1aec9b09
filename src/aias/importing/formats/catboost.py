"""CatBoost's binary form or JSON (`model.save_model("model.cbm")`), of numbers: symmetric trees in float64."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np

from aias.core.errors import UserError
from aias.core.task import TaskType
from aias.encoders.category import text_of
from aias.forests.catboost import FLOAT32_MAX, description, trees_of
from aias.importing.columns import codes_of
from aias.importing.formats.contract import Description, Floats, Input, Plan, UnfitModel, UnreadableModel, Values
from aias.importing.links import Link
from aias.importing.trees import check_forest, graph_of

__all__ = ["CatBoost"]

LINKS: Final[dict[str, tuple[TaskType, Link]]] = {
    "Logloss": ("binary", "sigmoid"), "CrossEntropy": ("binary", "sigmoid"), "MultiClass": ("multiclass", "softmax"),
    "MultiClassOneVsAll": ("multiclass", "each"), "Poisson": ("regression", "exp"), "Tweedie": ("regression", "exp"),
}  # fmt: skip
"""Of its losses; all others give the sum itself."""

NO_TABLES: Final = (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))


class CatBoost:
    title: ClassVar[str] = "CatBoost"

    def __init__(self, model: Any, library: str) -> None:
        found = description(model)
        features = found["features_info"]
        if "oblivious_trees" not in found:
            raise UnfitModel(
                "its trees are not symmetric (`grow_policy`)", hint="train it with SymmetricTree, the usual"
            )
        for kind in ("categorical", "text", "embedding"):
            if features.get(f"{kind}_features"):
                raise UnfitModel(
                    f"it reads {kind} features, of which CatBoost keeps hashes and no values",
                    hint="train on numbers, or `aias train ... --learner catboost` on the same rows",
                )
        numbers = features.get("float_features", ())
        if any(each.get("nan_value_treatment") == "AsTrue" for each in numbers):
            raise UnfitModel("it takes missing values for the largest (`nan_mode=Max`)", hint="train with nan_mode=Min")
        loss = str(model.get_all_params().get("loss_function", "")).partition(":")[0]
        task, self.link = LINKS.get(loss, ("regression", "identity"))
        outputs = len(found["scale_and_bias"][1])
        if task == "regression" and outputs > 1:
            raise UnfitModel(f"it gives {outputs} numbers a row, by `{loss}`", hint="import one model a number")
        width = 1 + max(int(each["flat_feature_index"]) for each in numbers)
        places = np.array([each["flat_feature_index"] for each in numbers], np.int64)
        self.model, self.loss = model, loss
        trees = trees_of(found, places, unit=np.array([0.0, 1.0]), places={}, tables=NO_TABLES)
        self.forest = trees.forest()
        check_forest(self.forest, width)
        names = [str(each) for each in model.feature_names_]
        self.inputs = tuple(Input(name) for name in names)
        classes = tuple(text_of(each) for each in model.classes_) if task != "regression" else ()
        self.description = Description(
            "CatBoost", self.inputs, names != [str(i) for i in range(width)], task,
            2 if task == "binary" else outputs, classes, trees=len(found["oblivious_trees"]),
            libraries={"catboost": library},
        )  # fmt: skip

    @classmethod
    def read(cls, path: Path) -> "CatBoost":
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
        return cls(model, catboost.__version__)

    def answer(self, values: Sequence[Values], plan: Plan) -> tuple[Floats, list[str] | None]:  # noqa: ARG002
        x = np.clip(codes_of(self.inputs, values), -FLOAT32_MAX, FLOAT32_MAX).astype(np.float32)
        kind = "Exponent" if self.link == "exp" else "Probability" if self.link != "identity" else "RawFormulaVal"
        found = np.asarray(self.model.predict(self._pool(x), prediction_type=kind, thread_count=1), np.float64)
        return found.reshape(len(x), -1), None

    def _pool(self, x: Any) -> Any:
        """The one form of rows that needs no pandas."""
        import catboost

        names = [each.name for each in self.inputs]
        return catboost.Pool(catboost.FeaturesData(num_feature_data=x, num_feature_names=names))

    def write(self, plan: Plan) -> bytes:
        return graph_of(self.inputs, plan, self.forest, self.link)
