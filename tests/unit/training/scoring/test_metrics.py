from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as sk

from aias.core.events import Event
from aias.core.task import METRICS, Task, is_metric, quantile_of
from aias.training.scoring.effective_sizes import sizes_of
from aias.training.scoring.formulas import Case
from aias.training.scoring.metrics import (
    NO_LABELS,
    alike,
    decide,
    judge,
    measure,
    measure_with_interval,
    report,
    reported,
)

RNG = np.random.default_rng(3)
BINARY = Task("y", "binary", "roc_auc", ("a", "b"))
THREE = Task("y", "multiclass", "log_loss", ("a", "b", "c"))
AMOUNT = Task("y", "regression", "rmse")

BINARY_ORACLES = {
    "roc_auc": lambda y, p: sk.roc_auc_score(y, p[:, 1]),
    "pr_auc": lambda y, p: sk.average_precision_score(y, p[:, 1]),
    "brier": lambda y, p: sk.brier_score_loss(y, p[:, 1]),
    "f1": lambda y, p: sk.f1_score(y, p.argmax(axis=1)),
    "precision": lambda y, p: sk.precision_score(y, p.argmax(axis=1)),
    "recall": lambda y, p: sk.recall_score(y, p.argmax(axis=1)),
}
CLASS_ORACLES = {
    "accuracy": lambda y, p: sk.accuracy_score(y, p.argmax(axis=1)),
    "balanced_accuracy": lambda y, p: sk.balanced_accuracy_score(y, p.argmax(axis=1)),
    "f1_macro": lambda y, p: sk.f1_score(y, p.argmax(axis=1), average="macro"),
    "f1_micro": lambda y, p: sk.f1_score(y, p.argmax(axis=1), average="micro"),
    "f1_weighted": lambda y, p: sk.f1_score(y, p.argmax(axis=1), average="weighted"),
    "mcc": lambda y, p: sk.matthews_corrcoef(y, p.argmax(axis=1)),
    "log_loss": lambda y, p: sk.log_loss(y, np.maximum(p, 1e-15), labels=range(p.shape[1])),
}
MANY_ORACLES = {
    "roc_auc_ovr": lambda y, p: sk.roc_auc_score(y, p, multi_class="ovr"),
    "brier": lambda y, p: sk.brier_score_loss(y, p, scale_by_half=False),
}
AMOUNT_ORACLES = {
    "rmse": sk.root_mean_squared_error,
    "mae": sk.mean_absolute_error,
    "median_absolute_error": sk.median_absolute_error,
    "mape": sk.mean_absolute_percentage_error,
    "rmsle": sk.root_mean_squared_log_error,
    "quantile_loss": lambda y, p: sk.mean_pinball_loss(y, p, alpha=0.5),
    "quantile_loss:0.9": lambda y, p: sk.mean_pinball_loss(y, p, alpha=0.9),
    "r2": sk.r2_score,
}


def probabilities(classes: int, rows: int = 400) -> np.ndarray:
    made = RNG.dirichlet(np.ones(classes), rows)
    return np.round(made, 2) / np.round(made, 2).sum(axis=1, keepdims=True)  # rounding makes ties


@pytest.mark.parametrize("metric", [*BINARY_ORACLES, *CLASS_ORACLES])
def test_metrics_of_two_classes_agree_with_scikit_learn(metric) -> None:
    scores, y = probabilities(2), RNG.integers(0, 2, 400)
    expected = (BINARY_ORACLES | CLASS_ORACLES)[metric](y, scores)
    assert measure(BINARY, y, scores, metric=metric).value == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("metric", [*MANY_ORACLES, *CLASS_ORACLES])
def test_metrics_of_many_classes_agree_with_scikit_learn(metric) -> None:
    scores, y = probabilities(3), RNG.integers(0, 3, 400)
    expected = (MANY_ORACLES | CLASS_ORACLES)[metric](y, scores)
    assert measure(THREE, y, scores, metric=metric).value == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("metric", AMOUNT_ORACLES)
