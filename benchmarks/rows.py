"""What one row costs, from a Python dict to the answer, beside scikit-learn's `predict_proba` on one row.

    python benchmarks/rows.py

A text of 20 words, and a row of 20 columns (16 numbers, 4 categories), by a linear model and, for columns, by boosted
trees. Medians of 200 calls, the best of 50 such windows (of 3 for scikit-learn, which takes far longer): neighbours on
the machine can only add to them. Training data is drawn here; what a row costs depends on its shape, not its sense.
"""

import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import aias

GOAL_US: Final = 30
CALLS: Final = 200
WINDOWS, BASELINE_WINDOWS = 50, 3
ROWS: Final = 2_000
WORDS: Final = 20
COMMAND: Final = "python benchmarks/rows.py"

Row = dict[str, Any]


def main() -> int:
    good = []
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        for name, rows, learner, baseline in (
            ("text/20_words/linear", texts(), "linear", text_baseline),
            ("table/20_columns/linear", columns(), "linear", table_baseline),
            ("table/20_columns/boosted_trees", columns(), "boosted_trees", trees_baseline),
        ):
            data = {key: [row[key] for row in rows] for key in rows[0]}
            model = aias.train(data, target="y", name="row", learners=(learner,), time=60, home=home)
            asked = [{key: value for key, value in row.items() if key != "y"} for row in rows]
            ours = one_by_one(model.runtime.predict, asked, windows=WINDOWS)
            theirs = one_by_one(baseline(rows), asked, windows=BASELINE_WINDOWS)
            good.append(report(name, ours, theirs))
    print(f"({COMMAND})")
    return 0 if all(good) else 1


def report(subject: str, ours_us: float, baseline_us: float) -> bool:
    good = ours_us <= GOAL_US
    word = "ok" if good else "MISS"
    print(
        f"{subject}/row_us  {ours_us / baseline_us:.3f} × {baseline_us:.0f} µs scikit-learn  ({ours_us:.1f} µs)"
        f"  goal ≤ {GOAL_US} µs  {word}"
    )
    return good


def one_by_one(predict: Callable[[list[Row]], Any], rows: list[Row], *, windows: int) -> float:
    """Microseconds for one row among others, so that nothing is remembered from the call before."""
    best = float("inf")
    for window in range(windows):
        took = []
        for call in range(CALLS):
            row = [rows[(window * CALLS + call) % len(rows)]]
            began = time.perf_counter_ns()
            predict(row)
            took.append(time.perf_counter_ns() - began)
        best = min(best, statistics.median(took) / 1000)
    return best


def texts() -> list[Row]:
    """Words with the frequencies of language (Zipf 1949); a few of them lean to one label."""
    rng = random.Random(0)
    words = ["".join(rng.choices("etaoinshrdlucm", k=rng.randint(2, 9))) for _ in range(5_000)]
    weights = [1 / rank for rank in range(1, len(words) + 1)]
    rows = []
    for _ in range(ROWS):
        label = rng.choice("ab")
        chosen = rng.choices(words, weights, k=WORDS - 2) + [f"{label}{rng.randint(0, 20)}" for _ in range(2)]
        rows.append({"text": " ".join(chosen), "y": label})
    return rows


def columns() -> list[Row]:
    rng = random.Random(1)
    rows = []
    for _ in range(ROWS):
        row: Row = {f"n{i}": rng.gauss(0, 1) for i in range(16)} | {f"c{i}": rng.choice("uvwxyz") for i in range(4)}
        row["y"] = "yes" if row["n0"] * row["n1"] + row["n2"] + (row["c0"] in "uv") + rng.gauss(0, 0.5) > 0.4 else "no"
        rows.append(row)
    return rows


def text_baseline(rows: list[Row]) -> Callable[[list[Row]], Any]:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression())
    model.fit([row["text"] for row in rows], [row["y"] for row in rows])
    return lambda asked: model.predict_proba([asked[0]["text"]])


def table_baseline(rows: list[Row]) -> Callable[[list[Row]], Any]:
    from sklearn.linear_model import LogisticRegression

    return _tabular(rows, LogisticRegression(max_iter=1000))


def trees_baseline(rows: list[Row]) -> Callable[[list[Row]], Any]:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return _tabular(rows, HistGradientBoostingClassifier())


def _tabular(rows: list[Row], learner: Any) -> Callable[[list[Row]], Any]:
    """From a dict by way of an array, without a data frame."""
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    names = [name for name in rows[0] if name != "y"]

    def matrix(asked: list[Row]) -> Any:
        import numpy as np

        return np.array([[row[name] for name in names] for row in asked], dtype=object)

    one_hot = ColumnTransformer([("c", OneHotEncoder(sparse_output=False), slice(16, 20))], remainder="passthrough")
    model = make_pipeline(one_hot, learner).fit(matrix(rows), [row["y"] for row in rows])
    return lambda asked: model.predict_proba(matrix(asked))


if __name__ == "__main__":
    sys.exit(main())
