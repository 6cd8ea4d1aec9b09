"""AutoGluon; `job.option` is the preset. Without Ray, which costs seconds to start and gains nothing on two cores."""

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from automl.job import Job, import_all, in_order

METRICS = {"roc_auc": "roc_auc", "log_loss": "log_loss", "rmse": "root_mean_squared_error"}


def imports() -> str:
    import autogluon.tabular

    import_all("catboost", "fastai.tabular.all", "lightgbm", "pyarrow.parquet", "torch", "xgboost")
    return str(autogluon.tabular.__version__)


def fit(job: Job) -> None:
    """Without Ray, a trial fit (DyStack) in which nothing could be trained leaves a predictor that refuses to go on.
    Then the rest of the time goes to a new one without a trial, which is what happens with Ray."""
    began = time.perf_counter()
    try:
        _fit(job, job.budget_seconds)
    except AssertionError as fault:
        if "already fit" not in str(fault):
            raise
        shutil.rmtree(_path(job))
        _fit(job, job.budget_seconds - (time.perf_counter() - began), dynamic_stacking=False)


def _fit(job: Job, seconds: float, **more: Any) -> None:
    import pandas as pd
    from autogluon.tabular import TabularPredictor

    predictor = TabularPredictor(
        label=job.target, problem_type=job.kind, eval_metric=METRICS[job.metric], path=_path(job), verbosity=2
    )
    predictor.fit(
        pd.read_parquet(job.train), presets=job.option, time_limit=seconds, num_cpus=len(job.cores),
        num_gpus=0, fit_strategy="sequential", **more,
    )  # fmt: skip


def forms(job: Job) -> dict[str, Path]:
    """The same folder, asked as it comes and with its models kept in memory (`persist`)."""
    return {"persisted": _path(job), "as_loaded": _path(job)}


def load(job: Job, form: str) -> "Deployed":
    from autogluon.tabular import TabularPredictor

    predictor = TabularPredictor.load(str(_path(job)))
    if form == "persisted":
        predictor.persist()
    return Deployed(job, predictor)


class Deployed:
    def __init__(self, job: Job, predictor: Any) -> None:
        import pandas as pd

        self.job, self.predictor = job, predictor
        self.test = pd.read_parquet(job.test)

    def scores(self) -> Any:
        if not self.job.classes:
            return self.predictor.predict(self.test).to_numpy()
        found = self.predictor.predict_proba(self.test)
        return found.to_numpy()[:, in_order(self.job, list(found.columns))]

    def rows(self, n: int) -> Sequence[Any]:
        """Frames of one row, ready made: the time to make one from a dict is a gift."""
        return [self.test.iloc[[i]] for i in range(n)]

    def answer(self, row: Any) -> Any:
        return self.predictor.predict(row)


def _path(job: Job) -> Path:
    return Path(job.folder) / "autogluon"
