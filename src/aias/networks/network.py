"""A network as a plain list of layers with their weights, which are NumPy arrays once it is trained.

    numbers → expanded ┐
    flags, one-hots    ├→ side by side → × adapter of each member → dense ... dense → head of each member → mean
    codes → vectors    ┘

`members` networks share all dense layers, and differ in how they weigh the inputs and in their heads (TabM-mini,
Gorishniy, Kotelnikov and Babenko 2025, arXiv 2410.24210). Tensors are (members, rows, width) from the adapter on.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from aias.core.task import LINKS
from aias.networks.arithmetic import Arithmetic
from aias.networks.inputs import Inputs, Read

Array = npt.NDArray[Any]

ACTIVATIONS: Final = ("none", "relu", "silu")

EXPANSIONS: Final = ("pieces", "waves")

SCORED_AT_ONCE: Final = 1 << 22
"""Numbers of one layer while scoring: some 16 MB."""


@dataclass(frozen=True, slots=True, eq=False)
class Expansion:
    """Each number becomes several: how far it has come in each of its pieces, or waves of it, mixed by weights.

    Piecewise-linear: clip((z - low) / length, 0, 1); periodic: cos(z · speed + phase) (Gorishniy et al. 2022,
    arXiv 2203.05556). Both get `z · slope + bias` besides.
    """

    kind: str
    shift: Any  # (numbers, 1, parts) low, or phase
    speed: Any  # (numbers, 1, parts) one over length, or frequency
    weight: Any  # (numbers, parts, each)
    slope: Any  # (numbers, 1, each)
    bias: Any  # (numbers, 1, each)

    def apply(self, do: Arithmetic, numbers: Any) -> Any:
        """(rows, numbers) → (rows, numbers · each)."""
        count, _, each = self.slope.shape
        z = do.reshape(do.transpose(numbers, (1, 0)), (count, -1, 1))  # (numbers, rows, 1)
        if self.kind == "pieces":
            parts = do.clip(do.multiply(do.subtract(z, self.shift), self.speed), np.float32(0), np.float32(1))
        else:
            parts = do.cos(do.add(do.multiply(z, self.speed), self.shift))
        mixed = do.add(do.matmul(parts, self.weight), do.add(do.multiply(z, self.slope), self.bias))
        return do.reshape(do.transpose(mixed, (1, 0, 2)), (-1, count * each))


@dataclass(frozen=True, slots=True, eq=False)
class Dense:
    """Two in a row with no activation between are one of low rank."""

    weight: Any  # (width before, width)
    bias: Any  # (width,)
    activation: str

    def apply(self, do: Arithmetic, x: Any) -> Any:
        return self.after(do, do.matmul(x, self.weight))

    def after(self, do: Arithmetic, sums: Any) -> Any:
        """From what is weighed already."""
        z = do.add(sums, self.bias)
        if self.activation == "relu":
            return do.relu(z)
        return do.silu(z) if self.activation == "silu" else z


def linked(do: Arithmetic, z: Any, link: str) -> Any:
    """From outputs to probabilities, or as they are; a binary task has one output, and two answers."""
    if link == "sigmoid":
        return do.sigmoid(do.multiply(z, np.array([-1, 1], np.float32)))
    return do.softmax(z) if link == "softmax" else z


def spanned(do: Arithmetic, answers: Any, link: str, span: Array) -> Any:
    """Of a regression, `span` as `Network.range`: predictions in their own unit, within those of training."""
    if link != "identity":
        return answers
    shift, scale, least, most = span
    return do.clip(do.add(do.multiply(answers, scale), shift), least, most)


def in_parts(score: Callable[[Any], Any], x: Any, *, widest: int) -> Any:
    """`score` of so many rows at a time as a layer of so many numbers a row allows."""
    rows = max(1, SCORED_AT_ONCE // widest)
    return np.concatenate([score(x[start : start + rows]) for start in range(0, max(len(x), 1), rows)])


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """Networks that share their layers (TabM, Gorishniy et al. 2025); each has an adapter and a head of its own."""

    inputs: Inputs
    link: str
    expansion: Expansion | None
    table: Any | None
    """A vector for each code of the embedded categories, (codes, each)."""
    adapter: Any
    """How each member weighs each input, (members, 1, width)."""
    dense: tuple[Dense, ...]
    head: Any  # (members, width, outputs); a binary task has one output, the positive class's
    head_bias: Any  # (members, 1, outputs)
    range: Array
    """Of a regression: shift, scale, and the least and largest answer of training; (4,) float64."""

    def scores(self, do: Arithmetic, x: Any) -> Any:
        """Of encoded columns: probabilities (rows, classes), or predictions (rows, 1), float64."""
        return self.answer(do, self.members(do, self.inputs.read(do, x)))

    def members(self, do: Arithmetic, read: Read) -> Any:
        """What each member says before the link: (members, rows, outputs)."""
        x: Any = None
        for x in self.said(do, read):  # noqa: B007  the last of them
            pass
        return do.add(do.matmul(x, self.head), self.head_bias)

    def said(self, do: Arithmetic, read: Read) -> Iterator[Any]:
        """What the head hears, and before it every layer, the inputs first: (members, rows, width)."""
        parts = [] if read.numbers is None else [self._numbers(do, read.numbers)]
        parts += self.inputs.flags(do, read)
        if self.table is not None:
            vectors = do.rows(self.table, read.large)  # (rows, categories, each)
            parts.append(do.reshape(vectors, (-1, len(self.inputs.large) * self.table.shape[1])))
        x = do.multiply(parts[0] if len(parts) == 1 else do.concat(parts), self.adapter)
        yield x
        for layer in self.dense:
            x = layer.apply(do, x)
            yield x

    def answer(self, do: Arithmetic, z: Any) -> Any:
        """The mean of the members' answers."""
        return spanned(do, do.cast(do.mean(linked(do, z, self.link)), np.float64), self.link, self.range)

    def weights(self) -> dict[str, Any]:
        """All that is learned, by name."""
        found = {"adapter": self.adapter, "head": self.head, "head_bias": self.head_bias}
        if self.expansion is not None:
            found |= {f"expansion_{name}": getattr(self.expansion, name) for name in ("weight", "slope", "bias")}
            if self.expansion.kind == "waves":
                found |= {"expansion_shift": self.expansion.shift, "expansion_speed": self.expansion.speed}
        if self.table is not None:
            found["table"] = self.table
        for i, layer in enumerate(self.dense):
            found |= {f"dense_{i}_weight": layer.weight, f"dense_{i}_bias": layer.bias}
        return found

    def with_weights(
        self, weights: Mapping[str, Any], fixed: Callable[[Array], Any] = lambda array: array
    ) -> "Network":
        """The same network with other weights; `fixed` turns what is not learned into their kind of tensor."""
        expansion = self.expansion
        if expansion is not None:
            names = ("shift", "speed", "weight", "slope", "bias")
            others = {name: weights.get(f"expansion_{name}", fixed(getattr(expansion, name))) for name in names}
            expansion = replace(expansion, **others)
        dense = tuple(
            replace(layer, weight=weights[f"dense_{i}_weight"], bias=weights[f"dense_{i}_bias"])
            for i, layer in enumerate(self.dense)
        )
        return replace(
            self, expansion=expansion, table=weights.get("table"), adapter=weights["adapter"], dense=dense,
            head=weights["head"], head_bias=weights["head_bias"],
        )  # fmt: skip

    def state(self) -> dict[str, Array]:
        found: dict[str, Array] = {**self.inputs.state(), **self.weights(), "range": self.range}
        found["link"] = np.array(sorted(LINKS.values()).index(self.link))
        found["activations"] = np.array([ACTIVATIONS.index(layer.activation) for layer in self.dense], np.int64)
        if self.expansion is not None:
            found["expansion_kind"] = np.array(EXPANSIONS.index(self.expansion.kind))
            found |= {"expansion_shift": self.expansion.shift, "expansion_speed": self.expansion.speed}
        return found

    @classmethod
    def load(cls, state: Mapping[str, Array]) -> "Network":
        expansion = None
        if "expansion_kind" in state:
            kind = EXPANSIONS[int(state["expansion_kind"])]
            names = ("shift", "speed", "weight", "slope", "bias")
            expansion = Expansion(kind, **{name: state[f"expansion_{name}"] for name in names})
        dense = tuple(
            Dense(state[f"dense_{i}_weight"], state[f"dense_{i}_bias"], ACTIVATIONS[int(code)])
            for i, code in enumerate(state["activations"])
        )
        return cls(
            Inputs.load(state), sorted(LINKS.values())[int(state["link"])], expansion, state.get("table"),
            state["adapter"], dense, state["head"], state["head_bias"], state["range"],
        )  # fmt: skip

    def _numbers(self, do: Arithmetic, numbers: Any) -> Any:
        return numbers if self.expansion is None else self.expansion.apply(do, numbers)
