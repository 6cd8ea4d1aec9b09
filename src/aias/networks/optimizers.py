"""How weights move: all of them as one flat vector, hence a few operations a step and one average of everything."""

from typing import Any, Final

RATES: Final = {"adamw": 5e-3, "schedule_free": 4e-3, "sgd": 0.5, "momentum": 0.05}
"""The highest learning rate, where the settings name none."""

GRADIENT_MAX: Final = 1.0
"""Norm to which longer gradients are cut."""

MOMENTUM: Final = 0.9
BETAS: Final = (0.9, 0.99)
EPSILON: Final = 1e-8


class Sgd:
    """Without momentum, or with Nesterov's."""

    def __init__(self, weights: Any, decay: Any, *, momentum: float) -> None:
        self.weights, self.decay, self.momentum = weights, decay, momentum
        self.speed = weights.clone().zero_()

    def step(self, gradient: Any, rate: float) -> None:
        self.weights.addcmul_(self.weights, self.decay, value=-rate)
        if self.momentum:
            self.speed.mul_(self.momentum).add_(gradient)
            gradient = gradient.add(self.speed, alpha=self.momentum)
        self.weights.add_(gradient, alpha=-rate)

    def averaged(self) -> Any:
        return None


class AdamW:
    """Loshchilov and Hutter 2019, arXiv 1711.05101."""

    def __init__(self, weights: Any, decay: Any) -> None:
        self.weights, self.decay, self.steps = weights, decay, 0
        self.first, self.second = weights.clone().zero_(), weights.clone().zero_()

    def step(self, gradient: Any, rate: float) -> None:
        self.steps += 1
        self.first.lerp_(gradient, 1 - BETAS[0])
        self.second.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
        unbiased = (1 - BETAS[1] ** self.steps) ** 0.5
        size = self.second.sqrt().add_(EPSILON * unbiased)
        self.weights.addcmul_(self.weights, self.decay, value=-rate)
        self.weights.addcdiv_(self.first, size, value=-rate * unbiased / (1 - BETAS[0] ** self.steps))

    def averaged(self) -> Any:
        return None


class ScheduleFree:
    """AdamW without a schedule: the average of all iterates is the answer at any time (Defazio et al. 2024,
    arXiv 2405.15682, algorithm 1). `weights` hold y, where gradients are taken; z moves, x is its average."""

    def __init__(self, weights: Any, decay: Any) -> None:
        self.weights, self.decay, self.steps, self.total = weights, decay, 0, 0.0
        self.second = weights.clone().zero_()
        self.moving, self.average = weights.clone(), weights.clone()

    def step(self, gradient: Any, rate: float) -> None:
        self.steps += 1
        self.second.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
        size = self.second.div(1 - BETAS[1] ** self.steps).sqrt_().add_(EPSILON)
        self.moving.addcmul_(self.weights, self.decay, value=-rate).addcdiv_(gradient, size, value=-rate)
        self.total += rate * rate
        self.average.lerp_(self.moving, rate * rate / self.total if self.total else 1.0)
        self.weights.copy_(self.moving).lerp_(self.average, BETAS[0])

    def averaged(self) -> Any:
        return self.average


def optimizer(kind: str, weights: Any, decay: Any) -> Any:
    """`decay`: how fast each weight shrinks by itself, a vector like `weights`."""
    if kind == "schedule_free":
        return ScheduleFree(weights, decay)
    if kind == "adamw":
        return AdamW(weights, decay)
    assert kind in {"sgd", "momentum"}, kind
    return Sgd(weights, decay, momentum=MOMENTUM if kind == "momentum" else 0.0)
