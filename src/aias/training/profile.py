"""The training data's profile: what each column looked like, for checks of later data and for the card."""

from collections import Counter
from statistics import median_low
from typing import Any, Final

import numpy as np

from aias.core.schema import Field
from aias.data.dataset import Dataset
from aias.encoders.number import Number
from aias.encoders.text import as_text

QUANTILES: Final = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
FREQUENT_MAX: Final = 20

TIMES_SORTED_MAX: Final = 10_000
"""Enough for a median; a million would take a second."""


def profile(dataset: Dataset) -> dict[str, Any]:
    """For each input: the share of missing values, and quantiles, frequent values, the median of
    times, or lengths in characters."""
    columns = {field.name: _column(field, dataset.values(field.name)) for field in dataset.schema.inputs}
    return {"rows": dataset.rows, "columns": columns}


def _column(field: Field, values: Any) -> dict[str, Any]:
    if field.kind == "number":
        x = Number.fit(field, values).column(values)[:, 0]
        return {"kind": "number", **_spread(x)}
    if field.kind == "text":
        lengths = np.array([float(len(as_text(value, field.missing))) for value in values])
        return {"kind": "text", "characters": _spread(lengths)}
    texts = [str(value) for value in values if value is not None]
    held = {"kind": field.kind, "missing": 1 - len(texts) / max(len(values), 1), "distinct": len(set(texts))}
    if field.kind == "time":  # they are written so that they sort as texts
        return held | {"median": median_low(texts[:: len(texts) // TIMES_SORTED_MAX + 1]) if texts else None}
    frequent = Counter(texts).most_common(FREQUENT_MAX)
    return held | {"frequent": [[value[:100], count] for value, count in frequent]}


def _spread(x: Any) -> dict[str, Any]:
    finite = x[np.isfinite(x)]
    # Of halves, since between the ends of float64 there is more than it holds.
    known = [float(q) for q in np.quantile(finite / 2, QUANTILES) * 2] if len(finite) else []
    return {"missing": float(np.isnan(x).mean()) if len(x) else 0.0, "quantiles": known}
