"""`Classifier` and `Regressor` are scikit-learn's: its own checks, its tools, its habits."""

import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from aias import Classifier, Regressor

SKIPPED = {
    "check_array_api_input": "needs the environment variable SCIPY_ARRAY_API, set before SciPy is imported",
}
"""What scikit-learn may skip, and why; nothing may fail."""

UNHURRIED = 600
"""Seconds; these learners are through long before, and then nothing is waited for."""

GLAD = ["lovely", "warm", "friendly", "clean", "bright"]
SAD = ["cold", "dirty", "rude", "broken", "loud"]


@pytest.mark.parametrize("kind", [Classifier, Regressor])
@pytest.mark.filterwarnings("ignore")
def test_all_of_scikit_learns_own_checks_pass(kind: Any) -> None:
    found = check_estimator(kind(time_limit=UNHURRIED, learners=("linear",)), on_fail=None, on_skip=None)

    assert len(found) >= 40
    assert not [(each["check_name"], each["exception"]) for each in found if each["status"] == "failed"]
    assert {each["check_name"] for each in found if each["status"] != "passed"} <= set(SKIPPED)


def test_a_clone_has_the_settings_and_nothing_learned() -> None:
    fitted = Classifier(time_limit=UNHURRIED, learners=("linear",), metric="accuracy", random_state=7).fit(*iris())

    copy = clone(fitted)

    assert copy.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError):
        copy.predict(iris()[0])


def test_cross_validation_takes_it_as_it_is() -> None:
    classifier = Classifier(time_limit=UNHURRIED, learners=("linear",))
    regressor = Regressor(time_limit=UNHURRIED, learners=("linear",))

    assert cross_val_score(classifier, *iris(), cv=3).min() > 0.9
    assert cross_val_score(regressor, *load_diabetes(return_X_y=True), cv=3, scoring="r2").min() > 0.3


def test_cross_validation_runs_in_worker_processes() -> None:
    """Workers are sent estimators through joblib, which Aias itself never imports."""
    scores = cross_val_score(Classifier(time_limit=UNHURRIED, learners=("linear",)), *iris(), cv=2, n_jobs=2)

    assert scores.min() > 0.9


def test_it_stands_at_the_end_of_a_pipeline() -> None:
    X, y = iris()

    pipeline = make_pipeline(StandardScaler(), Classifier(time_limit=UNHURRIED, learners=("linear",))).fit(X, y)

    assert pipeline.score(X, y) > 0.9
    np.testing.assert_allclose(pipeline.predict_proba(X).sum(axis=1), 1, atol=1e-9)


def test_a_grid_can_be_searched_over_its_settings() -> None:
    search = GridSearchCV(Classifier(time_limit=UNHURRIED), {"learners": [("linear",), ("nearest",)]}, cv=2)

    search.fit(*iris())

    assert search.best_score_ > 0.85


def test_labels_come_back_as_they_were_given() -> None:
    X, y = iris()
    for labels in (y, y.astype(np.int8), np.array(["b", "a", "c"])[y], np.array(["b", "a", "c"], dtype=object)[y]):
        fitted = Classifier(time_limit=UNHURRIED, learners=("linear",)).fit(X, labels)

        assert fitted.predict(X).dtype == labels.dtype
        assert list(fitted.classes_) == sorted(set(labels))


@pytest.mark.parametrize("library", [pd.DataFrame, pl.DataFrame])
def test_a_table_of_texts_categories_and_numbers_is_taken_whole(library: Any) -> None:
    X, y = mixed()

    fitted = Classifier(time_limit=UNHURRIED, learners=("linear",)).fit(library(X), y)

    assert fitted.score(library(X), y) > 0.9
    assert fitted.n_features_in_ == 3
    assert list(fitted.feature_names_in_) == ["note", "plan", "age"]


def test_answers_do_not_depend_on_which_library_holds_the_table() -> None:
    X, y = mixed()
    fitted = Classifier(time_limit=UNHURRIED, learners=("linear",)).fit(pd.DataFrame(X), y)

    assert list(fitted.predict(pl.DataFrame(X))) == list(fitted.predict(pd.DataFrame(X)))


