"""Encoded columns → what a network reads: scaled numbers, flags of missing ones, one-hot and embedded categories."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from aias.core.arrays import Floats, Ints
from aias.networks.arithmetic import Arithmetic

BOUND: Final = np.float32(3)
"""Scaled numbers stay within ±3: z / sqrt(1 + (z / 3)²) (RealMLP, Holzmüller, Grinsztajn and Steinwart 2024)."""

CLIP: Final = 1e4
"""Of scaled numbers before that, so that 1e308 has a square; it changes no float32 within ±3."""

ONE_HOT_MAX: Final = 12
"""Codes of a category up to which it is one-hot; above, a table of vectors is learned."""

UNSEEN: Final = 1
"""The code of a category that training did not see."""

SAMPLE_ROWS: Final = 100_000
"""Enough for quantiles."""

_ARRAYS: Final = (
    "numbers",
    "center",
    "scale",
    "flagged",
    "small",
    "small_codes",
    "large",
    "large_starts",
    "large_ends",
)


@dataclass(frozen=True, slots=True)
class Read:
    """Rows as a network reads them. Numbers, flags and one-hots are float32, codes are whole."""

    numbers: Any  # (rows, numbers)
    flags: Any  # (rows, flagged)
    small: Any  # (rows, one-hot columns) the code that each of these columns is compared with
    large: Any  # (rows, embedded categories) rows of the table of vectors


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """From encoded columns to what a network reads: numbers scaled, gaps flagged, categories one-hot or embedded."""

    numbers: Ints
    """Columns that vary, (numbers,)."""
    center: Floats
    scale: Floats
    flagged: Ints
    """Columns that had missing values."""
    small: Ints
    """For each column of the one-hot block, where its category stands, and which code it flags."""
    small_codes: Ints
    large: Ints
    """Categories with learned vectors, and where the rows of each begin and end in the table."""
    large_starts: Ints
    large_ends: Ints

    @classmethod
    def fit(cls, x: Floats, categories: Sequence[int], sizes: Sequence[int]) -> "Inputs":
        numbers = np.setdiff1d(np.arange(x.shape[1]), np.array(categories, np.int64))
        center, scale = _robust(x[:, numbers])
        varies = scale > 0
        if not varies.any() and not len(categories):
            varies[:1] = True  # a network reads something; a scale of 0 makes it nothing
        few = [(place, size) for place, size in zip(categories, sizes, strict=True) if size <= ONE_HOT_MAX]
        many = [(place, size) for place, size in zip(categories, sizes, strict=True) if size > ONE_HOT_MAX]
        # The unseen code is no column: it is what flags nothing.
        flags = [(place, code) for place, size in few for code in range(size) if code != UNSEEN]
        bounds = np.cumsum([0, *(size for _, size in many)]).astype(np.int64)
        return cls(
            numbers[varies], center[varies], scale[varies], numbers[np.isnan(x[:, numbers]).any(axis=0)],
            _ints([place for place, _ in flags]), _ints([code for _, code in flags]),
            _ints([place for place, _ in many]), bounds[:-1], bounds[1:],
        )  # fmt: skip

    @property
    def flat(self) -> int:
        """Columns that are read as they are: flags and one-hots."""
        return len(self.flagged) + len(self.small)

    @property
    def categories(self) -> Ints:
        """All of them, each once; `small_at` and `large_at` are places among these."""
        return np.unique(np.concatenate([self.small, self.large]))

    @property
    def small_at(self) -> Ints:
        return np.searchsorted(self.categories, self.small)

    @property
    def large_at(self) -> Ints:
        return np.searchsorted(self.categories, self.large)

    @property
    def codes(self) -> int:
        """Rows of the table of vectors."""
        return int(self.large_ends[-1]) if len(self.large) else 0

    def read(self, do: Arithmetic, x: Any) -> Read:
        """Of the columns `x`, (rows, width) float64, without NaN or infinity in what comes out."""
        return Read(
            self._scaled(do, x) if len(self.numbers) else None,
            do.cast(do.missing(do.columns(x, self.flagged)), np.float32) if len(self.flagged) else None,
            do.columns(x, self.small) if len(self.small) else None,
            do.cast(do.add(do.columns(x, self.large), self.large_starts.astype(np.float64)), np.int64)
            if len(self.large)
            else None,
        )

    def flags(self, do: Arithmetic, read: Read) -> list[Any]:
        """The flags and one-hots of what was read."""
        found = [] if read.flags is None else [read.flags]
        if read.small is not None:
            found.append(do.cast(do.equal(read.small, self.small_codes.astype(np.float64)), np.float32))
        return found

    def state(self) -> dict[str, npt.NDArray[Any]]:
        return {f"inputs_{name}": getattr(self, name) for name in _ARRAYS}

    @classmethod
    def load(cls, state: Mapping[str, npt.NDArray[Any]]) -> "Inputs":
        return cls(**{name: state[f"inputs_{name}"] for name in _ARRAYS})

    def _scaled(self, do: Arithmetic, x: Any) -> Any:
        with np.errstate(over="ignore", invalid="ignore"):
            z = do.multiply(do.subtract(do.columns(x, self.numbers), self.center), self.scale)
        z = do.where(do.missing(z), np.float64(0), z)
        z = do.cast(do.clip(z, np.float64(-CLIP), np.float64(CLIP)), np.float32)
        third = do.multiply(z, 1 / BOUND)
        return do.divide(z, do.sqrt(do.add(do.multiply(third, third), np.float32(1))))


def _robust(x: Floats) -> tuple[Floats, Floats]:
    """The median, and one over the distance of the quartiles, or half the range; 0 where a column does not vary."""
    if not x.shape[1]:
        return np.zeros(0), np.zeros(0)
    sample = x[:: 1 + len(x) // SAMPLE_ROWS]
    center, distance = np.zeros(x.shape[1]), np.zeros(x.shape[1])
    for place, column in enumerate(sample.T):
        finite = column[np.isfinite(column)]
        if len(finite):
            low, center[place], high = np.quantile(finite / 2, [0.25, 0.5, 0.75]) * 2
            with np.errstate(over="ignore"):
                distance[place] = high - low or (finite.max() - finite.min()) / 2
    usable = np.isfinite(distance) & (distance > 1e-300)
    return center, np.where(usable, 1 / np.where(usable, distance, 1.0), 0.0)


def _ints(values: Sequence[int]) -> Ints:
    return np.array(values, np.int64)
