"""The promise of `learners/contract.py`, for every learner whose libraries are here."""

import importlib.util
import json
from functools import cache
from itertools import count

import numpy as np
import pytest
from scipy import sparse

from aias.core.catalog import member, members
from aias.core.deadline import Deadline
from aias.core.events import nobody
from aias.core.task import Task
from aias.encoders.rows import Layout
from aias.graph.compile import compile_graph
from aias.learners.contract import CURVE_POINTS_MAX, Examples, Fit
from aias.runtimes.onnxruntime import _session

TASKS = {
    2: Task("y", "binary", "log_loss", ("a", "b")),
    3: Task("y", "multiclass", "log_loss", ("a", "b", "c")),
    0: Task("y", "regression", "rmse"),
}

SMALL = {
    "extra_trees": {"trees": 12},
    "catboost": {"learning_rate": 0.2, "rounds": 60},
    "boosted_trees": {"learning_rate": 0.2, "rounds": 60},
    "xgboost": {"learning_rate": 0.2, "rounds": 60},
    "text_mlp": {"width": 8, "epochs": 15, "batch_rows": 32},
    "mlp": {"members": 3, "width": 16, "epochs": 15, "expansion_parts": 4},
}
"""So that a test is short; a learner that is not listed is tested as it is."""

EXACT = 1e-7
"""Between the graph and the learner: probabilities go out in float32."""
NEARLY = {"mlp": 2e-6}
"""Of the largest answer, for what computes in float32 throughout."""

REFUSES = {"catboost"}

ON_ITS_WAY = {"linear"}
"""What comes to its settings from others, and so to other last digits."""

CODES = 30
LAYOUT = Layout(5, (0, 1, 2, 3), (4,), (CODES,), 0, 0)
ODD = (np.nan, np.inf, -np.inf, 1e308, -1e308, 5e-324, 0.0, -0.0, 16777217.0, 3.5e38, 0.1)

EVERY = pytest.mark.parametrize("name", members("learners"))
OF_COLUMNS = pytest.mark.parametrize(
    "name", [each for each in members("learners") if not member("learners", each).sparse]
)
CLASSES = pytest.mark.parametrize("classes", [0, 2, 3])


def learner(name):
    found = member("learners", name)
    for module in found.needs:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    return found


def examples(name, classes, rows=600, *, seed=0, missing=0.1):
    """Four numbers, some missing and a few infinite, and a category; a sparse learner gets what they come to."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 5))
    x[:, 4] = rng.integers(2, CODES - 1, rows)  # the last code is seen by nobody
    z = x[:, 0] + np.isin(x[:, 4] % 7, [1, 3]) * 2 + rng.normal(size=rows) / 3
    if missing:
        x[:, :4][rng.random((rows, 4)) < missing] = np.nan
        x[:3, 1] = [np.inf, -np.inf, 1e308]
    y = {2: (z > 1).astype(np.int64), 3: np.digitize(z, [0, 1.5]).astype(np.int64), 0: 1e6 * z}[classes]
    return Examples(matrix(name, x), y)


def matrix(name, x):
    if not member("learners", name).sparse:
        return x
    numbers = np.clip(np.nan_to_num(x[:, :4]), -3, 3)
    return sparse.csr_matrix(np.hstack([numbers, x[:, 4:] == np.arange(CODES)]))


def odd_rows(name):
    x = examples("boosted_trees", 2, 240, seed=9).x
    for i, odd in enumerate(ODD):
        x[10 * i : 10 * i + 5, i % 4] = odd
        x[10 * i + 5 : 10 * i + 10, :4] = odd
    x[110:120, 4], x[120:130, 4], x[130:140, 4] = 0, 1, CODES - 1  # missing, unseen, known but in no row
    return matrix(name, x)


def how(name, classes, *, seed=0, deadline=None, watch=nobody, keep=None, **settings):
    columns = {} if member("learners", name).sparse else {"categories": (4,), "category_sizes": (CODES,)}
    chosen = {**SMALL.get(name, {}), **settings}
    return Fit(TASKS[classes], seed, deadline or Deadline.after(600), 1, watch, chosen, keep=keep, **columns)


def fit(name, classes, *, train=None, valid=None, **kwargs):
    return learner(name).fit(train or examples(name, classes), valid, how(name, classes, **kwargs))


@cache
def judged(name, classes):
    """Fitted beside rows that judge, once for all tests that only look at it."""
    return fit(name, classes, valid=examples(name, classes, 301, seed=1))


def bytes_of(fitted):
    return {key: array.tobytes() for key, array in fitted.state().items()}


def loss(scores, y, classes):
    """Log loss, or the share of the variance that is not explained."""
    if classes:
        return float(np.mean(-np.log(np.maximum(scores[np.arange(len(y)), y], 1e-15))))
    return float(np.mean((scores[:, 0] - y) ** 2) / y.var())


class Whole:
    """A pipeline that is nothing but the learner."""

    def __init__(self, fitted):
        self.fitted = fitted

    def export(self, graph):
        return self.fitted.export(graph, graph.columns)


def runs(fitted, classes):
    """The graph's answers to columns: (rows, outputs)."""
    session = _session(compile_graph(Whole(fitted), LAYOUT, classes=TASKS[classes].classes))
    output = ["probabilities" if classes else "prediction"]
    return lambda x: session.run(output, {"columns": x})[0].reshape(len(x), -1)


