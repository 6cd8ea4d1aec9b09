"""LightGBM with its defaults: 100 rounds, whatever the budget. Texts are categories, times are nanoseconds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from automl.job import Job, import_all


def imports() -> str:
    import lightgbm

    import_all("pandas", "pyarrow.parquet")
    return str(lightgbm.__version__)


def fit(job: Job) -> None:
    import lightgbm
    import pandas as pd

    train = pd.read_parquet(job.train)
    y = train.pop(job.target)
    if job.classes:
        y = y.astype(str).map({label: i for i, label in enumerate(job.classes)})
    params = {"objective": job.kind, "num_threads": len(job.cores), "seed": job.seed, "verbosity": -1}
    if job.kind == "multiclass":
        params["num_class"] = len(job.classes)
    lightgbm.train(params, lightgbm.Dataset(_typed(train), y)).save_model(_path(job))


def forms(job: Job) -> dict[str, Path]:
    return {"model": _path(job)}


def load(job: Job, _form: str) -> "Deployed":
    import lightgbm

    return Deployed(job, lightgbm.Booster(model_file=_path(job)))


class Deployed:
    def __init__(self, job: Job, booster: Any) -> None:
        import pandas as pd

        self.job, self.booster = job, booster
        self.test = _typed(pd.read_parquet(job.test))

    def scores(self) -> Any:
        import numpy as np

        found = np.asarray(self.booster.predict(self.test))
        return np.stack([1 - found, found], axis=1) if self.job.kind == "binary" else found

    def rows(self, n: int) -> Sequence[Any]:
        """Frames of one row, ready made."""
        return [self.test.iloc[[i]] for i in range(n)]

    def answer(self, row: Any) -> Any:
        return self.booster.predict(row)


def _typed(frame: Any) -> Any:
    """LightGBM keeps the training categories in its model, and puts those of a later frame in their order."""
    for name in frame.columns:
        if frame[name].dtype.kind == "M":
            frame[name] = frame[name].astype("int64")
        elif frame[name].dtype == object:
            frame[name] = frame[name].astype("category")
    return frame


def _path(job: Job) -> Path:
    return Path(job.folder) / "lightgbm.txt"
