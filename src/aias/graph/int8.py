"""A transformer whose products are of whole numbers: a quarter of the bytes, and a third of the time.

    x / c ≈ (q - z) s    q uint8, c of each input, s and z of the product     c W ≈ V t    V int8, t of each output
    x W ≈ s (q - z) V t

(Jacob et al. 2018.) What is multiplied has fixed scales, from the largest and smallest numbers that some texts show: no
answer hangs on who shares its batch, as with scales of whole tensors taken anew each time, and nothing is measured when
a text is read. In a few inputs numbers are a hundred times as large as in others; c makes them alike, and weights take
up what it divides by (Xiao et al. 2023). What is larger in another text is cut. Engines fuse what is written here,
rounding, product and bias, to one node of whole numbers and one that rounds.

Behind the activation one number in a thousand reaches some four times as far as the next, in one token of each text,
and would make the step so much coarser for all. So the few that reach furthest are computed several times, and each
stands for a share of their weights (Zhao et al. 2019, outlier channel splitting): the same product, in finer steps.

The tables of words and positions are rounded by rows. Norms, attention's own products and the mean stay as they were:
they are small.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from math import ceil
from typing import Final

import numpy as np
import numpy.typing as npt

from aias.core.arrays import Ints
from aias.core.graph import FLOAT, ROUNDED, GraphWriter
from aias.core.host import host
from aias.graph.activation_ranges import PRODUCTS, ActivationRange
from aias.graph.transformer import Affine, Transformer, Weights, affine_of

STEPS: Final = 127
"""On either side of zero, of weights."""

NARROW_STEPS: Final = 63
"""Of weights that are multiplied, where sums of two products have 16 bits (`Host.saturates`): 2 · 255 · 63 fits."""

UNSIGNED: Final = 255
"""Steps of activations: processors multiply uint8 with int8 faster than int8 with int8."""

TINY: Final = 1e-6
"""Stands for 0 where something is divided by it."""

ALIKE: Final = 0.8
"""How far inputs are made alike: at 0 they stay as they are, at 1 all reach as far, and weights take up everything. Of
0, .5, .7, .8 and .9 the nearest to float32 (docs/log.md)."""

ALIKE_ACTIVE: Final = 0.4
"""The same behind the activation, where those that reach furthest are there several times: of .3 to .9 the nearest."""

MORE: Final = 1 / 48
"""Of the inputs behind the activation, how many are there once more; MiniLM's 1,536 become 1,568."""

TOGETHER, OUTPUT, WIDER, NARROWER = range(PRODUCTS)
"""The places of a layer's products among its own: query, key and value; what attention gives; and the two around the
activation."""


@dataclass(frozen=True, eq=False)
class Int8:
    """Writes what `of` computes. `reach`: of each product, in their order (`graph.activation_ranges`); of more
    than `of` has the first count. `exact`: layers, by their places, that stay in float32."""

    of: Transformer
    reach: Sequence[ActivationRange]
    exact: frozenset[int] = frozenset()

    @property
    def width(self) -> int:
        return self.of.width

    @property
    def length_max(self) -> int:
        return self.of.length_max

    def write(self, graph: GraphWriter, *, texts: int) -> str:
        """The vectors of each row's texts side by side: (rows, texts * width) float32."""
        places = count()
        if len(self.exact) < len(self.of.layers):
            graph.note(ROUNDED)

        def rows(table: Weights, places: str) -> str:
            return rows_of(graph, table, places)

        def affine(layer: int, x: str, affine: Affine) -> str:
            place = next(places)
            if layer in self.exact:
                return affine_of(graph, x, affine)
            if place % PRODUCTS == OUTPUT:
                return _in_int8(graph, x, affine, self.reach[place], self._mixed_alike(layer, place), divided=True)
            if place % PRODUCTS == TOGETHER:
                each = self._mixed_alike(layer, place + OUTPUT)
                affine = divided_last(affine, each)
            if place % PRODUCTS == WIDER:
                more, _ = again(self.of.layers[layer].narrower, self.reach[place + 1])
                affine = Affine(affine.weight[:, more], affine.bias[more])
            if place % PRODUCTS == NARROWER:
                return _in_int8(graph, x, *shared(affine, self.reach[place]))
            return _in_int8(graph, x, affine, self.reach[place], _alike(affine.weight, self.reach[place], ALIKE))

        assert len(self.reach) >= PRODUCTS * len(self.of.layers)
        return self.of.written(graph, texts=texts, rows=rows, affine=affine)

    def _mixed_alike(self, layer: int, place: int) -> Weights:
        """By what the inputs of the product at this place are divided, which attention gives."""
        return _alike(self.of.layers[layer].output.weight, self.reach[place], ALIKE)