def near(found, expected, name):
    size = max(1.0, np.abs(expected).max()) if name in NEARLY else 1.0
    np.testing.assert_allclose(found / size, expected / size, atol=NEARLY.get(name, EXACT), rtol=1e-9)


@EVERY
def test_a_learner_is_called_as_its_file(name):
    found = member("learners", name)
    assert found.name == name and isinstance(found.sparse, bool) and isinstance(found.needs, tuple)


@CLASSES
@EVERY
def test_it_learns_what_holds_for_rows_that_it_has_not_seen(name, classes):
    test = examples(name, classes, seed=2)
    scores = judged(name, classes).scores(test.x)
    assert scores.shape == (600, max(classes, 1)) and scores.dtype == np.float64
    shares = np.bincount(test.y) / 600 if classes else np.array([test.y.mean()])
    assert loss(scores, test.y, classes) < 0.85 * loss(np.tile(shares, (600, 1)), test.y, classes)
    if classes:
        np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-6)
        assert scores.min() >= 0


@CLASSES
@EVERY
def test_what_was_chosen_is_in_the_settings_and_is_not_chosen_again(name, classes):
    first = judged(name, classes)
    again = fit(name, classes, **first.settings)
    assert again.settings == first.settings
    assert again.judged is None
    assert name in ON_ITS_WAY or bytes_of(again) == bytes_of(first)
    assert json.loads(json.dumps(first.settings)) == first.settings


@CLASSES
@EVERY
def test_equal_seeds_give_equal_bytes(name, classes):
    valid = examples(name, classes, 300, seed=1)
    first, again = (fit(name, classes, valid=valid, seed=5) for _ in range(2))
    assert bytes_of(first) == bytes_of(again)
    assert first.settings == again.settings


@CLASSES
@OF_COLUMNS
def test_it_changes_nothing_of_the_rows_that_it_learns_from(name, classes):
    rows, valid = examples(name, classes), examples(name, classes, 300, seed=1)
    rows.x.flags.writeable = valid.x.flags.writeable = False
    assert fit(name, classes, train=rows, valid=valid).state()


@CLASSES
@EVERY
def test_what_was_stored_is_equal(name, classes):
    fitted = judged(name, classes)
    state = {
        key: np.frombuffer(array.tobytes(), array.dtype).reshape(array.shape) for key, array in fitted.state().items()
    }
    loaded = learner(name).load(state, TASKS[classes], json.loads(json.dumps(fitted.settings)))
    np.testing.assert_array_equal(loaded.scores(odd_rows(name)), fitted.scores(odd_rows(name)))
    assert loaded.settings == fitted.settings


@pytest.mark.parametrize("missing", [0.0, 0.1])
@CLASSES
@OF_COLUMNS
def test_the_graph_answers_odd_rows_as_the_learner_does_alone_and_together(name, classes, missing):
    fitted = fit(name, classes, train=examples(name, classes, missing=missing))
    x, run = odd_rows(name), runs(fitted, classes)
    expected = fitted.scores(x)
    assert np.isfinite(expected).all()
    near(run(x), expected, name)
    near(np.vstack([run(row[None]) for row in x[:140:3]]), expected[:140:3], name)


@CLASSES
@OF_COLUMNS
def test_a_stored_one_writes_the_same_graph(name, classes):
    fitted = fit(name, classes)
    loaded = learner(name).load(fitted.state(), TASKS[classes], fitted.settings)
    first, again = (compile_graph(Whole(each), LAYOUT, classes=TASKS[classes].classes) for each in (fitted, loaded))
    assert first == again


@EVERY
def test_a_category_alone_tells(name):
    rng = np.random.default_rng(3)
    x = np.column_stack([np.zeros((800, 4)), rng.integers(2, CODES - 1, 800)])
    y = np.isin(x[:, 4], rng.permutation(np.arange(2, CODES - 1))[:13]).astype(np.int64)
    train, test = (Examples(matrix(name, x[part]), y[part]) for part in (slice(0, 600), slice(600, 800)))
    scores = fit(name, 2, train=train, valid=test).scores(test.x)
    assert np.mean(scores.argmax(axis=1) == test.y) > 0.9


