"""From the columns of our graphs to the values that a foreign model knows; the same in the graph and in NumPy."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from aias.core.arrays import Floats
from aias.core.graph import GraphWriter
from aias.importing.formats.contract import Input, Values

MISSING, UNSEEN = "", "\uffffnever seen"
"""What a model of categories is given for a missing value, and for one that it does not know."""

FIRST_KNOWN: Final = 2.0
"""As in `encoders.category`: 0 is missing, 1 unseen."""


def write_codes(graph: GraphWriter, inputs: Sequence[Input]) -> str:
    """Categories by their place in the file's list, NaN where it does not know them; numbers as they are."""
    is_category = np.array([each.kind == "category" for each in inputs])
    if not is_category.any():
        return graph.columns
    least = graph.constant(np.where(is_category, FIRST_KNOWN, -np.inf)[None, :])
    moved = graph.op("Sub", graph.columns, graph.constant(np.where(is_category, FIRST_KNOWN, 0.0)[None, :]))
    unknown = graph.op("Less", graph.columns, least)
    return graph.op("Where", unknown, graph.constant(np.array([[np.nan]])), moved)


def codes_of(inputs: Sequence[Input], values: Sequence[Values]) -> Floats:
    """The same of raw values: (rows, inputs)."""
    return np.column_stack([_codes(each, found) for each, found in zip(inputs, values, strict=True)])


def _codes(each: Input, values: Values) -> Floats:
    if each.kind != "category":
        return np.asarray(values, np.float64)
    places = {text: float(place) for place, text in enumerate(each.categories)}
    return np.array([places.get(str(value), np.nan) for value in values])
