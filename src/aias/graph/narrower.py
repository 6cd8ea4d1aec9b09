"""A transformer with fewer neurons between the two products behind attention, healed by least squares.

    act(x W₁ + b₁) W₂  ≈  act(x W₁[k] + b₁[k]) W' + b'        W' = (G[k, k] + λ)⁻¹ G[k, :] W₂

G is how the neurons vary together in some texts, a centred Gram matrix, and k those that are left. They are chosen one
after another: whichever moves most of what those before leave unsaid. What is lost they make up for (He et al. 2017,
for channels). Two thirds of a layer's products are these two.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from aias.core.arrays import Flags, Floats, Ints
from aias.core.graph import GraphWriter
from aias.encoders.rows import Encoded
from aias.graph.activation_ranges import PRODUCTS
from aias.graph.builder import Builder
from aias.graph.transformer import Affine, Layer, Transformer, Weights, affine_of
from aias.runtimes.onnxruntime import Session

RIDGE: Final = 1e-2
"""λ, of the mean of what neurons vary by."""

ALIKE: Final = 1e-9
"""Of what the first says: who says less is said by those before."""

PART_TOKENS: Final = 1_024
"""That are multiplied at once: one text by itself moves more memory than it computes."""


@dataclass(frozen=True, slots=True, eq=False)
class Neurons:
    """Of one layer, in some texts."""

    mean: Floats  # (neurons,)
    gram: Floats  # (neurons, neurons)


def neurons_of(whole: Transformer, encoded: Encoded) -> list[Neurons]:
    """`encoded`: some rows with their tokens."""
    assert encoded.tokens is not None
    assert encoded.token_mask is not None
    widths = [len(layer.narrower.weight) for layer in whole.layers]
    sums = [(np.zeros(width), np.zeros((width, width))) for width in widths]
    count = 0
    for said in _parts(Session(_active(whole), output="vectors"), encoded.tokens, encoded.token_mask):
        for each, part in zip(sums, np.split(said, np.cumsum(widths)[:-1], axis=1), strict=True):
            each[0][...] += part.sum(axis=0)
            each[1][...] += part.T @ part
        count += len(said)
    means = [total / max(count, 1) for total, _ in sums]
    return [
        Neurons(mean, products / max(count, 1) - np.outer(mean, mean))
        for mean, (_, products) in zip(means, sums, strict=True)
    ]


def _parts(session: Session, tokens: Ints, mask: Flags) -> Iterator[Weights]:
    """What neurons say of the tokens of some texts at a time, one text after another."""
    held, nothing = list[Weights](), np.zeros(0, np.int64)
    for text, there in zip(tokens, mask, strict=True):
        if there.any():
            own = text[None, : there.sum()], there[None, : there.sum()]
            held.append(np.asarray(session.run(Encoded(np.empty((1, 0)), nothing, nothing[:, None], 1, *own))))
        if sum(map(len, held)) >= PART_TOKENS:
            yield np.vstack(held)
            held.clear()
    if held:
        yield np.vstack(held)


def narrowed(whole: Transformer, neurons: Sequence[Neurons], share: float) -> Transformer:
    """With this share of the neurons of each layer; of more than it has the first count."""
    layers = [_narrowed(layer, each, share) for layer, each in zip(whole.layers, neurons, strict=False)]
    return replace(whole, layers=tuple(layers))


def _narrowed(layer: Layer, neurons: Neurons, share: float) -> Layer:
    weight, gram = layer.narrower.weight.astype(np.float64), neurons.gram
    kept = _chosen(gram, np.sqrt((weight**2).sum(axis=1)), max(1, round(share * len(weight))))
    own = gram[np.ix_(kept, kept)]
    own = own + RIDGE * np.diag(own).mean() * np.eye(len(kept))
    healed = np.linalg.solve(own, gram[kept] @ weight)
    bias = layer.narrower.bias + neurons.mean @ weight - neurons.mean[kept] @ healed
    return replace(
        layer,
        wider=Affine(np.ascontiguousarray(layer.wider.weight[:, kept]), layer.wider.bias[kept]),
        narrower=Affine(healed.astype(np.float32), bias.astype(np.float32)),
    )


def _chosen(gram: Floats, heavy: Floats, count: int) -> Ints:
    """One after another, that of which those before say least: pivoted Cholesky of what neurons move."""
    held = gram * np.outer(heavy, heavy)
    left, factor, chosen = np.diag(held).copy(), np.zeros((len(held), count)), list[int]()
    least = ALIKE * max(float(left.max()), 0.0)
    while len(chosen) < count and left.max() > least:
        at, step = int(left.argmax()), len(chosen)
        factor[:, step] = (held[:, at] - factor[:, :step] @ factor[at, :step]) / np.sqrt(left[at])
        left = left - factor[:, step] ** 2
        left[at] = -np.inf
        chosen.append(at)
    return np.array(sorted(chosen or [0]))


def _active(whole: Transformer) -> bytes:
    """What neurons say of each token, those of all layers side by side: (tokens, layers * neurons)."""
    found: list[str] = []

    def write(graph: GraphWriter) -> str:
        places = iter(range(PRODUCTS * len(whole.layers)))

        def affine(_layer: int, x: str, affine: Affine) -> str:
            if next(places) % PRODUCTS == PRODUCTS - 1:
                found.append(x)
            return affine_of(graph, x, affine)

        def rows(table: Weights, at: str) -> str:
            return graph.op("Gather", graph.constant(table), at)

        whole.written(graph, texts=1, rows=rows, affine=affine)
        return graph.op("Concat", *found, axis=1)

    builder = Builder(width=0, texts=0, sentences=write)
    return builder.finish_vectors(builder.vectors)