def test_metrics_of_amounts_agree_with_scikit_learn(metric) -> None:
    y = RNG.gamma(2.0, size=100)
    found = np.abs(y + RNG.normal(size=100))
    expected = AMOUNT_ORACLES[metric](y, found)
    assert measure(AMOUNT, y, found[:, None], metric=metric).value == pytest.approx(expected)


def test_every_metric_has_an_oracle_or_a_test_of_its_own() -> None:
    assert set(METRICS) - {"ece"} <= {*BINARY_ORACLES, *CLASS_ORACLES, *MANY_ORACLES, *AMOUNT_ORACLES}


def test_calibration_error_is_the_gap_between_what_was_said_and_what_came() -> None:
    said = np.repeat([0.1, 0.5, 0.9], 1_000)
    came = np.concatenate([np.arange(1_000) < hits for hits in (100, 700, 900)]).astype(np.int64)
    scores = np.column_stack([1 - said, said])
    assert measure(BINARY, came, scores, metric="ece").value == pytest.approx(0.2 / 3)


def test_metrics_of_labels_take_the_weights_of_the_classes_into_account() -> None:
    scores, y = np.array([[0.7, 0.3], [0.6, 0.4], [0.9, 0.1]]), np.array([1, 1, 0])
    weights = (0.3, 0.7)
    assert decide(scores, weights).tolist() == [0, 1, 0]
    assert measure(BINARY, y, scores, metric="recall", label_weights=weights).value == 0.5
    assert measure(BINARY, y, scores, metric="recall").value == 0
    auc = measure(BINARY, y, scores, metric="roc_auc").value
    assert measure(BINARY, y, scores, metric="roc_auc", label_weights=weights).value == auc


@pytest.mark.parametrize("metric", METRICS)
def test_resampling_by_weights_is_resampling_rows(metric) -> None:
    from aias.training.scoring.formulas import FORMULAS, Case

    kind = METRICS[metric][1][-1]
    classes = {"binary": 2, "multiclass": 4, "regression": 1}[kind]
    y = RNG.gamma(2.0, size=60) if classes == 1 else RNG.integers(0, classes, 60)
    scores = probabilities(classes, 60) if classes > 1 else y[:, None] + RNG.random((60, 1))
    picked = RNG.integers(0, 60, 60)
    times = np.bincount(picked, minlength=60).astype(np.float64)

    def case(rows: np.ndarray) -> Case:
        return Case(metric, y[rows], scores[rows], scores[rows].argmax(axis=1))

    drawn = FORMULAS[metric](case(picked))(np.ones((1, 60)))
    weighted = FORMULAS[metric](case(np.arange(60)))(np.stack([times, np.ones(60)]))
    # The bins of the calibration error stay those of all rows.
    assert metric == "ece" or weighted[0] == pytest.approx(drawn[0])
    assert weighted[1] == pytest.approx(measure(THREE, y, scores, metric=metric).value)


@pytest.mark.parametrize("metric", ["roc_auc", "pr_auc"])
def test_auc_of_one_class_is_not_a_number_and_has_no_interval(metric: str) -> None:
    measured = measure_with_interval(np.ones(20, np.int64), probabilities(2, 20), metric=metric, seed=0)
    assert np.isnan(measured.value)
    assert measured.low is None


@pytest.mark.parametrize("metric", METRICS)
def test_an_interval_covers_its_value(metric) -> None:
    kind = METRICS[metric][1][0]
    y = RNG.gamma(2.0, size=300) if kind == "regression" else RNG.integers(0, 2, 300)
    scores = np.abs(y[:, None] + RNG.normal(size=(300, 1))) if kind == "regression" else probabilities(2, 300)
    one = measure_with_interval(y, scores, metric=metric, seed=1)
    assert one.low is not None and one.high is not None
    assert one.low <= one.value <= one.high


@pytest.mark.parametrize(("metric", "low"), [("roc_auc", 0.9289), ("accuracy", 0.9817), ("f1", 0.9289)])
def test_what_is_right_on_every_row_is_not_certain_to_stay_so(metric: str, low: float) -> None:
    y = np.repeat([0, 1], [150, 50])
    one = measure_with_interval(y, np.eye(2)[y], metric=metric, seed=0)
    assert (one.value, one.high) == (1.0, 1.0)
    assert one.low == pytest.approx(low, abs=1e-4)  # 0.025 ** (1 / 50), and of 200 rows


