"""Values that break exporters: every model must answer them as its pipeline does before it is published."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Final

from aias.core.schema import Field, Kind

NASTY: Final[Mapping[Kind, Sequence[object]]] = {
    "number": (None, float("nan"), float("inf"), float("-inf"), 0.0, -0.0, 1e308, -1e308, 5e-324, 16777217, "", " 7 "),
    "category": (None, "", "\x00", "never seen before", "ΣΊΣΥΦΟΣ", "ẞ", "İ", "🦊", 3, 3.0, True, "x" * 10_000),
    "time": (None, "", "1970-01-01", "2024-02-29T23:59:59", "0001-01-01", "9999-12-31", dt.date(2000, 1, 1)),
    "text": (
        None, "", " ", "\x00\x01\x02", "ΣΊΣΥΦΟΣ σίσυφος", "Straße STRASSE ẞ", "İstanbul ıI", "e\u0301 é",
        "快递很快，好吃！",
        "ไทยแลนด์ ລາວ ខ្មែរ", "🦊🦊 👩‍👩‍👧", "\ud800", "a" * 100_000, "word " * 20_000, "1\u202e2", "ﬁne ﬀ ① ²",
    ),
}  # fmt: skip


def nasty_rows(fields: Sequence[Field], usual: Sequence[Mapping[str, object]]) -> list[dict[str, object]]:
    """Rows with one nasty value each beside usual ones, one row of nothing, and one for each place in the lists."""
    rows: list[dict[str, object]] = [{}]
    deepest = max((len(NASTY[field.kind]) for field in fields), default=0)
    rows.extend(
        {field.name: NASTY[field.kind][place % len(NASTY[field.kind])] for field in fields} for place in range(deepest)
    )
    spread, most = usual or [{}], min(ROWS_MAX, CELLS_MAX // max(len(fields), 1))
    for turn, field in enumerate(fields):
        for place, value in enumerate(NASTY[field.kind]):
            if len(rows) >= most:
                return rows
            rows.append({**spread[(turn + place) % len(spread)], field.name: value})
    return rows


ROWS_MAX: Final = 600
"""With 100 kB texts among them this is a second of work."""
CELLS_MAX: Final = 1_000_000
"""Of thousands of fields fewer rows, for as much work."""
