"""The other side of `distil_autogluon.py`: runs in AutoGluon's own environment and knows nothing of Aias.

    python autogluon_teacher.py FOLDER        FOLDER/job.json says what; then lines on stdin are answered on stdout

It fits, answers the rows to learn from out of fold where it can, made-up rows and the test, and then waits to be timed:
`time N` gives the seconds of N single rows, kept in memory (`persist`) as it answers fastest.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
from autogluon.tabular import TabularPredictor

STACKED_SECONDS = 300


def main(folder: Path) -> None:
    job = json.loads((folder / "job.json").read_text())
    train, made_up, test = (pd.read_parquet(folder / f"{name}.parquet") for name in ("train", "made_up", "test"))
    predictor = TabularPredictor(
        label=job["target"], problem_type=job["kind"], eval_metric=job["metric"], path=str(folder / "autogluon"),
        verbosity=0,
    )  # fmt: skip
    # It fits the whole beforehand to see whether stacking leaks; on a busy machine that ends as "already fit".
    more = {"dynamic_stacking": False} if job["seconds"] < STACKED_SECONDS else {}
    predictor.fit(
        train, presets="best_quality", time_limit=job["seconds"], num_cpus=job["cores"], num_gpus=0,
        fit_strategy="sequential", **more,
    )  # fmt: skip
    rows = train.drop(columns=job["target"])
    try:
        known, how = answers(predictor, job, None), "out of fold"
    except Exception as fault:
        known, how = answers(predictor, job, rows), f"fitted on them ({type(fault).__name__})"
    pd.DataFrame(known).to_parquet(folder / "train_said.parquet")
    pd.DataFrame(answers(predictor, job, made_up)).to_parquet(folder / "made_up_said.parquet")
    pd.DataFrame(answers(predictor, job, test)).to_parquet(folder / "test_said.parquet")
    bytes_held = sum(path.stat().st_size for path in (folder / "autogluon").rglob("*") if path.is_file())
    predictor.persist()
    predictor.predict(test.iloc[[0]])
    say({"how": how, "model": predictor.model_best, "bytes": bytes_held, "models": len(predictor.model_names())})
    for line in sys.stdin:
        say([timed(predictor, test.iloc[[i % len(test)]]) for i in range(int(line.split()[1]))])


def answers(predictor: Any, job: dict[str, Any], rows: Any) -> Any:
    """Of the second class the probability, or the amount; of the rows it was fitted on, out of fold, for None."""
    if job["kind"] == "binary":
        found = predictor.predict_proba_oof() if rows is None else predictor.predict_proba(rows)
        return {"said": found[predictor.class_labels[-1]].to_numpy(dtype=float)}
    return {"said": (predictor.predict_oof() if rows is None else predictor.predict(rows)).to_numpy(dtype=float)}


def timed(predictor: Any, row: Any) -> float:
    began = time.perf_counter()
    predictor.predict(row)
    return time.perf_counter() - began


def say(what: object) -> None:
    print("\n" + json.dumps(what), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
