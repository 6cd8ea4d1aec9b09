"""Pipelines with weights of 8 or 16 bits: what is multiplied with them, and added up, stays as it was.

    W ≈ s q        q = round(W / s), from -127 to 127        s = max |W| / 127, of each column

Scales and codes lie in the graph. Of a table of terms only the rows that are read are made whole. Weights
of dense layers are made whole when the graph is loaded (constant folding): smaller on disk, as fast as before.
Activations are not rounded: ONNX Runtime scales them by the whole batch, and a row's answer would hang on who shares
its batch.
"""

from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from aias.core.arrays import Floats, Floats32
from aias.core.catalog import member
from aias.core.graph import FLOAT, GraphWriter
from aias.features.terms import Terms
from aias.networks.arithmetic import Graph
from aias.networks.network import Network
from aias.training.blocks import TextSums
from aias.training.ensemble import Ensemble
from aias.training.pipeline import Block, ColumnsPipeline, LinearPipeline, Pipeline

CODE_MAX: Final = 127

HALF_MAX: Final = float(np.finfo(np.float16).max)
"""Amounts may have larger weights, which stay in 32 bits: in 16 they would be infinite."""


def rounded(pipeline: Pipeline, bits: int) -> Pipeline:
    """The same with rounded tables of terms and networks; what is neither stays as it is."""
    if isinstance(pipeline, Ensemble):
        parts = [replace(each, pipeline=rounded(each.pipeline, bits)) for each in pipeline.parts]
        return replace(pipeline, parts=parts)
    if isinstance(pipeline, LinearPipeline):
        return _linear(pipeline, bits)
    if isinstance(pipeline, ColumnsPipeline):
        network = getattr(pipeline.fitted, "network", None)
        fitted: Any = pipeline.fitted if network is None else RoundedNetwork.of(network, bits)
        return ColumnsPipeline([_block(each, bits) for each in pipeline.blocks], fitted)
    return pipeline


def _block(block: Block, bits: int) -> Block:
    return TextSums(_linear(block.linear, bits)) if isinstance(block, TextSums) else block


def _linear(pipeline: LinearPipeline, bits: int) -> LinearPipeline:
    features = [
        each.rounded(32 if bits == 16 and not _are_halves(each.table(weights)) else bits)
        if isinstance(each, Terms) else each
        for each, weights in pipeline.parts()
    ]  # fmt: skip
    return LinearPipeline(features, pipeline.model)


class Held(str):
    """A tensor of the graph that knows its shape."""

    __slots__ = ("shape",)
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class RoundedNetwork:
    """`network`: as it answers, its weights rounded; `codes`: what of them lies in the graph, and the scales."""

    network: Network
    codes: dict[str, tuple[npt.NDArray[Any], Floats32 | None]]
    settings: dict[str, Any] = field(default_factory=dict)
    judged: Floats | None = None

    @classmethod
    def of(cls, network: Network, bits: int) -> "RoundedNetwork":
        weights, codes = network.weights(), {}
        for name, value in weights.items():
            if value.ndim > 1 and min(value.shape[-2:]) > 1 and (bits != 16 or _are_halves(value)):
                codes[name] = _coded(value, bits)
                weights[name] = _whole(*codes[name])
        return cls(network.with_weights(weights), codes)

    def scores(self, x: Floats) -> Floats:
        return np.asarray(self._fitted().scores(x))

    def state(self) -> dict[str, npt.NDArray[Any]]:
        return self.network.state()

    def export(self, graph: GraphWriter, x: str) -> str:
        held = {name: self._written(graph, name, value) for name, value in self.network.weights().items()}
        return str(self.network.with_weights(held).scores(Graph(graph), x))

    def _fitted(self) -> Any:
        return member("learners", "mlp").load(self.network.state(), None, {})

    def _written(self, graph: GraphWriter, name: str, value: npt.NDArray[Any]) -> Any:
        if name not in self.codes:
            return value
        codes, scale = self.codes[name]
        found = graph.op("Cast", graph.constant(codes), to=FLOAT)
        found = Held(found if scale is None else graph.op("Mul", found, graph.constant(scale)))
        found.shape = value.shape
        return found


def _are_halves(values: npt.NDArray[Any]) -> bool:
    return bool(np.abs(values).max(initial=0.0) < HALF_MAX)


def _coded(value: npt.NDArray[Any], bits: int) -> tuple[npt.NDArray[Any], Floats32 | None]:
    """Codes and the scale of each column."""
    if bits == 16:
        return value.astype(np.float16), None
    most = np.abs(value).max(axis=-2, keepdims=True)
    scale = np.where(most > 0, most / CODE_MAX, 1.0).astype(np.float32)
    return np.rint(value / scale).astype(np.int8), scale


def _whole(codes: npt.NDArray[Any], scale: Floats32 | None) -> Floats32:
    found = codes.astype(np.float32)
    return found if scale is None else found * scale
