"""Learning rates over a fit whose length may shrink while it runs, so that any deadline fits."""

from dataclasses import dataclass
from math import cos, log2, pi
from typing import Final

SCHEDULES: Final = ("warmup_stable_decay", "cosine", "coslog4", "constant")

WARM_UP: Final = 0.05
WARM_UP_STEPS_MAX: Final = 50
"""A share of all steps, but no more than so many; coslog4 begins at nothing by itself."""

DECAY: Final = 0.3
"""The last part of warmup_stable_decay."""


@dataclass(slots=True)
class Schedule:
    """`planned` steps at most; how many it will be is `total`."""

    kind: str
    planned: int
    total: int = 0
    decay_from: int = 0

    def __post_init__(self) -> None:
        assert self.kind in SCHEDULES, self.kind
        self.planned = self.total = max(1, self.planned)
        self.decay_from = round(self.total * (1 - DECAY))

    def rate(self, step: int) -> float:
        """The share of the highest rate, at step 0, 1, ... total - 1."""
        part = min(1.0, (step + 0.5) / self.total)
        if self.kind == "coslog4":  # RealMLP (Holzmüller, Grinsztajn and Steinwart 2024), four cosine cycles
            return 0.5 * (1 - cos(2 * pi * log2(1 + 15 * part)))
        warm = min(1.0, max(part / WARM_UP, (step + 0.5) / WARM_UP_STEPS_MAX))
        if self.kind == "cosine":
            return warm * 0.5 * (1 + cos(pi * part))
        if self.kind == "warmup_stable_decay" and step >= self.decay_from:
            return warm * max(0.0, (self.total - step) / max(1, self.total - self.decay_from))
        return warm

    def fit(self, steps: int, step: int) -> None:
        """End after `steps`, or after those planned where they are fewer. Once the last part has begun it only ends
        earlier."""
        decaying = self.kind == "warmup_stable_decay" and step >= self.decay_from
        self.total = max(min(steps, self.total if decaying else self.planned), step)
        if not decaying:
            self.decay_from = max(step, round(self.total * (1 - DECAY)))