@CLASSES
@EVERY
def test_columns_that_say_nothing_give_every_row_the_same_answer(name, classes):
    if name in REFUSES:
        pytest.skip("its library refuses to fit where nothing can be learned")
    y = (np.arange(60) % max(classes, 2)).astype(np.int64 if classes else np.float64)
    fitted = fit(name, classes, train=Examples(matrix(name, np.zeros((60, 5))), y))
    scores = fitted.scores(matrix(name, np.zeros((4, 5))))
    np.testing.assert_allclose(scores, np.full((4, max(classes, 1)), 1 / classes if classes else 0.5), atol=0.1)
    if not learner(name).sparse:
        near(runs(fitted, classes)(np.zeros((4, 5))), scores, name)


@EVERY
def test_a_class_that_no_row_has_keeps_its_place(name):
    part = examples(name, 3)
    kept = np.flatnonzero(part.y != 1)
    scores = fit(name, 3, train=Examples(part.x[kept], part.y[kept])).scores(part.x)
    assert scores.shape == (600, 3) and np.isfinite(scores).all()
    assert scores[:, 1].mean() < 0.2


@CLASSES
@EVERY
def test_a_dozen_rows_judged_by_one_will_do(name, classes):
    train, valid = examples(name, classes, 12), examples(name, classes, 1, seed=1, missing=0)
    fitted = fit(name, classes, train=train, valid=valid)
    assert np.isfinite(fitted.scores(odd_rows(name))).all()
    assert fitted.judged is None or fitted.judged.shape == (1, max(classes, 1))


@EVERY
def test_rows_that_weigh_nothing_teach_nothing(name):
    train = examples(name, 2)
    both = sparse.vstack([train.x, train.x], "csr") if learner(name).sparse else np.vstack([train.x, train.x])
    lies = Examples(both, np.concatenate([train.y, 1 - train.y]), np.repeat([2.0, 0.0], 600))
    assert np.mean(fit(name, 2, train=lies).scores(train.x).argmax(axis=1) == train.y) > 0.75


@EVERY
def test_rows_count_by_their_weight(name):
    x = np.zeros((200, 5))
    x[100:, 0] = 1.0
    train = Examples(matrix(name, x), np.tile([0.0, 8.0], 100), np.tile([1.5, 0.5], 100))
    np.testing.assert_allclose(fit(name, 0, train=train).scores(matrix(name, x)), 2.0, atol=0.8)


@CLASSES
@EVERY
def test_no_row_helps_to_choose_what_scores_it(name, classes):
    valid = examples(name, classes, 301, seed=1)
    y = valid.y.copy()
    y[0:16:2] = y[300:284:-2]  # others' answers
    first, again = judged(name, classes), fit(name, classes, valid=Examples(valid.x, y))
    if first.judged is None:
        pytest.skip("it chooses nothing, or one of a few values")
    assert first.judged.shape == (301, max(classes, 1))
    np.testing.assert_array_equal(again.judged[0::2], first.judged[0::2])


@pytest.mark.parametrize("judges", [False, True])
@CLASSES
@EVERY
def test_time_that_has_run_out_leaves_a_model(name, classes, judges):
    late = Deadline(0.0, 0.0, clock=lambda: 1.0)
    valid = examples(name, classes, 300, seed=1) if judges else None
    assert np.isfinite(fit(name, classes, valid=valid, deadline=late).scores(odd_rows(name))).all()


@EVERY
def test_it_ends_soon_after_its_time(name):
    ticks = count()
    deadline = Deadline(20.0, 20.0, clock=lambda: float(next(ticks)))
    endless = {"trees": 10_000, "epochs": 10_000, "learning_rate": 1e-3}
    settings = {key: endless[key] for key in SMALL.get(name, {}) if key in endless}
    fit(name, 2, valid=examples(name, 2, 300, seed=1), deadline=deadline, **settings)
    assert 0 < next(ticks) < 60


@EVERY
def test_states_that_are_kept_on_the_way_are_whole(name):
    kept = []
    fit(name, 2, valid=examples(name, 2, 300, seed=1), keep=lambda make: kept.append(make))
    for make in kept[:1] + kept[-1:]:
        fitted = make()
        loaded = learner(name).load(fitted.state(), TASKS[2], fitted.settings)
        np.testing.assert_array_equal(loaded.scores(odd_rows(name)), fitted.scores(odd_rows(name)))


@EVERY
def test_what_is_told_is_what_a_watcher_wants_to_know(name):
    told = []
    fit(name, 2, valid=examples(name, 2, 300, seed=1), watch=told.append)
    if told[-1].name == "train.curve":  # of those that go round after round
        curve = told.pop().facts
        assert curve["learner"] == name
        assert 0 < len(curve["rounds"]) == len(curve["validation_losses"]) <= CURVE_POINTS_MAX
    assert told and all(event.name == "train.round" for event in told)
    assert told[0].facts["learner"] == name
    assert {"round", "seconds_left"} <= told[0].facts.keys()
