"""What optimising gave, as the version that came of it says in its lineage: for the card, and for a terminal."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from aias.artifact.manifest import Manifest


def gained(value: float) -> str:
    """With its sign, which what rounds to nothing has not."""
    if math.isnan(value):
        return "not known"
    return f"{value:+.4f}" if round(value, 4) else "0.0000"


@dataclass(frozen=True, slots=True)
class Gain:
    """How much better by the metric; above 0 is better, whatever its direction. With 95 % confidence the gain is above
    `low`, and with the same below `high`."""

    metric: str
    value: float
    low: float
    high: float
    rows: int

    @property
    def certain(self) -> bool:
        return self.low > 0

    def __str__(self) -> str:
        if math.isnan(self.value):
            return f"{self.metric} cannot be told from {self.rows:,} rows"
        return f"{self.metric} {gained(self.value)} ({gained(self.low)} to {gained(self.high)}, {self.rows:,} rows)"


class Axis(msgspec.Struct, frozen=True):
    """`gain`: of the version before with what this axis tried, on the rows that were searched on."""

    axis: str
    tried: tuple[str, ...]
    gain: float | None


class Optimised(msgspec.Struct, frozen=True):
    """`compared`: the form that was compared with the version before."""

    better_than: str
    compared: str
    gain: Gain
    axes: tuple[Axis, ...]

    def rows(self, manifest: Manifest) -> Iterator[tuple[str, str, str, tuple[str, ...]]]:
        """Of each axis: how many were tried, what it gave, and which of them this form is made of."""
        held = {each.name for each in manifest.leaderboard if each.weight > 0}
        for each in self.axes:
            gave = "nothing was ready" if each.gain is None else gained(each.gain)
            yield each.axis, f"{len(each.tried):,}", gave, tuple(name for name in each.tried if name in held)


def optimised(manifest: Manifest) -> Optimised | None:
    """None for a version that did not come of optimising."""
    if manifest.lineage.verb != "optimize":
        return None
    try:
        return msgspec.convert(manifest.lineage.settings, Optimised)
    except msgspec.ValidationError:  # made before this was said
        return None
