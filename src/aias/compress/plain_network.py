"""A trained network of one member in fewer operations: all that is linear before its first layer is multiplied out.

    columns, each as often as it has pieces → scaled → clip((z - low) · speed, 0, 1)  ┐
    flags, vectors of codes                                                           ┴→ dense ... dense → head

A row alone takes by far most of its time for the number of operations, not for their size (docs/log.md).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from aias.core.arrays import Floats
from aias.core.graph import GraphWriter
from aias.learners.contract import State
from aias.networks.arithmetic import Arithmetic, Graph, Numpy
from aias.networks.inputs import BOUND, UNSEEN, Inputs
from aias.networks.network import Array, Dense, Network, in_parts, linked, spanned

READ_MAX: Final = 600
"""Pieces of all columns together, beyond which the first layer takes longer than the operations that are saved."""

CODES_SPAN: Final = 0.25
"""Up to where the codes of a category are scaled: within it the bound is nearly a straight line."""


@dataclass(frozen=True, slots=True, eq=False)
class PlainNetwork:
    """What `learners.contract.Fitted` promises. `inputs` read each column as often as it has pieces, and codes of few
    values among them; `low`, `speed`: where pieces begin, and one over their lengths, (pieces,)."""

    inputs: Inputs
    low: Array
    speed: Array
    table: Array | None
    dense: tuple[Dense, ...]
    link: str
    span: Array
    """As `Network.range`."""
    settings: dict[str, Any] = field(default_factory=dict)
    judged: Floats | None = None

    def scores(self, x: Any) -> Floats:
        widest = max(len(self.low), *(len(each.bias) for each in self.dense))
        found: Floats = in_parts(lambda part: self._scores(Numpy(), part), x, widest=widest)
        return found

    def export(self, graph: GraphWriter, x: str) -> str:
        return str(self._scores(Graph(graph), x))

    def state(self) -> State:
        found = {**self.inputs.state(), "low": self.low, "speed": self.speed, "span": self.span}
        for i, layer in enumerate(self.dense):
            found |= {f"weight_{i}": layer.weight, f"bias_{i}": layer.bias}
        return found if self.table is None else {**found, "table": self.table}

    def _scores(self, do: Arithmetic, x: Any) -> Any:
        read = self.inputs.read(do, x)
        pieces = do.multiply(do.subtract(read.numbers, self.low), self.speed)
        parts = [do.clip(pieces, np.float32(0), np.float32(1)), *self.inputs.flags(do, read)]
        if self.table is not None:
            vectors = do.rows(self.table, read.large)  # (rows, categories, each)
            parts.append(do.reshape(vectors, (-1, len(self.inputs.large) * self.table.shape[1])))
        z = parts[0] if len(parts) == 1 else do.concat(parts)
        for layer in self.dense:
            z = layer.apply(do, z)
        return spanned(do, do.cast(linked(do, z, self.link), np.float64), self.link, self.span)


@dataclass(frozen=True, slots=True)
class _Piece:
    """clip((bounded((x[column] - center) · scale) - low) · speed, 0, 1), weighed for the first layer, (width,)."""

    column: int
    center: float
    scale: float
    low: float
    speed: float
    weight: Floats


def plain_network(network: Network, settings: dict[str, Any]) -> PlainNetwork | None:
    """The same answers but for rounding; None where that would not be faster."""
    inputs, expansion = network.inputs, network.expansion
    if len(network.adapter) > 1 or expansion is None or expansion.kind != "pieces":
        return None
    first, each = network.dense[0], expansion.weight.shape[2]
    weight = network.adapter[0, 0].astype(np.float64)[:, None] * first.weight
    mixed, flags, small, vectors = np.split(
        weight, np.cumsum([len(inputs.numbers) * each, len(inputs.flagged), len(inputs.small)])
    )
    mixed = mixed.reshape(len(inputs.numbers), each, -1)
    slope = np.einsum("ne,new->nw", expansion.slope[:, 0], mixed)
    bias = first.bias + np.einsum("ne,new->w", expansion.bias[:, 0], mixed) - float(BOUND) * slope.sum(axis=0)
    pieces = [*_numbers(inputs, expansion, mixed, slope)]
    for place in np.unique(inputs.small):
        own = inputs.small == place
        known = dict(zip(inputs.small_codes[own].tolist(), small[own], strict=True))
        known[UNSEEN] = np.zeros(weight.shape[1])
        pieces += _codes(int(place), known)
        bias = bias + known[0]
    if len(pieces) > READ_MAX:
        return None
    column, center, scale, low, speed = np.array(
        [(one.column, one.center, one.scale, one.low, one.speed) for one in pieces]
    ).T
    layer = Dense(
        np.vstack([*(one.weight for one in pieces), flags, vectors]).astype(np.float32), bias.astype(np.float32),
        first.activation,
    )  # fmt: skip
    none = np.empty(0, np.int64)
    return PlainNetwork(
        replace(inputs, numbers=column.astype(np.int64), center=center, scale=scale, small=none, small_codes=none),
        low.astype(np.float32), speed.astype(np.float32), network.table,
        (layer, *network.dense[1:], Dense(network.head[0], network.head_bias[0, 0], "none")),
        network.link, network.range, settings,
    )  # fmt: skip


def _numbers(inputs: Inputs, expansion: Any, mixed: Floats, slope: Floats) -> Iterator[_Piece]:
    """The pieces of each number; and one from end to end, which is the number itself."""
    for i, (column, center, scale) in enumerate(zip(inputs.numbers, inputs.center, inputs.scale, strict=True)):
        ends = zip(expansion.shift[i, 0], expansion.speed[i, 0], expansion.weight[i] @ mixed[i], strict=True)
        for low, speed, weight in [*ends, (-BOUND, 0.5 / BOUND, 2 * float(BOUND) * slope[i])]:
            if speed:
                yield _Piece(int(column), float(center), float(scale), float(low), float(speed), weight)


def _codes(place: int, weights: Mapping[int, Floats]) -> Iterator[_Piece]:
    """One-hots as steps from each code to the next."""
    scale = CODES_SPAN / max(weights)
    ends = np.arange(max(weights) + 1) * scale
    ends /= np.sqrt(1 + (ends / float(BOUND)) ** 2)
    for code in range(1, len(ends)):
        rise = weights[code] - weights[code - 1]
        yield _Piece(place, 0.0, scale, float(ends[code - 1]), float(1 / (ends[code] - ends[code - 1])), rise)
