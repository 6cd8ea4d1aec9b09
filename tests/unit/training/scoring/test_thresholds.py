import numpy as np
import pytest

from aias.core.task import Task
from aias.training.scoring.metrics import decide, measure
from aias.training.scoring.thresholds import CLASSES_MAX, decision_weights


def weights_for(task: Task, y, scores):
    found = decision_weights(task, y, scores, np.arange(len(y)) % 5, seed=0)
    return None if found is None else found[0]


def task_of(metric: str, classes: int = 2) -> Task:
    return Task("y", "binary" if classes == 2 else "multiclass", metric, tuple("abcdef"[:classes]))


def rare(rows: int, seed: int = 0) -> tuple:
    """Calibrated scores of a class that one row in ten has."""
    rng = np.random.default_rng(seed)
    true = rng.beta(0.4, 3.6, rows)
    return (rng.random(rows) < true).astype(np.int64), np.column_stack([1 - true, true])


def uneven(rows: int, seed: int = 0) -> tuple:
    """Calibrated scores of three classes, the last of them rare."""
    rng = np.random.default_rng(seed)
    true = rng.dirichlet([1.5, 1.0, 0.2], rows)
    return (true.cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1), true


@pytest.mark.parametrize("metric", ["f1", "f1_macro", "balanced_accuracy", "mcc"])
def test_labels_of_a_rare_class_are_better_on_new_rows(metric) -> None:
    task = task_of(metric)
    weights = weights_for(task, *rare(4_000))
    y, scores = rare(50_000, seed=1)

    assert weights is not None
    assert sum(weights) == pytest.approx(1)
    gained = measure(task, y, scores, label_weights=weights).value
    best = max(measure(task, y, scores, label_weights=(t, 1 - t)).value for t in np.linspace(0.05, 0.95, 91))
    assert gained > measure(task, y, scores).value
    assert gained > best - 0.02


@pytest.mark.parametrize("metric", ["f1_macro", "balanced_accuracy"])
def test_labels_of_many_classes_are_better_on_new_rows(metric) -> None:
    task = task_of(metric, 3)
    weights = weights_for(task, *uneven(4_000))
    y, scores = uneven(50_000, seed=1)

    assert weights is not None
    gained = measure(task, y, scores, label_weights=weights).value
    assert gained > measure(task, y, scores).value + 0.01


def test_balanced_accuracy_cuts_where_the_class_is_likelier_than_usual() -> None:
    weights = weights_for(task_of("balanced_accuracy"), *rare(20_000))
    assert weights is not None
    assert weights[0] == pytest.approx(0.1, abs=0.03)


@pytest.mark.parametrize("metric", ["log_loss", "roc_auc", "precision", "recall"])
def test_other_metrics_leave_labels_alone(metric) -> None:
    assert weights_for(task_of(metric), *rare(2_000)) is None


def test_so_many_classes_are_not_weighed_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aias.training.scoring.thresholds._find", lambda *_: pytest.fail("it takes minutes"))
    classes = CLASSES_MAX + 1
    y = np.arange(4 * classes) % classes
    task = Task("y", "multiclass", "balanced_accuracy", tuple(map(str, range(classes))))
    assert decision_weights(task, y, np.full((len(y), classes), 1 / classes), y % 5, seed=0) is None


def test_where_a_half_is_best_nothing_is_changed() -> None:
    found = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        true = rng.beta(0.5, 0.5, 3_000)
        y, scores = (rng.random(3_000) < true).astype(np.int64), np.column_stack([1 - true, true])
        found.append(weights_for(task_of("accuracy"), y, scores))
    assert found.count(None) >= 6


def test_rows_of_one_class_change_nothing() -> None:
    _, scores = rare(100)
    assert weights_for(task_of("f1"), np.zeros(100, np.int64), scores) is None


def test_scores_of_nothing_but_0_and_1_can_be_weighed() -> None:
    y = np.arange(200) % 2
    scores = np.eye(2)[np.where(np.arange(200) < 20, 1 - y, y)]
    assert weights_for(task_of("f1"), y, scores) is None


def test_counts_for_each_ratio_are_those_of_the_labels() -> None:
    from aias.training.scoring.thresholds import _Rivalry

    y, scores = uneven(500)
    ratios = np.array([0.3, 1.0, 2.5])
    found = _Rivalry.of(y, scores, 2).counts(ratios)
    for i, ratio in enumerate(ratios):
        labels = decide(scores, (1, 1, ratio))
        assert found.found[i].tolist() == np.bincount(labels, minlength=3).tolist()
        assert found.hits[i].tolist() == np.bincount(y[labels == y], minlength=3).tolist()


def test_no_row_is_judged_by_a_weight_that_its_own_fold_helped_to_find() -> None:
    (y, scores), folds = rare(600), np.arange(600) // 200
    other = np.where(folds == 1, np.roll(y, 1), y)

    first, second = (decision_weights(task_of("f1"), each, scores, folds, seed=0) for each in (y, other))

    assert first is not None
    assert second is not None
    assert first[0] != second[0]
    same = (first[1] == second[1]).all(axis=1)
    assert same.tolist() == (folds == 1).tolist()


def test_what_is_measured_is_no_better_than_what_new_rows_get() -> None:
    task, more, fixed = task_of("f1"), rare(50_000, seed=99), (0.25, 0.75)
    gained, told = [], []
    for seed in range(1, 25):
        y, scores = rare(400, seed=seed)
        own, honest = decision_weights(task, y, scores, np.arange(400) % 5, seed=0) or (None, None)
        for gains, rows, weights in ((gained, more, own), (told, (y, scores), honest)):
            gains.append(
                measure(task, *rows, label_weights=weights).value - measure(task, *rows, label_weights=fixed).value
            )
    assert np.mean(told) < np.mean(gained) + 0.01
