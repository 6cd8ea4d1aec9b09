"""`optimize/certify.py`: what is better is called so, and what is not is not."""

from types import SimpleNamespace

import numpy as np
import pytest

from aias.artifact.optimised import Gain, gained
from aias.compress.comparison import Answered, evidence
from aias.compress.gate.evidence import RISK, SPENT
from aias.core.task import Task
from aias.optimize import optimize
from aias.optimize.certify import certify

BINARY = Task("y", "binary", "roc_auc", ("a", "b"))
AMOUNTS = Task("y", "regression", "rmse")


def scored(rng, y, noise):
    second = 1 / (1 + np.exp(-(2 * y - 1 + noise * rng.normal(size=len(y)))))
    return Answered(np.column_stack([1 - second, second]))


def test_a_clear_gain_is_certain_and_its_loss_is_not():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 500)
    bad, good = scored(rng, y, 3.0), scored(rng, y, 1.0)
    gain = certify(BINARY, y, bad, good, seed=0)
    assert gain.certain and 0 < gain.low < gain.value < gain.high
    loss = certify(BINARY, y, good, bad, seed=0)
    assert not loss.certain
    assert loss.value == pytest.approx(-gain.value)


def test_lower_is_better_where_the_metric_says_so():
    y = np.random.default_rng(0).normal(size=300)
    gain = certify(AMOUNTS, y, Answered(y[:, None] + 1.0), Answered(y[:, None] + 0.5), seed=0)
    assert gain.value == pytest.approx(0.5)
    assert gain.certain


def test_the_same_model_gains_nothing():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 100)
    one = scored(rng, y, 1.0)
    gain = certify(BINARY, y, one, one, seed=0)
    assert (gain.value, gain.certain) == (0, False)
    assert gain.low < 0 < gain.high  # on rows not seen it may differ


def test_models_that_are_alike_are_seldom_called_better():
    rng = np.random.default_rng(0)
    called = 0
    for _ in range(100):
        y = rng.normal(size=200)
        before, after = (Answered((y + rng.normal(size=200))[:, None]) for _ in range(2))
        called += certify(AMOUNTS, y, before, after, seed=0).certain
    assert called <= 100 * RISK + 5


def test_labels_are_answered_by_their_weights():
    task = Task("y", "binary", "accuracy", ("a", "b"))
    y = np.array([0, 1] * 50)
    scores = np.column_stack([np.full(100, 0.6), np.full(100, 0.4)])
    scores[1::2] = [0.55, 0.45]
    gain = certify(task, y, Answered(scores), Answered(scores, (0.44, 0.56)), seed=0)
    assert gain.value == pytest.approx(0.5)


def test_where_the_metric_cannot_be_had_nothing_is_certain():
    y = np.zeros(50, np.int64)
    one = Answered(np.full((50, 2), 0.5))
    assert not certify(BINARY, y, one, one, seed=0).certain


def test_what_rounds_to_nothing_has_no_sign():
    assert str(Gain("rmse", -0.00001, -0.00004, 0.00005, 9)) == "rmse 0.0000 (0.0000 to +0.0001, 9 rows)"
    assert str(Gain("rmse", -0.0, -0.25, 0.5, 9)) == "rmse 0.0000 (-0.2500 to +0.5000, 9 rows)"


def test_what_cannot_be_told_is_said_in_words():
    nothing = float("nan")
    assert str(Gain("roc_auc", nothing, -np.inf, np.inf, 501)) == "roc_auc cannot be told from 501 rows"
    assert gained(nothing) == "not known"


def test_copies_of_a_test_row_count_once(monkeypatch):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 60)
    before, after = (Answered(scored(rng, y, noise).scores.repeat(9, axis=0)) for noise in (1.5, 1.3))
    monkeypatch.setattr(optimize, "test_scores", lambda *_: after.scores)
    child = SimpleNamespace(runtime=None, manifest=SimpleNamespace(label_weights=()))
    parent = SimpleNamespace(scores=lambda _: before.scores, manifest=child.manifest)

    def gain(twins):
        prepared = SimpleNamespace(test_y=y.repeat(9), test_clusters=twins)
        table = SimpleNamespace(whole=SimpleNamespace(y=y), judged=np.arange(60))
        recipe = SimpleNamespace(seed=0)
        job = SimpleNamespace(certifying=prepared, parent=parent, task=BINARY, recipe=recipe, table=table)
        return optimize._Job._gain_on_test(job, child)

    alone, together = gain(None), gain(np.arange(60).repeat(9))
    assert together.value == alone.value
    assert together.high - together.low > 2 * (alone.high - alone.low)


@pytest.mark.parametrize("metric", ["roc_auc_ovr", "balanced_accuracy"])
def test_what_gains_where_a_class_did_not_come_up_may_have_lost_that(metric, monkeypatch):
    """Of the rows that certify none is of the fourth class, which the second model never answers."""
    rng, task = np.random.default_rng(0), Task("y", "multiclass", metric, ("a", "b", "c", "d"))
    y, learned = rng.integers(0, 3, 300), np.arange(400) % 4
    before, after = (rng.normal(size=(300, 4)) + far * np.eye(4)[y] for far in (2.0, 4.0))
    before[:, 3] -= 4.0
    after[:, 3] = -9.0
    before, after = (Answered(np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)) for z in (before, after))
    monkeypatch.setattr(optimize, "test_scores", lambda *_: after.scores)
    child = SimpleNamespace(runtime=None, manifest=SimpleNamespace(label_weights=()))
    parent = SimpleNamespace(scores=lambda _: before.scores, manifest=child.manifest)

    def gain(known):
        table = SimpleNamespace(whole=SimpleNamespace(y=known), judged=np.arange(len(known)))
        prepared, recipe = SimpleNamespace(test_y=y, test_clusters=None), SimpleNamespace(seed=0)
        job = SimpleNamespace(certifying=prepared, parent=parent, task=task, recipe=recipe, table=table)
        return optimize._Job._gain_on_test(job, child)

    assert gain(learned[learned < 3]).certain
    assert gain(learned).value == pytest.approx(gain(learned[learned < 3]).value)
    assert not gain(learned).certain


def test_what_decides_pays_for_limits_that_hold_nearly_as_often_as_they_say():
    """As a verdict of the gate does: at 5 % up to 7 of 100 would pass that are no better."""
    rng = np.random.default_rng(0)
    y = rng.normal(size=200)
    before, after = (Answered((y + rng.normal(size=200))[:, None]) for _ in range(2))
    gain, found = certify(AMOUNTS, y, before, after, seed=0), evidence(AMOUNTS, y, before, after, seed=0)

    assert gain.low < -found.limit(1 - RISK)
    assert gain.low == pytest.approx(-found.limit(1 - SPENT))
    assert gain.high == pytest.approx(-found.limit(RISK))
