"""FLAML, as its documentation has it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from automl.job import Job, import_all, in_order


def imports() -> str:
    import flaml

    import_all("flaml.automl", "lightgbm", "pyarrow.parquet", "sklearn.ensemble", "xgboost")
    return str(flaml.__version__)


def fit(job: Job) -> None:
    import pandas as pd
    from flaml import AutoML

    train = pd.read_parquet(job.train)
    automl = AutoML()
    automl.fit(
        train.drop(columns=job.target), train[job.target], task=job.kind, metric=job.metric,
        time_budget=job.budget_seconds, n_jobs=len(job.cores), seed=job.seed, verbose=1,
    )  # fmt: skip
    automl.pickle(str(_path(job)))


def forms(job: Job) -> dict[str, Path]:
    return {"model": _path(job)}


def load(job: Job, _form: str) -> "Deployed":
    from flaml import AutoML

    return Deployed(job, AutoML.load_pickle(str(_path(job))))


class Deployed:
    def __init__(self, job: Job, automl: Any) -> None:
        import pandas as pd

        self.job, self.automl = job, automl
        self.test = pd.read_parquet(job.test)

    def scores(self) -> Any:
        if not self.job.classes:
            return self.automl.predict(self.test)
        return self.automl.predict_proba(self.test)[:, in_order(self.job, list(self.automl.classes_))]

    def rows(self, n: int) -> Sequence[Any]:
        """Frames of one row, ready made."""
        return [self.test.iloc[[i]] for i in range(n)]

    def answer(self, row: Any) -> Any:
        return self.automl.predict(row)


def _path(job: Job) -> Path:
    return Path(job.folder) / "flaml.model"
