import json

import numpy as np
import onnxruntime
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from aias.graph.builder import Builder
from aias.training.scoring.calibration import (
    ISOTONIC_ROWS_MIN,
    KNOTS_MAX,
    OFFSET_MAX,
    Isotonic,
    Offsets,
    Platt,
    Temperature,
    choose,
    from_dict,
)

NASTY = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5], [1 - 1e-16, 1e-16], [1.0, 5e-324], [0.3, 0.7], [1e-9, 1 - 1e-9]])


def pairs(second: np.ndarray) -> np.ndarray:
    return np.column_stack([1 - second, second])


def said(rows: int, *, classes: int = 2, power: float = 1.0, seed: int = 0) -> tuple:
    """Answers drawn from probabilities that are then raised to `power`."""
    rng = np.random.default_rng(seed)
    true = rng.dirichlet(np.ones(classes), rows)
    y = (true.cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1)
    raised = true**power
    return y, raised / raised.sum(axis=1, keepdims=True)


def bent(rows: int, seed: int = 0) -> tuple:
    """Scores whose truth is a curve that no power gives."""
    rng = np.random.default_rng(seed)
    score = rng.random(rows)
    return (rng.random(rows) < 0.1 + 0.5 * score**3).astype(np.int64), pairs(score)


def stepped(rows: int) -> tuple:
    """Scores whose truth is a step, which no line through log odds is near."""
    rng = np.random.default_rng(0)
    score = rng.random(rows)
    return (rng.random(rows) < np.where(score > 0.7, 0.9, 0.2)).astype(np.int64), pairs(score)


def leaning(rows: int, *, odds: float = 3.0, slope: float = 1.0, seed: int = 0) -> tuple:
    """Scores whose log odds are too high by `odds`, as those of a class that counted e^3 times while fitting."""
    rng = np.random.default_rng(seed)
    true = rng.normal(-2, 1.5, rows)
    y = (rng.random(rows) < 1 / (1 + np.exp(-true))).astype(np.int64)
    return y, pairs(1 / (1 + np.exp(-slope * (true + odds))))


def answered(calibration, scores: np.ndarray) -> np.ndarray:
    width = scores.shape[1]
    graph = Builder(width=width, texts=0)
    out = calibration.export(graph, graph.columns)
    model = graph.finish(graph.op("ReduceSum", graph.op("Mul", out, graph.constant(np.eye(width)[:1])),
                                  graph.constant(np.array([1])), keepdims=1), classes=())  # fmt: skip
    (found,) = onnxruntime.InferenceSession(model).run(None, {"columns": scores})
    return found


@pytest.mark.parametrize("classes", [2, 4])
def test_a_temperature_takes_back_what_a_power_did(classes) -> None:
    y, scores = said(4_000, classes=classes, power=3.0)
    found = Temperature.fit(y, scores)
    assert found.power == pytest.approx(1 / 3, rel=0.1)
    assert log_loss(y, found.apply(scores)) < log_loss(y, scores)


def test_a_temperature_never_changes_the_label() -> None:
    _, scores = said(2_000, classes=5)
    for power in (0.05, 0.7, 20.0):
        found = Temperature(power).apply(scores)
        assert np.array_equal(found.argmax(axis=1), scores.argmax(axis=1))
        assert found.sum(axis=1) == pytest.approx(1)


def test_a_line_takes_back_a_slope_and_an_offset() -> None:
    y, scores = leaning(20_000, odds=3.0, slope=2.0)
    found = Platt.fit(y, scores)
    assert found.slope == pytest.approx(0.5, rel=0.05)
    assert found.offset == pytest.approx(-3.0, abs=0.15)
    assert found.apply(scores)[:, 1].mean() == pytest.approx(y.mean(), abs=1e-3)
    assert np.array_equal(np.argsort(found.apply(scores)[:, 1]), np.argsort(scores[:, 1]))


def test_labels_that_leaned_to_a_class_that_counted_for_more_are_set_upright() -> None:
    y, scores = leaning(2_000)
    found = choose(y, scores, folds=np.arange(2_000) % 5, seed=0)
    assert isinstance(found, Platt)
    test, raw = leaning(20_000, seed=1)
    right, before = ((found.apply(raw).argmax(axis=1) == test).mean(), (raw.argmax(axis=1) == test).mean())
    assert right > before + 0.1
    assert found.apply(raw).argmax(axis=1).mean() < test.mean() < raw.argmax(axis=1).mean()


