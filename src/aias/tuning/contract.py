"""The promise of a searcher: told what settings came to, it says which to try next."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Protocol

EDGE: Final = 1e-9
"""Relative distance from a limit at which a number still counts as on it."""


@dataclass(frozen=True, slots=True)
class Float:
    """`log`: steps are ratios."""

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        assert self.low < self.high and (self.low > 0 or not self.log), (
            "a range of numbers, above 0 where it is of ratios"
        )

    def at(self, place: float) -> float:
        """From a place between 0 and 1 to the value there."""
        return min(max(_between(self.low, self.high, place, log=self.log), self.low), self.high)

    def place(self, value: Any) -> float:
        return _place(self.low, self.high, value, log=self.log)

    def holds(self, value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return self.low * (1 - EDGE) <= value <= self.high * (1 + EDGE) or value in (self.low, self.high)


@dataclass(frozen=True, slots=True)
class Int:
    """`low` to `high`, both among them."""

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        assert self.low < self.high and (self.low > 0 or not self.log), (
            "a range of numbers, above 0 where it is of ratios"
        )

    def at(self, place: float) -> int:
        value = _between(self.low - 0.5, self.high + 0.5, place, log=self.log)
        return min(max(round(value), self.low), self.high)

    def place(self, value: Any) -> float:
        return _place(self.low - 0.5, self.high + 0.5, value, log=self.log)

    def holds(self, value: Any) -> bool:
        return type(value) is int and self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several JSON values that are in no order."""

    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        assert len(self.values) > 1, "there is something to choose"

    def holds(self, value: Any) -> bool:
        return any(type(each) is type(value) and each == value for each in self.values)

    def index(self, value: Any) -> int:
        return next(i for i, each in enumerate(self.values) if type(each) is type(value) and each == value)


Dimension = Float | Int | Choice

Space = Mapping[str, Dimension]


@dataclass(frozen=True, slots=True)
class Trial:
    """What settings came to. `loss`: lower is better; None when nothing came of them."""

    settings: Mapping[str, Any]
    loss: float | None


class Search(Protocol):
    def ask(self) -> dict[str, Any]:
        """A value within its limits for each dimension. May be asked again before anything was told."""

    def tell(self, settings: Mapping[str, Any], loss: float | None) -> None:
        """Also of settings that were never asked for, if `fits` says that they are in the space."""


class Searcher(Protocol):
    """`needs`: the modules of its optional dependency."""

    needs: ClassVar[tuple[str, ...]]

    @staticmethod
    def start(space: Space, *, seed: int, trials: Sequence[Trial] = ()) -> Search:
        """The same space, seed and trials ask the same, as long as the same is told."""


def value_at(dimension: Dimension, found: Any) -> Any:
    """What a searcher's number stands for: of a choice its place in the list, else a place between 0 and 1."""
    return dimension.values[int(found)] if isinstance(dimension, Choice) else dimension.at(float(found))


def number_of(dimension: Dimension, value: Any) -> Any:
    """The other way: the number that a searcher has for a value."""
    return dimension.index(value) if isinstance(dimension, Choice) else dimension.place(value)


def fits(space: Space, settings: Mapping[str, Any]) -> bool:
    """Whether the settings have a value within its limits for each dimension, and no others."""
    return settings.keys() == space.keys() and all(space[name].holds(value) for name, value in settings.items())


def _between(low: float, high: float, place: float, *, log: bool) -> float:
    return math.exp(_between(math.log(low), math.log(high), place, log=False)) if log else low + place * (high - low)


def _place(low: float, high: float, value: float, *, log: bool) -> float:
    if log:
        low, high, value = math.log(low), math.log(high), math.log(value)
    return min(max((value - low) / (high - low), 0.0), 1.0)
