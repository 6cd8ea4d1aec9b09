"""Edge cases: values that break exporters. A graph must answer them as its pipeline does before it is published."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Final

from aias.core.schema import Field, Kind

EDGE_CASES: Final[Mapping[Kind, Sequence[object]]] = {
    "number": (None, float("nan"), float("inf"), float("-inf"), 0.0, -0.0, 1e308, -1e308, 5e-324, 16777217, "", " 7 "),
    "category": (None, "", "\x00", "never seen before", "ΣΊΣΥΦΟΣ", "ẞ", "İ", "🦊", 3, 3.0, True, "x" * 10_000),
    "time": (None, "", "1970-01-01", "2024-02-29T23:59:59", "0001-01-01", "9999-12-31", dt.date(2000, 1, 1)),
    "text": (
        None, "", " ", "\x00\x01\x02", "ΣΊΣΥΦΟΣ σίσυφος", "Straße STRASSE ẞ", "İstanbul ıI", "e\u0301 é",
        "快递很快，好吃！",
        "ไทยแลนด์ ລາວ ខ្មែរ", "🦊🦊 👩‍👩‍👧", "\ud800", "a" * 100_000, "word " * 20_000, "1\u202e2", "ﬁne ﬀ ① ²",
    ),
}  # fmt: skip


def edge_case_rows(fields: Sequence[Field], usual: Sequence[Mapping[str, object]]) -> list[dict[str, object]]:
    """Usual rows with one edge case each, an empty row, and one row for each place in the lists."""
    cases = [EDGE_CASES[field.kind] for field in fields]
    rows: list[dict[str, object]] = [{}]
    rows.extend(
        {field.name: values[place % len(values)] for field, values in zip(fields, cases, strict=True)}
        for place in range(max(map(len, cases), default=0))
    )
    spread, most = usual or [{}], min(ROWS_MAX, CELLS_MAX // max(len(fields), 1))
    for turn, (field, values) in enumerate(zip(fields, cases, strict=True)):
        for place, value in enumerate(values):
            if len(rows) >= most:
                return rows
            rows.append({**spread[(turn + place) % len(spread)], field.name: value})
    return rows


ROWS_MAX: Final = 600
"""With 100 kB texts among them this is a second of work."""
CELLS_MAX: Final = 1_000_000
"""Of thousands of fields fewer rows, for as much work."""
