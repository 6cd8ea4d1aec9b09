"""`networks/descent.py`: its gradients are those of the loss, and each rule goes downhill."""

import numpy as np
import pytest
from scipy import sparse

from aias.core.task import Task
from aias.networks.chain import new_chain
from aias.networks.descent import Descent
from aias.networks.network import LINKS

TASKS = {
    "two": Task("y", "binary", "log_loss", ("a", "b")),
    "three": Task("y", "multiclass", "log_loss", ("a", "b", "c")),
    "amounts": Task("y", "regression", "rmse"),
}
PLAIN = {"update": "sgd", "weight_decay": 0.0, "average_epochs": 0.0}
WEIGHT = np.array([1.0, 0.5, 2.0, 1.0, 0.5], np.float32)


def examples(name):
    rng = np.random.default_rng(0)
    x = sparse.csr_matrix((rng.random((5, 7)) * (rng.random((5, 7)) > 0.4)).astype(np.float32))
    y = {"two": np.array([0, 1, 1, 0, 1]), "three": np.array([0, 1, 2, 0, 1])}.get(name, rng.normal(size=5))
    return x, y if name != "amounts" else y.astype(np.float32)


def descent(name, **settings):
    task = TASKS[name]
    outputs = 3 if name == "three" else 1
    chain = new_chain(
        [7, 6, 4, outputs], length=1.0, link=LINKS[task.type], usual=np.zeros(outputs),
        span=np.array([0.0, 1, -9, 9]), seed=3,
    )  # fmt: skip
    return Descent(chain, task, {**PLAIN, **settings})


def loss(weights, name, x, y):
    """Straight from the definition, in float64."""
    z = x.toarray().astype(np.float64)
    for place in range(0, len(weights), 2):
        z = z @ weights[place] + weights[place + 1]
        if place < len(weights) - 2:
            z = np.maximum(z, 0)
    if name == "amounts":
        each = 0.5 * (z[:, 0] - y) ** 2
    elif name == "two":
        each = np.logaddexp(0, z[:, 0]) - y * z[:, 0]
    else:
        each = np.log(np.exp(z).sum(axis=1)) - z[np.arange(5), y]
    return float((WEIGHT * each).sum() / 5)


@pytest.mark.parametrize("name", list(TASKS))
def test_gradients_are_the_slopes_of_the_loss(name):
    x, y = examples(name)
    found = descent(name)
    weights = [each.astype(np.float64) for each in found.weights]

    gradients = found._gradients(x, y, WEIGHT)

    for place, gradient in enumerate(gradients):
        for spot in list(np.ndindex(gradient.shape))[::3]:
            ends = []
            for step in (1e-5, -1e-5):
                moved = [each.copy() for each in weights]
                moved[place][spot] += step
                ends.append(loss(moved, name, x, y))
            assert gradient[spot] == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=1e-4)


@pytest.mark.parametrize(("rule", "rate"), [("sgd", 0.2), ("momentum", 0.02), ("adam", 0.01), ("schedule_free", 0.01)])
def test_every_rule_goes_downhill(rule, rate):
    x, y = examples("three")
    found = descent("three", update=rule)
    before = loss(found.weights, "three", x, y)

    for _ in range(60):
        found.step(x, y, WEIGHT, rate)

    assert loss(found.weights, "three", x, y) < 0.9 * before


def test_without_a_schedule_the_answer_is_the_average_of_all_that_moved():
    """Step by step as the paper has it: arXiv 2405.15682, algorithm 1, with Adam's sizes and a constant rate."""
    x, y = examples("two")
    found = descent("two", update="schedule_free", weight_decay=0.1)
    moving = [each.astype(np.float64) for each in found.weights]
    average, second = [each.copy() for each in moving], [np.zeros_like(each) for each in moving]
    for step in range(1, 6):
        between = [0.1 * z + 0.9 * mean for z, mean in zip(moving, average, strict=True)]
        for held, expected in zip(found.weights, between, strict=True):
            np.testing.assert_allclose(held, expected, atol=1e-5)
        for place, gradient in enumerate(found._gradients(x, y, WEIGHT)):
            second[place] = 0.99 * second[place] + 0.01 * gradient**2
            size = np.sqrt(second[place] / (1 - 0.99**step)) + 1e-8
            decay = 0.1 * between[place] if gradient.ndim == 2 else 0.0
            moving[place] = moving[place] - 0.02 * (gradient / size + decay)
            average[place] = average[place] + (moving[place] - average[place]) / step
        found.step(x, y, WEIGHT, 0.02)
        found.average(3.0)  # changes nothing

    for layer, weight, bias in zip(found.chain().dense, average[::2], average[1::2], strict=True):
        np.testing.assert_allclose(layer.weight, weight, atol=1e-5)
        np.testing.assert_allclose(layer.bias, bias, atol=1e-5)


def test_a_plain_step_is_the_rate_times_the_gradient():
    x, y = examples("two")
    found = descent("two")
    before, gradients = [each.copy() for each in found.weights], found._gradients(x, y, WEIGHT)

    found.step(x, y, WEIGHT, 0.1)

    for old, new, gradient in zip(before, found.weights, gradients, strict=True):
        np.testing.assert_allclose(new, old - 0.1 * gradient, atol=1e-6)


def test_a_step_to_nowhere_is_not_made():
    x, y = examples("amounts")
    found = descent("amounts")
    before = [each.copy() for each in found.weights]

    found.step(x, y * np.float32(np.inf), WEIGHT, 0.1)

    assert all(np.array_equal(old, new) for old, new in zip(before, found.weights, strict=True))
