"""The promise of an encoder: a pure, versioned function from the raw values of one field to numbers.

The very same object runs at training and at serving. Two families:

- *column encoders* (number, category, time) turn one value into `width` float64 numbers, NaN for "missing";
- *term encoders* (text) turn one value into the ids of the terms it holds.

Raw values are what JSON, CSV, Parquet or Arrow give: str, int, float, bool, None, date, datetime.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Protocol

from aias.core.arrays import Floats
from aias.core.schema import Field, Kind


class ColumnEncoder(Protocol):
    """One field → `width` columns of float64."""

    kind: ClassVar[Kind]
    version: ClassVar[int]
    width: int

    @classmethod
    def fit(cls, field: Field, values: Sequence[object]) -> "ColumnEncoder":
        """Learn the tables (categories) from the training rows. Numbers have nothing to learn."""

    @classmethod
    def load(cls, field: Field, table: Mapping[str, object]) -> "ColumnEncoder":
        """The encoder that `table` was made from. Raises `Damaged` on a table that cannot be one."""

    def table(self) -> dict[str, object]:
        """What was learned, as JSON values; `{}` when nothing was."""

    def encode(self, value: object) -> float | tuple[float, ...]:
        """One value: a float when `width` is 1, else a tuple. Missing is NaN. Raises `BadValue`."""

    def column(self, values: Sequence[object] | Floats) -> Floats:
        """Many values at once, equal to `encode` of each. Raises `BadValue` with its row."""  # (rows, width)
