"""How good scores are for each value of a category, and for each range of a number."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from aias.core.arrays import Floats, Ints
from aias.core.task import Measurement, Task
from aias.training.scoring.metrics import LabelWeights, judge, of_rows

SLICE_ROWS_MIN: Final = 30
"""Of fewer rows no interval says anything; they are joined as `others`."""

SLICES_MAX: Final = 20
"""Of one column: what a person reads; the smallest are joined as well."""

SHOWN_CHARS_MAX: Final = 80
"""Of a value."""

NUMBER_BINS: Final = 4
OTHERS: Final = "others"
MISSING: Final = "missing"


@dataclass(frozen=True, slots=True)
class Slice:
    """`value`: a category's, a range such as `18 to 24`, `missing` or `others`."""

    column: str
    value: str
    measurement: Measurement


def by_slice(
    task: Task, y: Any, scores: Floats, slices: Mapping[str, npt.NDArray[Any]], *, seed: int,
    label_weights: LabelWeights = None, groups: Ints | None = None,
) -> tuple[Slice, ...]:  # fmt: skip
    """`slices`: for each column its value in each row: texts, or numbers that are cut into quarters. `groups`: the
    number of each row's, where some belong together.

    Where a slice cannot give the task's metric (AUC of one class), it is judged by the log loss or RMSE.
    """
    return tuple(
        Slice(column, value, judge(
            task, y[rows], scores[rows], seed=seed, label_weights=of_rows(label_weights, rows),
            groups=None if groups is None else groups[rows],
        ))
        for column, values in slices.items()
        for value, rows in parted(values)
    )  # fmt: skip


def parted(values: npt.NDArray[Any]) -> Iterator[tuple[str, Ints]]:
    """The slices of one column, the largest first: their names, and the places of their rows."""
    return _parts(_named(values))


def each_value(values: Sequence[object] | npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Numbers as they are, texts as Python's own: NumPy's would each take the room of the longest."""
    return values if isinstance(values, np.ndarray) else np.array(values, dtype=object)


def _named(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The name of each row's slice, as text."""
    if values.dtype.kind == "f":
        missing = np.isnan(values)
        names = np.full(len(values), MISSING, dtype=object)
        names[~missing] = _ranges(values[~missing])
        return names
    return np.array([MISSING if value is None else str(value) for value in values], dtype=object)


def _ranges(values: Floats) -> npt.NDArray[Any]:
    distinct, places = np.unique(values, return_inverse=True)
    if len(distinct) <= NUMBER_BINS:
        ends: list[tuple[float, ...]] = [(value,) for value in distinct]
    else:
        cuts = np.unique(np.quantile(values, np.arange(1, NUMBER_BINS) / NUMBER_BINS, method="higher"))
        _, places = np.unique(np.searchsorted(cuts, values, side="right"), return_inverse=True)
        ends = [(values[places == place].min(), values[places == place].max()) for place in range(places.max() + 1)]
    return np.array(_told_apart(ends), dtype=object)[places]


def _told_apart(ends: Sequence[tuple[float, ...]]) -> list[str]:
    """In as few digits, six at least, as tell the numbers from each other: 20,240,100 is not 20,240,101."""
    numbers = {float(end) for each in ends for end in each}
    digits = next((few for few in (6, 9, 12) if len({f"{end:.{few}g}" for end in numbers}) == len(numbers)), 17)
    return [" to ".join(f"{end:.{digits}g}" for end in each) for each in ends]


def _parts(names: npt.NDArray[Any]) -> Iterator[tuple[str, Ints]]:
    """The rows of each slice, the largest first; the small ones together."""
    found = sorted(set(names))
    codes = {name: place for place, name in enumerate(found)}
    places = np.array([codes[name] for name in names], np.int64)
    counts = np.bincount(places)
    order = np.argsort(-counts, kind="stable")
    kept = [place for place in order[: SLICES_MAX - 1] if counts[place] >= SLICE_ROWS_MIN]
    for place in kept:
        yield _shown(found[place]), np.flatnonzero(places == place)
    rest = np.flatnonzero(~np.isin(places, kept))
    if len(rest):
        yield OTHERS, rest


def _shown(name: str) -> str:
    return name if len(name) <= SHOWN_CHARS_MAX else f"{name[:SHOWN_CHARS_MAX]}…"