def divided_last(affine: Affine, each: Weights) -> Affine:
    """Query, key and value with the values divided: attention adds them up by their shares, and so what it gives is
    divided without a node for that."""
    weight, bias = affine.weight.copy(), affine.bias.copy()
    weight[:, -len(each) :] /= each
    bias[-len(each) :] /= each
    return Affine(weight, bias)


def rows_of(graph: GraphWriter, table: Weights, places: str) -> str:
    """Rows of a table that is rounded by rows: (tokens,) → (tokens, width)."""
    held, scale = rounded(table, axis=1)
    rows = graph.op("Cast", graph.op("Gather", graph.constant(held), places), to=FLOAT)
    return graph.op("Mul", rows, graph.op("Gather", graph.constant(scale), places))


def _in_int8(
    graph: GraphWriter, x: str, affine: Affine, reach: ActivationRange, each: Weights, *, divided: bool = False
) -> str:  # fmt: skip
    """`each`: by what each input is divided, (inputs,); `divided`: where it was already."""
    held, scales = rounded(affine.weight * each[:, None], axis=0, steps=multiplied_steps())
    step, zero = _steps(reach.low / each, reach.high / each)
    fixed = graph.constant(np.array(step)), graph.constant(np.array(zero))
    whole = graph.op("QuantizeLinear", x if divided else graph.op("Mul", x, graph.constant(1 / each)), *fixed)
    # ONNX Runtime fuses only what has a zero, be it 0.
    zeros = graph.constant(np.zeros_like(held[0]))
    weight = graph.op("DequantizeLinear", graph.constant(held), graph.constant(scales[0]), zeros, axis=1)
    sums = step * scales[0]
    added = graph.constant(np.rint(affine.bias / sums).astype(np.int32))
    bias = graph.op("DequantizeLinear", added, graph.constant(sums), axis=0)
    return graph.op("Gemm", graph.op("DequantizeLinear", whole, *fixed), weight, bias)


def _alike(weight: Weights, reach: ActivationRange, share: float) -> Weights:
    """By what each input is divided: (inputs,)."""
    heavy = np.maximum(np.abs(weight).max(axis=1), TINY)
    return np.asarray(_far(reach) ** share / heavy ** (1 - share), np.float32)


def _far(reach: ActivationRange) -> Weights:
    return np.maximum(np.maximum(reach.high, -reach.low), TINY)


def again(affine: Affine, reach: ActivationRange) -> tuple[Ints, Weights]:
    """Which inputs stand where if those that reach furthest stand there several times, and how often each of them
    does: (more inputs,) both."""
    far, times = _far(reach) / _alike(affine.weight, reach, ALIKE_ACTIVE), np.ones(len(reach.high), np.int64)
    for _ in range(ceil(MORE * len(times))):
        times[np.argmax(far / times)] += 1
    places = np.repeat(np.arange(len(times)), times)
    return places, times[places].astype(np.float32)


def shared(affine: Affine, reach: ActivationRange) -> tuple[Affine, ActivationRange, Weights]:
    """The same of more inputs, those that stand there several times with a share of their weights each; and by what
    each is divided: those by as much more, so that their weights reach as far as before."""
    places, times = again(affine, reach)
    each = times * _alike(affine.weight, reach, ALIKE_ACTIVE)[places]
    more = Affine(affine.weight[places] / times[:, None], affine.bias)
    return more, ActivationRange(reach.low[places], reach.high[places]), each


def _steps(low: Weights, high: Weights) -> tuple[np.float32, np.uint8]:
    """The step from a whole number to the next, and the one that stands for 0."""
    lowest, highest = min(float(low.min()), 0.0), max(float(high.max()), 0.0)
    step = np.float32(max(highest - lowest, TINY) / UNSIGNED)
    return step, np.uint8(round(-lowest / step))


def multiplied_steps() -> int:
    """Of weights in a product of whole numbers, as this processor computes it."""
    return NARROW_STEPS if host().saturates else STEPS


def rounded(weights: Weights, *, axis: int, steps: int = STEPS) -> tuple[npt.NDArray[np.int8], Weights]:
    """Weights ≈ whole numbers * scale, one for all along the axis; of `steps` on either side of zero."""
    largest = np.abs(weights).max(axis=axis, keepdims=True)
    scale = np.where(largest > 0, largest / steps, 1).astype(np.float32)
    return np.rint(weights / scale).astype(np.int8), scale
