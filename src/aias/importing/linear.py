"""XGBoost's `gblinear`: one weight a column and output, a missing value adds nothing.

XGBoost adds up in float32, where amounts near its end come to infinity or to nothing at all. So amounts beyond ±1e30
count as that, by the version and by whoever it is compared with.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from aias.core.arrays import Floats
from aias.core.graph import DOUBLE, FLOAT, GraphWriter
from aias.encoders.rows import Layout
from aias.graph.compile import compile_graph
from aias.importing.formats.contract import Input, Plan, UnreadableModel
from aias.importing.links import Link, write_link

AMOUNT_MAX: Final = 1e30


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    of_columns: Floats  # (columns, outputs)
    intercept: Floats  # (outputs,)

    @property
    def outputs(self) -> int:
        return len(self.intercept)

    def graph(self, inputs: Sequence[Input], plan: Plan, link: Link) -> bytes:
        layout = Layout(len(inputs), tuple(range(len(inputs))), (), (), 0, 0)
        return compile_graph(_Written(self, link), layout, classes=plan.classes)


def weights_of(model: dict[str, Any], base: Floats, *, width: int, outputs: int) -> Weights:
    """`base`: what is added to the sums; XGBoost adds the first to each of them. Raises `UnreadableModel`."""
    held = np.array(model["weights"], np.float32).astype(np.float64)
    if held.size != (width + 1) * outputs or not np.isfinite(held).all():
        raise UnreadableModel(
            f"it holds {held.size:,} weights, and reads {width:,} columns for {outputs} answers", hint="write it again"
        )
    held = held.reshape(width + 1, outputs)
    return Weights(held[:-1], held[-1] + base[0])


@dataclass(frozen=True, slots=True, eq=False)
class _Written:
    weights: Weights
    link: Link

    def export(self, graph: GraphWriter) -> str:
        x = graph.columns
        x = graph.op("Where", graph.op("IsNaN", x), graph.constant(np.array([[0.0]])), x)
        x = graph.op("Clip", x, graph.constant(np.float64(-AMOUNT_MAX)), graph.constant(np.float64(AMOUNT_MAX)))
        sums = graph.op("MatMul", x, graph.constant(self.weights.of_columns))
        sums = graph.op("Add", sums, graph.constant(self.weights.intercept[None, :]))
        if self.link != "exp":
            return write_link(graph, sums, self.link)
        single = graph.op("Cast", sums, to=FLOAT)  # which overflows where XGBoost does
        return graph.op("Cast", write_link(graph, single, self.link), to=DOUBLE)
