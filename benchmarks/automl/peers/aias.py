"""Aias, by its public Python API."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from automl.job import Job, import_all, in_order


def imports() -> str:
    import aias

    import_all("lightgbm", "onnx", "sklearn.linear_model", "aias.training.train", "aias.data.read")
    return aias.__version__


def fit(job: Job) -> None:
    import aias

    aias.train(
        job.train, target=job.target, name="peer", time=job.budget_seconds, metric=job.metric, seed=job.seed,
        home=Path(job.folder) / "home",
    )  # fmt: skip


def forms(job: Job) -> dict[str, Path]:
    return {form: _model(job, form).folder for form in ("quality", "serving")}


def load(job: Job, form: str) -> "Deployed":
    return Deployed(job, _model(job, form))


def _model(job: Job, form: str) -> Any:
    """The newest version is the serving form."""
    import aias

    model = aias.load("peer", home=Path(job.folder) / "home")
    return model.quality if form == "quality" else model


class Deployed:
    def __init__(self, job: Job, model: Any) -> None:
        self.job, self.model = job, model
        self.answer = model.runtime.predict

    def scores(self) -> Any:
        if not self.job.classes:
            return self.model.predict(self.job.test)
        return self.model.predict_proba(self.job.test)[:, in_order(self.job, self.model.task.classes)]

    def rows(self, n: int) -> Sequence[Any]:
        """As they come out of a request: times are texts."""
        import polars as pl

        found = pl.read_parquet(self.job.test, n_rows=n).to_dicts()
        return [[{name: _plain(value) for name, value in row.items()}] for row in found]


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
