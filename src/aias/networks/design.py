"""A new network for some rows: its shape by the settings, its first weights by the seed."""

from itertools import pairwise
from typing import Any, Final

import numpy as np

from aias.core.arrays import Floats, Floats32
from aias.networks.initial import INITIAL, begun
from aias.networks.inputs import Inputs
from aias.networks.network import Dense, Expansion, Network

VECTOR_SIZE: Final = 0.25
"""Deviation of the first vectors of categories."""

SAMPLE_ROWS: Final = 50_000
"""Enough for the ends of the pieces."""


def design(
    inputs: Inputs, numbers: Floats32 | None, *, link: str, usual: Floats,
    span: Floats, settings: dict[str, Any], seed: int,
) -> Network:  # fmt: skip
    """`numbers` are the training rows as `inputs` reads them: the pieces of a number end at its quantiles. `usual`: the
    outputs before the link that answer every row alike, (outputs,), from where learning starts."""
    rng = np.random.default_rng(seed)
    members, width = settings["members"], settings["width"]
    expansion = None
    count = 0
    if numbers is not None:
        expansion = _expansion(numbers, settings, rng)
        count = numbers.shape[1] * (1 if expansion is None else settings["expansion_width"])
    table = _table(inputs, settings, rng)
    total = count + inputs.flat + (0 if table is None else len(inputs.large) * table.shape[1])
    sizes = [total, *[width] * settings["layers"]]
    initial = settings.get("initial", INITIAL[0])
    dense = tuple(
        Dense(begun(initial, _uniform(rng, (a, b), a)), _uniform(rng, (b,), a), settings["activation"])
        for a, b in pairwise(sizes)
    )
    return Network(
        inputs, link, expansion, table, _adapter(rng, members, total), dense,
        _uniform(rng, (members, sizes[-1], len(usual)), sizes[-1]),
        _uniform(rng, (members, 1, len(usual)), sizes[-1]) + usual.astype(np.float32), span,
    )  # fmt: skip


def _uniform(rng: np.random.Generator, shape: tuple[int, ...], fan_in: int) -> Floats32:
    """PyTorch's own start of linear layers."""
    bound = 1 / np.sqrt(max(fan_in, 1))
    return rng.uniform(-bound, bound, shape).astype(np.float32)


def _adapter(rng: np.random.Generator, members: int, width: int) -> Floats32:
    if members == 1:
        return np.ones((1, 1, width), np.float32)
    return rng.normal(size=(members, 1, width)).astype(np.float32)


def _table(inputs: Inputs, settings: dict[str, Any], rng: np.random.Generator) -> Floats32 | None:
    if not len(inputs.large):
        return None
    return (rng.normal(size=(inputs.codes, settings["vector_width"])) * VECTOR_SIZE).astype(np.float32)


def _expansion(numbers: Floats32, settings: dict[str, Any], rng: np.random.Generator) -> Expansion | None:
    kind, parts, each = settings["expansion"], settings["expansion_parts"], settings["expansion_width"]
    count = numbers.shape[1]
    if kind == "none":
        return None
    slope, bias = _uniform(rng, (count, 1, each), 1), _uniform(rng, (count, 1, each), 1)
    if kind == "waves":
        speed = rng.normal(size=(count, 1, parts)) * settings["frequency"]
        phase = rng.uniform(-np.pi, np.pi, (count, 1, parts))
        return Expansion(
            kind, phase.astype(np.float32), speed.astype(np.float32), _uniform(rng, (count, parts, each), parts),
            slope, bias,
        )  # fmt: skip
    low, speed = _pieces(numbers, parts)
    # What the pieces add starts at nothing: the network begins as one without them (TabM's version B).
    return Expansion(kind, low, speed, np.zeros((count, parts, each), np.float32), slope, bias)


def _pieces(numbers: Floats32, parts: int) -> tuple[Floats32, Floats32]:
    """Where pieces begin, and one over their lengths, each (numbers, 1, parts); a number of few values has fewer."""
    sample = numbers[:: 1 + len(numbers) // SAMPLE_ROWS]
    low = np.zeros((numbers.shape[1], 1, parts), np.float32)
    speed = np.zeros_like(low)
    for place, column in enumerate(sample.T):
        ends = np.unique(np.quantile(column, np.linspace(0, 1, parts + 1)).astype(np.float32))
        ends = ends[np.concatenate(([True], np.diff(ends) > 1e-5))]
        low[place, 0, : len(ends) - 1], speed[place, 0, : len(ends) - 1] = ends[:-1], 1 / np.diff(ends)
    return low, speed
