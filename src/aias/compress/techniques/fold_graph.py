"""The graph of an imported version without what need not be computed for each row (`graph.folding`).

ONNX Runtime does most of it again whenever it loads a graph, but for norms behind dense layers: where these stand a row
gains, and otherwise the file, its loading, and engines that do less.
"""

from collections.abc import Iterator

from aias.compress.context import Context
from aias.compress.regraphed import regraphed
from aias.compress.techniques.contract import Candidate, NotApplicable
from aias.graph.folding import folded

__all__ = ["fold_graph"]


def fold_graph(context: Context) -> Iterator[Candidate]:
    if not context.parent.imported:
        raise NotApplicable("it was trained here, and its graph is written with all constants folded")
    yield regraphed(context, "the graph folded", folded)
