"""What a transformer's formula says, by NumPy in float64, one text after another: the graph is compared with it.

Written from the formulas at the head of `transformer.py` and not from its nodes. No padding: a text is by itself.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from aias.core.arrays import Floats, Ints
from aias.graph.transformer import MIDDLE_LENGTH, Affine, Layer, Norm, Transformer

_GELU_CUBIC: Final = 0.044715
"""Hendrycks and Gimpel 2016."""


def reference(transformer: Transformer, texts: Sequence[Sequence[int]]) -> Floats:
    """The vector of each text, given by its tokens, with those that mark its ends."""  # (texts, width)
    return np.array([_vector(transformer, np.array(tokens)) for tokens in texts])


def _vector(encoder: Transformer, tokens: Ints) -> Floats:
    x = encoder.words[tokens].astype(np.float64) + encoder.positions[: len(tokens)]
    x = _norm(x, encoder.norm, encoder.epsilon)
    below: list[Floats] = []
    for place, layer in enumerate(encoder.layers, start=1):
        x = _norm(x + _attention(x, layer, encoder.heads), layer.attention_norm, encoder.epsilon)
        x = _norm(x + _affine(_active(_affine(x, layer.wider), encoder.activation), layer.narrower), layer.norm,
                  encoder.epsilon)  # fmt: skip
        below += [MIDDLE_LENGTH * _pooled(x, encoder)] if place == encoder.beside else []
    return np.concatenate([*below, _pooled(x, encoder)])


def _pooled(x: Floats, encoder: Transformer) -> Floats:
    vector = x[0] if encoder.pooling == "cls" else x.mean(axis=0)
    return np.asarray(vector / np.linalg.norm(vector) if encoder.normalised else vector)


def _attention(x: Floats, layer: Layer, heads: int) -> Floats:
    length, width = x.shape
    query, key, value = (
        _affine(x, each).reshape(length, heads, -1).swapaxes(0, 1) for each in (layer.query, layer.key, layer.value)
    )  # (heads, length, width / heads)
    scores = query @ key.swapaxes(1, 2) / np.sqrt(width // heads)
    shares = np.exp(scores - scores.max(axis=2, keepdims=True))
    mixed = shares / shares.sum(axis=2, keepdims=True) @ value
    return _affine(mixed.swapaxes(0, 1).reshape(length, width), layer.output)


def _active(x: Floats, activation: str) -> Floats:
    from scipy.special import erf

    if activation == "relu":
        return np.maximum(x, 0)
    if activation == "gelu":
        return np.asarray(x * (1 + erf(x / np.sqrt(2))) / 2)
    return np.asarray(x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + _GELU_CUBIC * x**3))) / 2)


def _affine(x: Floats, affine: Affine) -> Floats:
    return x @ affine.weight.astype(np.float64) + affine.bias


def _norm(x: Floats, norm: Norm, epsilon: float) -> Floats:
    apart = x - x.mean(axis=1, keepdims=True)
    return np.asarray(apart / np.sqrt((apart**2).mean(axis=1, keepdims=True) + epsilon) * norm.scale + norm.bias)
