import numpy as np
import pytest
from sklearn import metrics as sk

from aias.core.events import Event
from aias.core.task import METRICS, Task
from aias.training.metrics import judge, measure, measure_with_interval, report, reported

RNG = np.random.default_rng(3)
BINARY = Task("y", "binary", "roc_auc", ("a", "b"))
THREE = Task("y", "multiclass", "log_loss", ("a", "b", "c"))
AMOUNT = Task("y", "regression", "rmse")


def probabilities(classes: int, rows: int = 400) -> np.ndarray:
    made = RNG.dirichlet(np.ones(classes), rows)
    return np.round(made, 2) / np.round(made, 2).sum(axis=1, keepdims=True)  # rounding makes ties


@pytest.mark.parametrize(
    ("metric", "classes", "expected"),
    [
        ("roc_auc", 2, lambda y, p: sk.roc_auc_score(y, p[:, 1])),
        ("accuracy", 3, lambda y, p: sk.accuracy_score(y, p.argmax(axis=1))),
        ("balanced_accuracy", 3, lambda y, p: sk.balanced_accuracy_score(y, p.argmax(axis=1))),
        ("f1_macro", 3, lambda y, p: sk.f1_score(y, p.argmax(axis=1), average="macro")),
        ("log_loss", 3, lambda y, p: sk.log_loss(y, np.maximum(p, 1e-15), labels=[0, 1, 2])),
    ],
)
def test_metrics_of_classes_agree_with_scikit_learn(metric, classes, expected) -> None:
    scores, y = probabilities(classes), RNG.integers(0, classes, 400)
    task = BINARY if classes == 2 else THREE
    assert measure(task, y, scores, metric=metric).value == pytest.approx(expected(y, scores), rel=1e-6)


@pytest.mark.parametrize(
    ("metric", "expected"),
    [("rmse", sk.root_mean_squared_error), ("mae", sk.mean_absolute_error), ("r2", sk.r2_score)],
)
def test_metrics_of_amounts_agree_with_scikit_learn(metric, expected) -> None:
    y = RNG.normal(size=100)
    found = y + RNG.normal(size=100)
    assert measure(AMOUNT, y, found[:, None], metric=metric).value == pytest.approx(expected(y, found))


def test_auc_of_one_class_is_not_a_number_and_has_no_interval() -> None:
    measured = measure_with_interval(np.ones(20, np.int64), probabilities(2, 20), metric="roc_auc", seed=0)
    assert np.isnan(measured.value)
    assert measured.low is None


def test_an_interval_covers_its_value_and_narrows_with_rows() -> None:
    def width(rows: int) -> float:
        y = RNG.integers(0, 2, rows)
        scores = np.column_stack([1 - y * 0.2 - RNG.random(rows) * 0.5, y * 0.2 + RNG.random(rows) * 0.5])
        one = measure_with_interval(y, scores, metric="accuracy", seed=1)
        assert one.low is not None and one.high is not None
        assert one.low <= one.value <= one.high
        return one.high - one.low

    assert width(50_000) < width(500) / 5


def test_bootstrap_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    covered = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        right = rng.random(300) < 0.8
        y = np.zeros(300, np.int64)
        scores = np.column_stack([right, ~right]).astype(float)
        one = measure_with_interval(y, scores, metric="accuracy", seed=seed)
        assert one.low is not None and one.high is not None
        covered += one.low <= 0.8 <= one.high
    assert 0.88 <= covered / 200 <= 0.99


def test_reports_begin_with_the_metric_of_the_task() -> None:
    for name, (_, types) in METRICS.items():
        for kind in types:
            names = reported(Task("y", kind, name))
            assert names[0] == name
            assert len(set(names)) == len(names)


def test_a_metric_that_rows_of_one_answer_cannot_give_is_left_out_and_told() -> None:
    told: list[Event] = []
    y, scores = np.ones(5, np.int64), probabilities(2, 5)

    measured = report(BINARY, y, scores, seed=0, watch=told.append)

    assert [one.metric for one in measured] == ["accuracy", "log_loss"]
    assert [event.facts for event in told] == [{"metric": "roc_auc", "rows": 5}]
    assert judge(BINARY, y, scores, seed=0).metric == "log_loss"
