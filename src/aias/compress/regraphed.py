"""The graph of an imported version as it is, with parts of it computed or kept in fewer bits (`graph.rewriting`).

It was fitted on none of the rows here, so that one candidate stands for all folds.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from aias.compress.context import Context
from aias.compress.techniques.contract import Candidate, Made, NotApplicable
from aias.core.evenly import evenly
from aias.encoders.rows import Encoded
from aias.graph.rewritten import NothingToRewrite, Rewriting, Rewritten, rewritten
from aias.runtimes.onnxruntime import sealed_graph

SHOWN_ROWS_MAX: Final = 200
"""That show which values a tensor takes; of their answers nothing is looked at."""

HEALING_ROWS_MAX: Final = 400
HEALING_NUMBERS_MAX: Final = 400_000
"""Of all rows to heal by: a network of images holds some hundred times as many while it reads them."""


def regraphed(context: Context, name: str, how: Rewriting) -> Candidate:
    """Raises `NotApplicable`."""
    found = written(context, how)
    return Candidate(name, lambda _fold: Made(found, context.encoder))


def regraphed_later(context: Context, name: str, how: Rewriting) -> Candidate:
    """The same, written when it is asked for."""
    found: list[Rewritten] = []

    def make(_fold: int) -> Made:
        if not found:
            found.append(written(context, how))
        return Made(found[0], context.encoder)

    return Candidate(name, make)


def written(context: Context, how: Rewriting) -> Rewritten:
    """Raises `NotApplicable`."""
    parent = context.parent
    if not parent.imported or parent.folder is None:
        raise NotApplicable("it was trained here: its members are made smaller one by one")
    try:
        return rewritten(
            sealed_graph(parent.folder, parent.manifest), how, context.encoder.layout, classes=context.task.classes
        )
    except NothingToRewrite as fault:
        raise NotApplicable(str(fault)) from None
    except Exception as fault:  # noqa: BLE001  ONNX Runtime's quantiser may raise anything
        raise NotApplicable(f"its graph cannot be written so: {type(fault).__name__}: {fault}"[:300]) from None


def shown(context: Context) -> list[Mapping[str, Any]]:
    """Some rows that certify nothing, as the graph is fed."""
    return [{"columns": context.encoded(np.array([row])).columns} for row in context.some(SHOWN_ROWS_MAX)]


def healing_rows(context: Context, fold: int) -> Encoded:
    """That may be fitted on, spread over all of them."""
    inside = context.inside(fold)
    count = min(HEALING_ROWS_MAX, max(8, HEALING_NUMBERS_MAX // max(1, context.encoder.layout.width)))
    return context.encoded(inside[evenly(len(inside), count)])