@pytest.mark.parametrize(
    ("metric", "value", "low", "high"), [("balanced_accuracy", 0.5, 0.4939, 0.5356), ("mcc", 0.0, -0.2889, 0.2889)]
)
def test_where_all_rows_are_answered_alike_others_may_not_be(metric, value, low, high) -> None:
    """As where a class is rare: of 300 rows some may be answered so, and of 50 of the class some found."""
    y = np.repeat([0, 1], [300, 50])
    one = measure_with_interval(y, np.tile([0.9, 0.1], (350, 1)), metric=metric, seed=0)
    assert one.value == value
    assert (one.low, one.high) == pytest.approx((low, high), abs=1e-3)


@pytest.mark.parametrize("metric", ["rmse", "mae", "log_loss", "brier"])
def test_a_single_row_says_nothing_of_other_errors(metric: str) -> None:
    y, scores = (np.ones(1), np.zeros((1, 1))) if metric in {"rmse", "mae"} else (np.ones(1, int), np.full((1, 2), 0.5))
    assert measure_with_interval(y, scores, metric=metric, seed=0).low is None
    assert measure_with_interval(np.ones(1, int), np.full((1, 2), 0.5), metric="accuracy", seed=0).low == 0


@pytest.mark.parametrize("metric", ["rmse", "mae", "r2"])
def test_where_a_few_rows_lose_nearly_all_an_interval_is_as_wide_as_that_of_few(metric: str) -> None:
    rng, y = np.random.default_rng(0), np.zeros(300)
    usual, tailed = rng.normal(size=300), rng.normal(size=300)
    tailed[:3] *= 100

    def rows(errors: np.ndarray) -> float:
        return sizes_of(Case(metric, y, errors[:, None], NO_LABELS), None).drawn

    assert rows(usual) > 40
    assert rows(tailed) < 10


def test_of_heavy_tails_more_intervals_hold_the_truth_than_if_rows_were_many() -> None:
    """Student's t of 5 degrees of freedom: the plain percentiles of 60 rows held it in 85 of 100 cases."""
    rng, truth = np.random.default_rng(0), np.sqrt(5 / 3)
    found = [
        measure_with_interval(np.zeros(60), rng.standard_t(5, (60, 1)), metric="rmse", seed=seed) for seed in range(200)
    ]
    assert np.mean([one.low <= truth <= one.high for one in found]) > 0.88


def test_an_interval_narrows_with_rows() -> None:
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

    names = [one.metric for one in measured]
    assert not {"roc_auc", "pr_auc"} & set(names)
    assert {"accuracy", "log_loss"} <= set(names)
    assert told[0].facts == {"metric": "roc_auc", "rows": 5}
    assert judge(BINARY, y, scores, seed=0).metric == "log_loss"


def test_amounts_that_do_not_differ_have_no_r2() -> None:
    y = np.full(7, 0.1)
    assert np.isnan(measure(AMOUNT, y, np.zeros((7, 1)), metric="r2").value)


def test_a_metric_may_name_its_quantile() -> None:
    assert Task("y", "regression", "quantile_loss:0.9").quantile == 0.9
    assert Task("y", "regression", "quantile_loss:0.9").direction == "lower"
    assert quantile_of("quantile_loss") == 0.5
    assert AMOUNT.quantile is None
    assert [is_metric(f"quantile_loss:{each}") for each in ("0.05", "1", "0", "nan", "x", "")] == [True] + [False] * 5
    assert not is_metric("rmse:0.5")


@pytest.mark.parametrize("metric", ["rmse", "mae", "median_absolute_error", "mape", "rmsle", "quantile_loss:0.9"])
def test_no_amount_for_all_rows_is_better_than_the_best(metric: str) -> None:
    y = np.exp(np.random.default_rng(0).normal(size=301) * 2)
    task = replace(AMOUNT, metric=metric)
    tried = [measure(task, y, np.full((301, 1), amount)).value for amount in np.quantile(y, np.linspace(0, 1, 2_000))]
    assert measure(task, y, np.tile(alike(task, y), (301, 1))).value <= min(tried) * 1.001
