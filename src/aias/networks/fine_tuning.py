"""The layers of a sentence encoder trained on for one task, with a head of their own (PyTorch).

    v = the vector of a text        answer: z + REACH (H v + c)        z: what others say without it
    least:  the log loss of the answer, or half its squared error  +  LIKE |P v + b - w|² / |w - mean of w|²

w is what the whole encoder said of the text: some thousand labels say less of it than that, and what many millions of
texts taught is so not forgotten (Romero et al. 2015; P and b, since v has fewer numbers). From a transformer to one of
the same shape: what is written into the graph is written as ever. Its tables of words and positions stay as they are,
or tokens that these texts do not have would be left behind. By AdamW (Loshchilov and Hutter 2019), a share of what each
layer adds dropped; texts that are about as long stand together. By the speed of the steps so far the rate falls to
nothing when the time is over, and not when all is read that was meant to be.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from math import ceil
from typing import Any, Final, Protocol

import numpy as np

from aias.core.arrays import Flags, Floats, Floats32, Ints
from aias.core.deadline import Deadline
from aias.networks.optimizers import GRADIENT_MAX, AdamW
from aias.networks.schedule import Schedule
from aias.networks.tensors import Tensors, threads

RATE: Final = 3e-4
LIKE: Final = 1.7
DROPPED: Final = 0.1
"""docs/log.md, 2026-11-30."""

DECAY: Final = 0.01
"""How fast weights shrink by themselves, of the rate."""

TINY: Final = 1e-9
"""Stands for 0 where something is divided by it."""

PACED_STEPS: Final = 8
"""After each so many it is planned anew, by the speed of all but the first, which finds nothing ready."""

SPARE: Final = 0.05
"""Of the time left, kept when steps are planned: their speed varies."""

REACH: Final = 100.0
"""How much farther a step moves the head, which begins at nothing."""


class Examples(Protocol):
    """Texts, those of one row after another, with what is wanted of the row and what is known of it."""

    @property
    def tokens(self) -> Ints: ...  # (rows * texts, length)
    @property
    def mask(self) -> Flags: ...
    @property
    def targets(self) -> Floats: ...  # (rows, outputs)
    @property
    def known(self) -> Floats: ...
    @property
    def rows(self) -> int: ...
    @property
    def texts(self) -> int: ...
    def some(self, rows: Ints, /) -> "Examples": ...


@dataclass(frozen=True, slots=True, eq=False)
class FineTuned:
    transformer: Any
    head: Floats32  # (texts * width, outputs)
    intercept: Floats32  # (outputs,)
    steps: int
    """That were made; fewer than `steps_min` where there was no time for so many."""


@dataclass(frozen=True, slots=True, eq=False)
class _Weights:
    """All that learns."""

    transformer: Any
    head: Any
    intercept: Any
    towards: Any  # (width, numbers)
    shift: Any  # (numbers,)


def fine_tuned(
    transformer: Any, examples: Examples, vectors: Floats32, batches: Sequence[Ints], *, classes: bool, seed: int,
    planned: Deadline, deadline: Deadline, steps_min: int, count: int,
) -> FineTuned:  # fmt: skip
    """`transformer`: a `graph.transformer.Transformer`; `vectors`: what the whole encoder says, (rows * texts,
    numbers); `batches`: the rows of each step, as many as are wanted; `count`: of threads. There are as many steps as
    end when it is `planned`; where that is less than `steps_min`, so many until the `deadline`. As soon as it shows
    that these do not, it is what was learned by then."""
    import torch

    arrays = _begun(transformer, examples, vectors.shape[1])
    flat = torch.from_numpy(np.concatenate([each.ravel() for each in _leaves(arrays)]))
    gradient, tables = torch.zeros_like(flat), [torch.from_numpy(each) for each in _tables(transformer)]
    weights = _over(arrays, flat, gradient)
    like = LIKE / max(float(vectors.var(axis=0).sum()), TINY)
    do = Tensors(dropout=DROPPED, generator=np.random.default_rng(seed))
    schedule, optimizer = Schedule("cosine", len(batches)), AdamW(flat, torch.full_like(flat, DECAY))
    pace, step = _Pace(planned, deadline, steps_min), 0
    with threads(count):
        while step < schedule.total and not deadline.passed:
            rows = batches[step]
            gradient.zero_()
            own = (rows[:, None] * examples.texts + np.arange(examples.texts)).ravel()
            loss, said = _loss(weights, tables, examples.some(rows), do, classes=classes)
            off = said @ weights.towards + weights.shift - torch.from_numpy(vectors[own])
            (loss + like * (off * off).sum(dim=1).mean()).backward()
            gradient.mul_(min(1.0, GRADIENT_MAX / max(float(gradient.norm()), 1e-12)))
            optimizer.step(gradient, RATE * schedule.rate(step))
            step += 1
            schedule.fit(pace.steps(step, schedule.total), step)
            if schedule.total < min(steps_min, len(batches)):
                break
    found = _mapped(weights, lambda each: each.detach().numpy().copy())
    layers = replace(transformer, norm=found.transformer.norm, layers=found.transformer.layers)
    return FineTuned(layers, REACH * found.head, REACH * found.intercept, step)


@dataclass(slots=True)
class _Pace:
    """How many steps there is time for, by those so far."""

    planned: Deadline
    deadline: Deadline
    steps_min: int
    began: float = 0.0

    def steps(self, made: int, meant: int) -> int:
        """`made` by now, of so many that are `meant`."""
        if made == 1:
            self.began = self.planned.clock()
        if made % PACED_STEPS:
            return meant
        each = max((self.planned.clock() - self.began) / (made - 1), TINY)
        soon, late = (made + int((1 - SPARE) * until.left / each) for until in (self.planned, self.deadline))
        return max(soon, min(self.steps_min, late))


def _begun(transformer: Any, examples: Examples, numbers: int) -> _Weights:
    """A head that says nothing; vectors that are taken for the whole encoder's, and for those of its middle."""
    outputs, width = examples.targets.shape[1], transformer.width
    head, towards = np.zeros((examples.texts * width, outputs)), np.tile(np.eye(width), ceil(numbers / width))
    rest = (head, np.zeros(outputs), towards[:, :numbers], np.zeros(numbers))
    return _Weights(_bare(transformer), *(np.ascontiguousarray(each, np.float32) for each in rest))


