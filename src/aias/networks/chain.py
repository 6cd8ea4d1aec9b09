"""Dense layers one after another over features that are nearly all zero: a network on words.

    x W₁ + b₁ → relu → ... → x Wₙ + bₙ → probabilities, or predictions

`x` is a sparse matrix while it is trained; afterwards features give `x W₁` themselves (`features/contract.py`), and
only what follows is a network.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from aias.core.arrays import Floats
from aias.core.task import LINKS
from aias.networks.arithmetic import Arithmetic
from aias.networks.initial import begun
from aias.networks.network import ACTIVATIONS, Array, Dense, linked, spanned


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """`dense`: the last one gives the outputs; `span`: as `Network.range`."""

    dense: tuple[Dense, ...]
    link: str
    span: Array

    @property
    def weights(self) -> Array:
        """Of the features, (features, width)."""
        return self.dense[0].weight  # type: ignore[no-any-return]

    def answer(self, do: Arithmetic, sums: Any) -> Any:
        """From `x W₁`, (rows, width) float32, to scores, float64."""
        z = self.dense[0].after(do, sums)
        for layer in self.dense[1:]:
            z = layer.apply(do, z)
        return spanned(do, do.cast(linked(do, z, self.link), np.float64), self.link, self.span)

    def state(self) -> dict[str, Array]:
        found: dict[str, Array] = {"span": self.span, "link": np.array(sorted(LINKS.values()).index(self.link))}
        for i, layer in enumerate(self.dense):
            found |= {f"weight_{i}": layer.weight, f"bias_{i}": layer.bias}
        return found | {"activations": np.array([ACTIVATIONS.index(each.activation) for each in self.dense], np.int64)}

    @classmethod
    def load(cls, state: Mapping[str, Array]) -> "Chain":
        dense = tuple(
            Dense(state[f"weight_{i}"], state[f"bias_{i}"], ACTIVATIONS[int(code)])
            for i, code in enumerate(state["activations"])
        )
        return cls(dense, sorted(LINKS.values())[int(state["link"])], state["span"])


def new_chain(
    sizes: Sequence[int], *, length: float, link: str, usual: Floats, span: Array, seed: int, initial: str = "random"
) -> Chain:  # fmt: skip
    """`sizes`: from the features to the outputs. `length`: of a usual row of features: what a neuron is told begins of
    size one half. `usual`: the outputs before the link that answer every row alike."""
    rng = np.random.default_rng(seed)
    dense = []
    for place, (before, width) in enumerate(pairwise(sizes)):
        last = place == len(sizes) - 2
        spread = 0.5 / max(length, 1e-9) if not place else (1.0 if last else 2.0) ** 0.5 / before**0.5
        weight = begun(initial, (spread * rng.normal(size=(before, width))).astype(np.float32))
        bias = usual.astype(np.float32) if last else np.zeros(width, np.float32)
        dense.append(Dense(weight, bias, "none" if last else "relu"))
    return Chain(tuple(dense), link, span)
