"""Stochastic gradient descent in NumPy: a chain of dense layers down its loss, batch after batch.

With the outputs z of a batch and the answers y, the gradient of the loss by z is p − y for probabilities p = link(z) of
the log loss, and z − y for half the squared error; the chain rule does the rest, layer by layer:

    ∂W = aᵀ g        ∂b = Σ g        g ← (g Wᵀ) ⊙ [a > 0]        (Rumelhart, Hinton and Williams 1986)
"""

from dataclasses import replace
from math import isfinite
from typing import Any, Final

import numpy as np

from aias.core.arrays import Floats32
from aias.core.task import Task
from aias.networks.arithmetic import Numpy
from aias.networks.chain import Chain
from aias.networks.losses import ABSOLUTE
from aias.networks.network import linked
from aias.networks.optimizers import BETAS, EPSILON, GRADIENT_MAX, MOMENTUM

RATES: Final = {"sgd": 1.0, "momentum": 0.2, "adam": 5e-3, "schedule_free": 1e-2}
"""The highest learning rate of each rule, where the settings name none."""

ADAPTIVE: Final = ("adam", "schedule_free")
"""Rules whose steps are as long whatever the size of the gradient."""


class Descent:
    """The weights as they move, and their running average."""

    def __init__(self, chain: Chain, task: Task, settings: dict[str, Any]) -> None:
        self.task, self.settings, self.steps, self.total = task, settings, 0, 0.0
        self.free = settings["update"] == "schedule_free"
        self._chain = chain
        self.weights = [each.copy() for layer in chain.dense for each in (layer.weight, layer.bias)]
        self._average = [each.copy() for each in self.weights]
        self._first = [each.copy() if self.free else np.zeros_like(each) for each in self.weights]
        self._second = [np.zeros_like(each) for each in self.weights] if settings["update"] in ADAPTIVE else []

    def step(self, x: Any, y: Any, weight: Floats32, rate: float) -> None:
        """`x`: a batch, CSR float32; `y`: classes or standardised values; `weight`: of its rows, (rows,)."""
        with np.errstate(over="ignore", invalid="ignore"):
            gradients = self._gradients(x, y, weight)
            norm = float(np.sqrt(sum(float(np.vdot(each, each)) for each in gradients)))
        self.steps += 1
        if not isfinite(norm):  # a step to nowhere is not made
            return
        if self.free:
            self._step_freely(gradients, rate)
            return
        rate *= min(1.0, GRADIENT_MAX / max(norm, 1e-12)) if self.settings["update"] not in ADAPTIVE else 1.0
        decay = rate * self.settings["weight_decay"]
        for place, (held, gradient) in enumerate(zip(self.weights, gradients, strict=True)):
            if decay and held.ndim == 2:
                np.multiply(held, np.float32(1 - decay), out=held)
            np.subtract(held, np.float32(rate) * self._moved(place, gradient), out=held)

    def average(self, horizon: float) -> None:
        """Take the weights into the running average, over about so many steps; without a schedule they are there."""
        if self.free:
            return
        share = np.float32(max(1 / horizon, 1 / self.steps))
        for held, new in zip(self._average, self.weights, strict=True):
            np.add(held, share * (new - held), out=held)

    def chain(self) -> Chain:
        """As it is to answer: averaged, where the settings say so."""
        held = self._average if self.free or self.settings["average_epochs"] else self.weights
        dense = tuple(
            replace(layer, weight=held[2 * i].copy(), bias=held[2 * i + 1].copy())
            for i, layer in enumerate(self._chain.dense)
        )
        return replace(self._chain, dense=dense)

    def _step_freely(self, gradients: list[Floats32], rate: float) -> None:
        """As `optimizers.ScheduleFree`: what moves is held in `_first`, and the answer is its average."""
        self.total += rate * rate
        share = np.float32(rate * rate / self.total if self.total else 1.0)
        unbiased, decay = np.float32(1 - BETAS[1] ** self.steps), np.float32(rate * self.settings["weight_decay"])
        for place, (held, gradient) in enumerate(zip(self.weights, gradients, strict=True)):
            moving, second, average = self._first[place], self._second[place], self._average[place]
            np.add(second, np.float32(1 - BETAS[1]) * (gradient * gradient - second), out=second)
            if decay and held.ndim == 2:
                np.subtract(moving, decay * held, out=moving)
            size = np.sqrt(second / unbiased) + np.float32(EPSILON)
            np.subtract(moving, np.float32(rate) * gradient / size, out=moving)
            np.add(average, share * (moving - average), out=average)
            np.add(moving, np.float32(BETAS[0]) * (average - moving), out=held)

    def _moved(self, place: int, gradient: Floats32) -> Floats32:
        """Where the rule goes, for a rate of one."""
        rule = self.settings["update"]
        if rule == "sgd":
            return gradient
        first = self._first[place]
        if rule == "momentum":  # Nesterov's
            first *= MOMENTUM
            first += gradient
            return np.asarray(gradient + np.float32(MOMENTUM) * first)
        second = self._second[place]  # Adam (Kingma and Ba 2015)
        first += np.float32(1 - BETAS[0]) * (gradient - first)
        second += np.float32(1 - BETAS[1]) * (gradient * gradient - second)
        unbiased = np.float32((1 - BETAS[1] ** self.steps) ** 0.5)
        rate = unbiased / np.float32(1 - BETAS[0] ** self.steps)
        return np.asarray(first * rate / (np.sqrt(second) + np.float32(EPSILON) * unbiased))

    def _gradients(self, x: Any, y: Any, weight: Floats32) -> list[Floats32]:
        layers = self._chain.dense
        inputs, z = [x], x
        for i, layer in enumerate(layers):
            z = z @ self.weights[2 * i] + self.weights[2 * i + 1]
            if layer.activation == "relu":
                z = np.maximum(z, 0)
            inputs.append(z)
        g = _off(self.task, z, y, self._chain.link) * (weight / len(weight))[:, None]
        found: list[Floats32] = []
        for i in reversed(range(len(layers))):
            if layers[i].activation == "relu":
                g = g * (inputs[i + 1] > 0)
            found += [g.sum(axis=0), np.asarray(inputs[i].T @ g)]
            if i:
                g = g @ self.weights[2 * i].T
        return found[::-1]


def _off(task: Task, z: Floats32, y: Any, link: str) -> Floats32:
    """The gradient of each row's loss by the outputs, (rows, outputs)."""
    if link == "identity":
        off = z - y[:, None]
        if task.quantile is not None:
            return np.where(off > 0, np.float32(1 - task.quantile), np.float32(-task.quantile))
        return np.asarray(np.sign(off) if task.metric in ABSOLUTE else off)
    p = linked(Numpy(), z, link)
    if link == "sigmoid":
        return np.asarray(p[:, 1:] - y[:, None].astype(np.float32))
    p[np.arange(len(y)), y] -= 1
    return np.asarray(p)