def test_a_table_with_another_column_is_refused() -> None:
    X, y = mixed()
    fitted = Classifier(time_limit=UNHURRIED, learners=("linear",)).fit(pd.DataFrame(X), y)

    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(pd.DataFrame(X).rename(columns={"age": "years"}))


@pytest.mark.parametrize(("kind", "metric"), [(Regressor, "accuracy"), (Regressor, "f1"), (Classifier, "rmse")])
def test_a_metric_of_the_other_kind_is_refused(kind: Any, metric: str) -> None:
    """A regressor that was judged by accuracy gave a matrix of probabilities."""
    x, y = np.random.default_rng(0).normal(size=(40, 2)), np.arange(40) % 2
    with pytest.raises(ValueError, match=f"`{metric}` does not judge a {kind.__name__}"):
        kind(time_limit=UNHURRIED, metric=metric).fit(x, y)


def test_a_learner_that_there_is_not_is_a_fault_of_a_value() -> None:
    x, y = np.random.default_rng(0).normal(size=(40, 2)), np.arange(40) % 2
    with pytest.raises(ValueError, match=r"`linaer`.*linear"):
        Classifier(time_limit=UNHURRIED, learners=("linaer",)).fit(x, y)


def test_a_fault_of_the_target_speaks_of_y() -> None:
    with pytest.raises(ValueError, match="`y` is 0 in every row"):
        Regressor(time_limit=UNHURRIED).fit(np.random.default_rng(0).normal(size=(40, 2)), np.zeros(40))


def test_the_same_seed_gives_the_same_answers() -> None:
    X, y = load_diabetes(return_X_y=True)

    first, second = (
        Regressor(time_limit=UNHURRIED, learners=("linear",), random_state=3).fit(X, y).predict(X) for _ in "ab"
    )

    np.testing.assert_array_equal(first, second)


def test_a_fitted_estimator_answers_in_another_process_as_here() -> None:
    """As joblib sends it to a worker, whose interpreter has seen none of this one's state."""
    import joblib  # noqa: TID251 what scikit-learn sends its workers with

    X, y = iris()
    fitted = Classifier(time_limit=UNHURRIED, learners=("linear",)).fit(X, y)
    with tempfile.TemporaryDirectory() as folder:
        joblib.dump((fitted, X), Path(folder) / "sent")
        joblib.dump(fitted.predict_proba(X), Path(folder) / "expected")
        script = (
            "import joblib, numpy, sys; fitted, X = joblib.load(sys.argv[1] + '/sent'); "
            "numpy.testing.assert_array_equal(fitted.predict_proba(X), joblib.load(sys.argv[1] + '/expected'))"
        )
        done = subprocess.run([sys.executable, "-c", script, folder], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


def test_an_estimator_that_is_not_fitted_can_be_sent_too() -> None:
    import joblib  # noqa: TID251 what scikit-learn sends its workers with

    with tempfile.TemporaryDirectory() as folder:
        joblib.dump(Regressor(time_limit=9), Path(folder) / "sent")

        assert joblib.load(Path(folder) / "sent").get_params() == Regressor(time_limit=9).get_params()


def test_fitting_publishes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIAS_HOME", str(tmp_path / "home"))

    Classifier(time_limit=UNHURRIED, learners=("linear",)).fit(*iris())

    assert not (tmp_path / "home").exists()


def iris() -> tuple[Any, Any]:
    X, y = load_iris(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    return X[order], y[order]


def mixed() -> tuple[dict[str, list[Any]], list[str]]:
    rng = random.Random(0)
    rows = []
    for _ in range(200):
        glad, plan = rng.random() < 0.5, rng.choice(["basic", "pro"])
        words = rng.sample(GLAD if glad else SAD, 3)
        note = " ".join(["the", "stay", "was", *words])
        rows.append((note, plan, rng.randint(18, 90), "stays" if glad else "leaves"))
    notes, plans, ages, y = map(list, zip(*rows, strict=True))
    return {"note": notes, "plan": plans, "age": ages}, y
