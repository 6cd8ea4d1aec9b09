"""One system on one set, in this process: `python -m text.child JOB.json` writes `figures.json` beside the job.

Importing libraries is not timed, for no system; fitting is, and, for Aias, writing the model.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl


@dataclass(frozen=True, slots=True)
class Job:
    """`train` and `test`: Parquet files with `text` and `label`, of which the second is only judged by."""

    system: str
    train: str
    test: str
    unsegmented: bool
    encoder: str
    budget_seconds: float
    seed: int
    cores: tuple[int, ...]
    processor_time: bool = False
    """Whether `setfit` is given what the cores do in the budget, on one thread, however much the clock shows."""

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)))


Texts = list[str]


def main(path: Path) -> None:
    job = Job(**json.loads(path.read_text()))
    os.sched_setaffinity(0, job.cores)
    train, test = pl.read_parquet(job.train), pl.read_parquet(job.test)
    fit = SYSTEMS[job.system](job, path.parent)
    began = time.perf_counter()
    forms = fit(train, test.height)
    fitted = time.perf_counter()
    figures: dict[str, Any] = {"fit_seconds": fitted - began, "forms": {}}
    for form, answer in forms.items():
        before = time.perf_counter()
        right = [str(said) == label for said, label in zip(answer(test["text"].to_list()), test["label"], strict=True)]
        figures["forms"][form] = {"score": sum(right) / len(right), "test_seconds": time.perf_counter() - before}
    (path.parent / "figures.json").write_text(json.dumps(figures))


Fit = Callable[[pl.DataFrame, int], dict[str, Callable[[Texts], Any]]]
"""From training rows, and how many will be answered, to what answers texts, by form."""


def tf_idf(job: Job, _folder: Path) -> Fit:
    """Words and pairs, or characters and pairs where there are no spaces, as tutorials have it; of C = 1 and 10
    10 is better on the four sets that both were tried on."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    def fit(train: pl.DataFrame, _test_rows: int) -> dict[str, Callable[[Texts], Any]]:
        terms = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, analyzer="char" if job.unsegmented else "word")
        model = make_pipeline(terms, LogisticRegression(C=10, max_iter=1_000))
        model.fit(train["text"].to_list(), train["label"].to_list())
        return {"only": model.predict}

    return fit


def aias(job: Job, folder: Path, *, encoder: bool = False) -> Fit:
    """By its public Python API."""
    import aias
    import aias.data.read
    import aias.training.train

    def fit(train: pl.DataFrame, _test_rows: int) -> dict[str, Callable[[Texts], Any]]:
        model = aias.train(
            train, target="label", name="peer", metric="accuracy", time=job.budget_seconds, seed=job.seed,
            encoder=job.encoder if encoder else None, home=folder / "home",
        )  # fmt: skip
        return {form: _answers(held) for form, held in (("quality", model.quality), ("serving", model))}

    def _answers(model: Any) -> Callable[[Texts], Any]:
        return lambda texts: model.predict(pl.DataFrame({"text": texts}))

    return fit


def aias_encoder(job: Job, folder: Path) -> Fit:
    return aias(job, folder, encoder=True)


def setfit(job: Job, _folder: Path) -> Fit:
    import torch

    from text.setfit import SetFit

    torch.set_num_threads(1 if job.processor_time else len(job.cores))
    clock = time.process_time if job.processor_time else time.perf_counter
    seconds = job.budget_seconds * (len(job.cores) if job.processor_time else 1)
    model = SetFit(job.encoder, seed=job.seed, clock=clock)

    def fit(train: pl.DataFrame, test_rows: int) -> dict[str, Callable[[Texts], Any]]:
        texts, labels = train["text"].to_list(), train["label"].to_list()
        model.fit(texts, labels, test_rows=test_rows, seconds=seconds)
        return {"only": model.predict}

    return fit


SYSTEMS: dict[str, Callable[[Job, Path], Fit]] = {
    "tf_idf": tf_idf, "aias": aias, "aias_encoder": aias_encoder, "setfit": setfit,
}  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]))