def test_offsets_take_back_what_several_classes_counted_for_more() -> None:
    y, true = said(20_000, classes=3)
    costs = np.array([1.0, 5.0, 20.0])
    scores = true**2 * costs
    scores /= scores.sum(axis=1, keepdims=True)
    found = choose(y, scores, folds=np.arange(20_000) % 5, seed=0, costs=costs)
    assert isinstance(found, Offsets)
    assert found.power == pytest.approx(0.5, rel=0.05)
    assert np.diff(found.offsets) == pytest.approx(-np.log([5, 4]) / 2, abs=0.1)
    assert np.abs(found.apply(scores) - true).mean() < 0.01
    assert not isinstance(choose(y, scores, folds=np.arange(20_000) % 5, seed=0), Offsets)


@pytest.mark.parametrize(("classes", "rows"), [(1_000, 400), (300, 3_000), (3, 2_000)])
def test_offsets_of_many_classes_are_those_that_their_weights_imply(classes, rows) -> None:
    """Those of 300 classes were found on 1,333 rows: one for each four rows, by chance."""
    rng = np.random.default_rng(0)
    costs = np.exp(1.5 * rng.normal(size=classes))
    true = rng.dirichlet(np.full(classes, 20 / (classes + 20)), rows + 2_000)
    y = (true.cumsum(axis=1) < rng.random((len(true), 1))).sum(axis=1)
    scores = true * costs / (true * costs).sum(axis=1, keepdims=True)

    found = choose(y[:rows], scores[:rows], folds=np.arange(rows) % 5, seed=0, costs=costs)

    assert isinstance(found, Offsets)
    leaning, after, best = (
        -np.log(np.maximum(each[rows:][np.arange(2_000), y[rows:]], 1e-10)).mean()
        for each in (scores, found.apply(scores), true)
    )
    assert after < min(leaning, best + 0.02)


def test_a_class_without_rows_keeps_the_offset_that_its_weight_implies() -> None:
    y, true = said(900, classes=3)
    costs = np.array([0.5, 1.0, 4.0, 0.0])  # no row of the last is learned from
    scores = np.column_stack([true * costs[:3], np.full(900, 1e-9)])
    scores /= scores.sum(axis=1, keepdims=True)
    found = Offsets.fit(y, scores, costs=costs)
    assert found.offsets[3] == 0
    assert np.diff(found.offsets[:3]) == pytest.approx(-np.log([2, 4]), abs=0.3)
    assert Offsets.fit(y[:50], scores[:50], costs=costs).offsets == pytest.approx(-np.log([0.5, 1.0, 4.0, 1.0]))


