"""`Classifier` and `Regressor`: estimators for scikit-learn's pipelines, searches and cross-validation.

They train as `aias.train` does and predict with the same graph, but publish nothing.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    assert_all_finite,
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from aias.artifact.manifest import read_manifest
from aias.core.errors import NotFound, UserError
from aias.core.names import listed
from aias.core.schema import Field, Schema
from aias.core.task import is_metric, tasks_of
from aias.data.dataset import Dataset
from aias.data.read import read
from aias.runtimes.onnxruntime import OnnxRuntime
from aias.training.train import Recipe
from aias.training.train import train as fit_model

TARGET = "__target__"


class _Estimator(BaseEstimator):
    """Shared by both."""

    def __init__(
        self,
        *,
        time_limit: float = 60.0,
        metric: str | None = None,
        learners: tuple[str, ...] = (),
        random_state: int | None = 0,
    ) -> None:
        self.time_limit = time_limit
        self.metric = metric
        self.learners = learners
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        runtime = state.pop("_runtime", None)
        if runtime is not None:
            state["_manifest"] = runtime.manifest.as_bytes()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        manifest = state.pop("_manifest", None)
        super().__setstate__(state)
        if manifest is not None:
            self._runtime = OnnxRuntime.from_files(self._files, read_manifest(manifest))

    def _fit(self, x: Any, y: npt.NDArray[Any], *, target: Field, metric: str) -> None:
        kinds = ("regression",) if target.kind == "number" else ("binary", "multiclass")
        if is_metric(metric) and not set(kinds) & set(tasks_of(metric)):
            raise ValueError(f"`{metric}` does not judge a {type(self).__name__}")
        dataset = self._dataset(x)
        import polars as pl

        frame = dataset.frame.with_columns(pl.Series(TARGET, y))
        schema = Schema((*dataset.schema.fields, target))
        recipe = Recipe(
            target=TARGET, name="estimator", metric=metric, seconds=self.time_limit, test=0.0,
            search=False,  # so that repeated fits are equal, as scikit-learn requires
            seed=0 if self.random_state is None else int(self.random_state), learners=listed(self.learners),
        )  # fmt: skip
        try:
            trained = fit_model(Dataset(frame, schema, ()), recipe, inline=True).quality
        except (NotFound, UserError) as fault:
            said = f"{fault.message} ({fault.hint})" if fault.hint else fault.message
            raise ValueError(said.replace(TARGET, "y")) from fault
        self._files = trained.files
        self._runtime = trained.runtime

    def _answers(self, x: Any) -> Any:
        check_is_fitted(self, "_runtime")
        dataset = self._dataset(self._checked(x, reset=False), Schema(self._runtime.manifest.inputs))
        names = dataset.schema.names
        return self._runtime.run(
            self._runtime.encoder.columns({name: dataset.values(name) for name in names}, dataset.rows)
        )

    def _checked(self, x: Any, *, reset: bool) -> Any:
        """Keep tables as they are, and turn everything else into an array. Raises `ValueError`, `TypeError`."""
        if hasattr(x, "columns") and hasattr(x, "dtypes"):
            validate_data(self, x, skip_check_array=True, reset=reset)
            return x
        return validate_data(
            self, x, reset=reset, dtype="numeric", ensure_all_finite="allow-nan", ensure_min_samples=2 if reset else 1
        )

    def _both(self, x: Any, y: Any) -> tuple[Any, npt.NDArray[Any]]:
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        x = self._checked(x, reset=True)
        y = column_or_1d(y, warn=True)
        assert_all_finite(y, input_name="y")
        check_consistent_length(x, y)
        return x, y

    def _dataset(self, x: Any, schema: Schema | None = None) -> Dataset:
        if isinstance(x, np.ndarray):
            import polars as pl

            names = [f"x{i}" for i in range(x.shape[1])]
            frame = pl.DataFrame(dict(zip(names, np.ascontiguousarray(x.T, np.float64), strict=True)))
            return Dataset(frame, Schema(tuple(Field(name, "number") for name in names)), ())
        return read(x, schema=schema)


class Classifier(ClassifierMixin, _Estimator):
    """The best classifier found in `time_limit` seconds. Columns may hold numbers, categories, times and texts.

    - `time_limit`: seconds for each call of `fit`
    - `metric`: the metric to optimise, by default `"log_loss"` (docs/how-to/train.md#metrics)
    - `learners`: names of the learners to try, by default all
    - `random_state`: the same data and the same number give the same fits
    """

    def fit(self, X: Any, y: Any) -> "Classifier":
        """`X`: an array or table, (rows, columns); `y`: labels, (rows,). Raises `ValueError`, `TypeError`."""
        X, y = self._both(X, y)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"Classifier can't train when only one class is present: {self.classes_}")
        labels = np.array([_label(code) for code in codes])
        self._fit(X, labels, target=Field(TARGET, "category", role="target"), metric=self.metric or "log_loss")
        return self

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:
        """Probabilities, (rows, classes), in the order of `classes_`."""
        found = self._answers(X).astype(np.float64)
        known = [int(label) for label in self._runtime.manifest.task.classes]
        whole = np.zeros((len(found), len(self.classes_)))
        whole[:, known] = found
        return np.asarray(whole / whole.sum(axis=1, keepdims=True))

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Predicted labels, as in `y`: (rows,)."""
        found = (self._answers(X) * np.array(self._runtime.manifest.label_weights or 1.0)).argmax(axis=1)
        known = np.array([int(label) for label in self._runtime.manifest.task.classes])
        return np.asarray(self.classes_[known[found]])


class Regressor(RegressorMixin, _Estimator):
    """The best regressor found in `time_limit` seconds. Columns may hold numbers, categories, times and texts.

    - `time_limit`: seconds for each call of `fit`
    - `metric`: the metric to optimise, by default `"rmse"` (docs/how-to/train.md#metrics)
    - `learners`: names of the learners to try, by default all
    - `random_state`: the same data and the same number give the same fits
    """

    def fit(self, X: Any, y: Any) -> "Regressor":
        """`X`: an array or table, (rows, columns); `y`: numbers, (rows,). Raises `ValueError`, `TypeError`."""
        X, y = self._both(X, y)
        target = Field(TARGET, "number", role="target")
        self._fit(X, np.asarray(y, np.float64), target=target, metric=self.metric or "rmse")
        return self

    def predict(self, X: Any) -> npt.NDArray[np.float64]:
        """Predictions, (rows,)."""
        return np.asarray(self._answers(X), np.float64)


def _label(code: int) -> str:
    """Class codes as texts that sort like the codes."""
    return f"{code:06d}"
