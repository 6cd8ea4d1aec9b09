"""Windows of three tokens, learned: which of them tell the answers, from vectors that tokens have by themselves.

    h(t) = K₀ e(t-1) + K₁ e(t) + K₂ e(t+1) + b        r = max(0, max over t of h(t))        answer: z + H r + c

(Kim 2014.) What others, such as a linear model of words, say without them is z: windows learn what it leaves, and not
a second time what it says. Vectors e stay what they are, so that a token that was never seen in these texts is read
like its neighbours; then K e is one table for each place in the window, and nothing is multiplied when a text is read
(`graph.windows`). Learned by Adam (Kingma and Ba 2015) in NumPy, a share of tokens and of r left out in each step.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import Final

import numpy as np

from aias.core.arrays import Flags, Floats, Floats32, Ints
from aias.core.deadline import Deadline
from aias.core.links import softmax

PLACES: Final = 3
EPOCHS: Final = 12
BATCH: Final = 64
STEPS_MIN: Final = 500
"""Of few rows, which are so read more often: in fewer a head does not come to be as sure as it should."""

RATE: Final = 2e-3
TOKENS_GONE, FILTERS_GONE = 0.1, 0.4
BETAS: Final = (0.9, 0.99)
TINY: Final = 1e-8


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """`tokens`, `mask`: the texts of one row after another, (rows * texts, length); `targets`: probabilities, or
    standardised amounts, (rows, outputs); `known`: the sum of the other models' scores, (rows, outputs)."""

    tokens: Ints
    mask: Flags
    targets: Floats
    known: Floats

    @property
    def rows(self) -> int:
        return len(self.targets)

    @property
    def texts(self) -> int:
        return len(self.tokens) // len(self.targets)

    def some(self, rows: Ints) -> "Examples":
        texts = (rows[:, None] * self.texts + np.arange(self.texts)).ravel()
        mask = self.mask[texts]
        length = int(mask.sum(axis=1).max(initial=1))
        return Examples(self.tokens[texts, :length], mask[:, :length], self.targets[rows], self.known[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Kernel:
    """And what follows from r, of the texts of a row side by side."""

    weights: Floats32  # (PLACES * width, filters)
    bias: Floats32  # (filters,)
    head: Floats32  # (texts * filters, outputs)
    intercept: Floats32  # (outputs,)


def learned(
    examples: Examples, vectors: Floats32, *, filters: int, classes: bool, seed: int, deadline: Deadline,
    epochs: int = EPOCHS,
) -> Kernel:  # fmt: skip
    """`vectors`: (vocabulary, width). Where the deadline passes, what was learned by then."""
    rng, width, outputs = np.random.default_rng(seed), vectors.shape[1], examples.targets.shape[1]
    spread = 1 / np.sqrt(PLACES * width)
    state = [
        rng.uniform(-spread, spread, (PLACES * width, filters)).astype(np.float32), np.zeros(filters, np.float32),
        np.zeros((examples.texts * filters, outputs), np.float32), np.zeros(outputs, np.float32),
    ]  # fmt: skip
    moments = [[np.zeros_like(each) for each in state] for _ in BETAS]
    order = list(batches(examples, max(epochs, ceil(STEPS_MIN * BATCH / examples.rows)), rng))
    for step, rows in enumerate(order):
        if deadline.passed:
            break
        gradients = _gradients(state, examples.some(rows), vectors, classes=classes, rng=rng)
        rate = RATE * (1 - step / len(order))
        rate *= np.sqrt(1 - BETAS[1] ** (step + 1)) / (1 - BETAS[0] ** (step + 1))
        for place, gradient in enumerate(gradients):
            first, second = (
                held[place] + (1 - beta) * (gradient**power - held[place])
                for held, beta, power in zip(moments, BETAS, (1, 2), strict=True)
            )
            moments[0][place], moments[1][place] = first, second
            state[place] -= (rate * first / (np.sqrt(second) + TINY)).astype(np.float32)
    return Kernel(*state)


def batches(examples: Examples, epochs: int, rng: np.random.Generator, *, rows: int = BATCH) -> Iterator[Ints]:
    """Rows whose texts are about as long together, or most of a batch would be padding."""
    lengths = examples.mask.sum(axis=1).reshape(examples.rows, examples.texts).max(axis=1)
    for _ in range(epochs):
        order = np.argsort(lengths + rng.uniform(0, 3, len(lengths)), kind="stable")
        parts = np.array_split(order, max(1, round(len(order) / rows)))
        yield from (parts[i] for i in rng.permutation(len(parts)))


def _gradients(
    state: list[Floats32], examples: Examples, vectors: Floats32, *, classes: bool, rng: np.random.Generator
) -> list[Floats32]:
    from scipy import sparse

    kernel, bias, head, intercept = state
    tokens, mask, filters = examples.tokens, examples.mask, len(bias)
    kept = mask & (rng.random(mask.shape) >= TOKENS_GONE)
    used, which = np.unique(tokens, return_inverse=True)
    e = np.vstack([vectors[used], np.zeros_like(vectors[:1])])  # the last for what is gone, and beyond the ends
    near = windows(np.where(kept, which.reshape(tokens.shape), len(used)), beyond=len(used))
    # One product, of each token once: in many small ones threads wait for each other, a hundred times as long on a busy
    # machine.
    tables = (e @ np.hstack(np.split(kernel, PLACES))).reshape(len(e), PLACES, filters)
    sums = sum(tables[near[:, :, place], place] for place in range(PLACES))
    sums[:, 1:-1] += bias * mask[:, :, None]
    at = sums.argmax(axis=1)  # (texts, filters)
    most = np.take_along_axis(sums, at[:, None], axis=1)[:, 0]
    there = (rng.random(most.shape) >= FILTERS_GONE) / np.float32(1 - FILTERS_GONE)
    r = (np.maximum(most, 0) * there).reshape(examples.rows, -1).astype(np.float32)
    off = examples.known + r @ head + intercept
    off = (((softmax(off) if classes else off) - examples.targets) / examples.rows).astype(np.float32)
    back = ((off @ head.T).reshape(most.shape) * there * (most > 0)).astype(np.float32)
    text = np.arange(len(at))[:, None]
    places = np.arange(PLACES)[:, None, None] * filters + np.arange(filters)  # (PLACES, 1, filters)
    where = np.broadcast_arrays(places, np.moveaxis(near[text, at], 2, 0), back)
    row, token, value = (each.ravel() for each in where)
    largest = sparse.csr_matrix((value, (row, token)), shape=(PLACES * filters, len(e)))  # hardly one in a hundred
    towards = np.vstack(np.split((largest @ e).T, PLACES, axis=1))
    centred = np.pad(mask, ((0, 0), (1, 1)))[text, at]
    return [towards, (back * centred).sum(axis=0), r.T @ off, off.sum(axis=0)]


def windows(tokens: Ints, *, beyond: int) -> Ints:
    """Each three neighbours, those that reach beyond an end too: (texts, length) → (texts, length + 2, PLACES)."""
    held = np.pad(tokens, ((0, 0), (2, 2)), constant_values=beyond)
    return np.stack([held[:, :-2], held[:, 1:-1], held[:, 2:]], axis=2)
