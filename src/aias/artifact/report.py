"""The report: what an artifact's answers hang on, and how good they are for parts of the rows; `report.json`."""

from dataclasses import dataclass
from typing import Final

import msgspec

from aias.core.errors import Damaged
from aias.core.task import Measurement

REPORT: Final = "report.json"

PLOTS: Final = "plots/"
"""The folder of the plots, SVG files."""


@dataclass(frozen=True, slots=True)
class FieldImportance:
    """How much worse the metric gets when the field is mixed up among the rows; its 95 % interval over repeats."""

    field: str
    drop: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class SliceScore:
    """The rows of one value of a column, and how good the answers are there."""

    column: str
    value: str
    measurement: Measurement


@dataclass(frozen=True, slots=True)
class Report:
    """`importance`: largest first; empty where there was no time for it. `importance_rows`: that it was found on."""

    importance: tuple[FieldImportance, ...] = ()
    importance_rows: int = 0
    slices: tuple[SliceScore, ...] = ()

    def as_bytes(self) -> bytes:
        return msgspec.json.encode(msgspec.to_builtins(self), order="sorted")


def read_report(raw: bytes) -> Report:
    """Parse and check `report.json`. Raises `Damaged`."""
    try:
        return msgspec.json.decode(raw, type=Report, strict=True)
    except (msgspec.MsgspecError, ValueError, RecursionError) as fault:
        raise Damaged(f"{REPORT} is not a report: {fault}") from None