def _loss(weights: _Weights, tables: Any, examples: Examples, do: Tensors, *, classes: bool) -> tuple[Any, Any]:
    """The mean over the rows: the log loss, or half the squared error. And the vectors, (rows * texts, width)."""
    import torch

    length = examples.tokens.shape[1]
    words, positions = tables
    x = torch.nn.functional.embedding(torch.from_numpy(examples.tokens), words) + positions[:length]
    vectors = _vectors(weights.transformer, x, torch.from_numpy(examples.mask), do)
    known, targets = (torch.from_numpy(each.astype(np.float32)) for each in (examples.known, examples.targets))
    said = known + REACH * (vectors.reshape(examples.rows, -1) @ weights.head + weights.intercept)
    if classes:
        return -(targets * torch.log_softmax(said, dim=1)).sum(dim=1).mean(), vectors
    return 0.5 * ((said - targets) ** 2).sum(dim=1).mean(), vectors


def _vectors(of: Any, x: Any, mask: Any, do: Tensors) -> Any:
    """As `Transformer.write` writes it, but for what is dropped: (texts, length, width) → (texts, width)."""
    import torch

    functional, (texts, length, width) = torch.nn.functional, x.shape
    apart = (texts, length, of.heads, width // of.heads)
    kept = None if bool(mask.all()) else mask[:, None, None, :]
    x = _norm(of, x, of.norm)
    for layer in of.layers:
        parts = (_affine(x, each).view(apart).transpose(1, 2) for each in (layer.query, layer.key, layer.value))
        mixed = functional.scaled_dot_product_attention(*parts, attn_mask=kept).transpose(1, 2).reshape(x.shape)
        x = _norm(of, x + do.dropped(_affine(mixed, layer.output)), layer.attention_norm)
        x = _norm(of, x + do.dropped(_affine(_active(of, _affine(x, layer.wider)), layer.narrower)), layer.norm)
    if of.pooling == "cls":
        pooled = x[:, 0]
    else:
        there = mask[:, :, None].to(x.dtype)
        pooled = (x * there).sum(dim=1) / there.sum(dim=1)
    return functional.normalize(pooled, dim=1) if of.normalised else pooled


def _affine(x: Any, affine: Any) -> Any:
    return x @ affine.weight + affine.bias


def _norm(of: Any, x: Any, norm: Any) -> Any:
    import torch

    return torch.nn.functional.layer_norm(x, x.shape[-1:], norm.scale, norm.bias, of.epsilon)


def _active(of: Any, wide: Any) -> Any:
    import torch

    if of.activation == "relu":
        return torch.relu(wide)
    return torch.nn.functional.gelu(wide, approximate="none" if of.activation == "gelu" else "tanh")


def _tables(transformer: Any) -> list[Any]:
    return [np.ascontiguousarray(each) for each in (transformer.words, transformer.positions)]


def _bare(transformer: Any) -> Any:
    """Without its tables."""
    nothing = np.zeros((0, 0), np.float32)
    return replace(transformer, words=nothing, positions=nothing)


def _leaves(part: Any) -> Iterator[Any]:
    """All arrays of nested dataclasses and tuples, in their order."""
    if isinstance(part, tuple):
        for each in part:
            yield from _leaves(each)
    elif is_dataclass(part):
        for each in fields(part):
            yield from _leaves(getattr(part, each.name))
    elif not isinstance(part, (str, int, float)):
        yield part


def _mapped(part: Any, change: Callable[[Any], Any]) -> Any:
    """The same of what is made of its arrays, which are changed in that order."""
    if isinstance(part, tuple):
        return tuple(_mapped(each, change) for each in part)
    if is_dataclass(part) and not isinstance(part, type):
        return replace(part, **{each.name: _mapped(getattr(part, each.name), change) for each in fields(part)})
    return part if isinstance(part, (str, int, float)) else change(part)


def _over(arrays: _Weights, flat: Any, gradient: Any) -> _Weights:
    """The same as parts of one vector; what they learn from is added up in the other."""
    at = 0

    def part(array: Any) -> Any:
        nonlocal at
        place = slice(at, at + array.size)
        found = flat[place].view(array.shape).detach().requires_grad_()
        found.grad = gradient[place].view(array.shape)
        at += array.size
        return found

    return _mapped(arrays, part)  # type: ignore[no-any-return]