@pytest.mark.parametrize(
    "scores", [np.full((60, 3), 1 / 3), np.eye(3)[np.arange(60) % 3], np.eye(3)[np.arange(60) // 20]]
)
def test_offsets_of_scores_that_say_nothing_or_all_stay_within_bounds(scores) -> None:
    found = Offsets.fit(np.arange(60) % 3, scores)
    assert found.power > 0 and np.abs(found.offsets).max() <= OFFSET_MAX
    assert np.isfinite(found.apply(scores)).all() and found.apply(scores).sum(axis=1) == pytest.approx(1)


@pytest.mark.parametrize("y", [np.zeros(50, np.int64), np.ones(50, np.int64), np.arange(50) % 2])
def test_a_line_through_scores_that_say_nothing_or_all_stays_within_bounds(y) -> None:
    for second in (np.full(50, 0.5), np.where(y == 1, 1.0, 0.0), np.where(y == 1, 0.0, 1.0)):
        found = Platt.fit(y, pairs(second))
        assert found.slope > 0 and abs(found.offset) <= OFFSET_MAX
        after = found.apply(pairs(second))
        assert np.isfinite(after).all() and after.sum(axis=1) == pytest.approx(1)


def test_scores_without_an_error_do_not_become_certainties() -> None:
    y = np.arange(100) % 2
    assert Temperature.fit(y, pairs(np.where(y == 1, 0.6, 0.4))).apply(np.array([[0.4, 0.6]]))[0, 1] < 0.999


def test_probabilities_of_many_classes_that_are_right_stay_as_they_are() -> None:
    """A doubt for each class took a share of every row, and the temperature made all of them likely."""
    rng = np.random.default_rng(0)
    true = rng.dirichlet(np.full(200, 0.1), 2_000)
    y = (true.cumsum(axis=1) < rng.random((2_000, 1))).sum(axis=1)
    assert Temperature.fit(y, true).power == pytest.approx(1, abs=0.1)


def test_an_isotonic_curve_rises_and_keeps_ranks() -> None:
    y, scores = bent(20_000)
    found = Isotonic.fit(y, scores)
    after = found.apply(scores)
    assert len(found.knots) <= KNOTS_MAX
    assert roc_auc_score(y, after[:, 1].astype(np.float32)) == pytest.approx(roc_auc_score(y, scores[:, 1]), abs=1e-9)
    assert np.abs(after[:, 1] - (0.1 + 0.5 * scores[:, 1] ** 3)).mean() < 0.01
    assert ((after > 0) & (after < 1)).all()


@pytest.mark.parametrize("spoilt", [0.0, 1.0])
def test_an_isotonic_curve_of_extreme_scores_stays_inside(spoilt) -> None:
    y, scores = bent(6_000)
    scores[:2_000] = pairs(np.full(2_000, spoilt))
    y[:2_000] = spoilt
    scores[:3] = NASTY[[3, 4, 0]]
    after = Isotonic.fit(y, scores).apply(NASTY)
    assert ((after > 0) & (after < 1)).all()


@pytest.mark.parametrize(
    "calibration",
    [Temperature(0.4), Temperature(19.0), Platt(0.3, -4.0), Platt(19.0, OFFSET_MAX), Isotonic.fit(*bent(8_000))],
)
def test_the_graph_says_the_same(calibration) -> None:
    scores = np.vstack([NASTY, bent(500, seed=1)[1]])
    assert answered(calibration, scores) == pytest.approx(calibration.apply(scores)[:, 0], abs=1e-9)


def test_a_curve_is_never_so_steep_that_float32_shows() -> None:
    score = np.where(np.arange(6_000) % 2, 0.5, 0.5 + 1e-12)
    score[:10] = np.linspace(0.5, 0.5 + 1e-15, 10)
    found = Isotonic.fit((np.arange(6_000) + 1) % 2, pairs(score))
    assert (np.diff(found.values) <= 1_001 * np.diff(found.knots)).all()


def test_the_graph_says_the_same_of_many_classes() -> None:
    _, scores = said(200, classes=4)
    scores[:4] = np.eye(4)
    for calibration in (Temperature(2.5), Offsets(2.5, (1.0, -3.0, 0.0, OFFSET_MAX))):
        assert answered(calibration, scores) == pytest.approx(calibration.apply(scores)[:, 0], abs=1e-9)


@pytest.mark.parametrize(
    "calibration", [Temperature(0.4), Platt(1.5, -2.0), Offsets(1.5, (0.1, 2.0, -3.0)), Isotonic.fit(*bent(8_000))]
)
def test_a_calibration_comes_back_from_json(calibration) -> None:
    assert from_dict(json.loads(json.dumps(calibration.as_dict()))) == calibration


def test_what_is_calibrated_is_left_alone() -> None:
    y, scores = said(6_000, seed=4)
    assert choose(y, scores, folds=np.arange(6_000) % 5, seed=0) is None


def test_a_power_is_answered_by_a_temperature_and_a_step_by_an_isotonic_curve() -> None:
    y, scores = said(6_000, power=3.0)
    assert isinstance(choose(y, scores, folds=np.arange(6_000) % 5, seed=0), Temperature)
    y, scores = stepped(12_000)
    assert isinstance(choose(y, scores, folds=np.zeros(12_000, np.int64), seed=0), Isotonic)


def test_few_rows_never_get_an_isotonic_curve() -> None:
    y, scores = bent(ISOTONIC_ROWS_MIN - 1)
    assert not isinstance(choose(y, scores, folds=np.arange(len(y)) % 5, seed=0), Isotonic)
