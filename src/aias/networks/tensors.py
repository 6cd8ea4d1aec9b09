"""PyTorch's arithmetic; the one that learns."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np

BYTES: Final = 256
"""A number is dropped by one byte of chance: PyTorch's own way takes half of a training's time."""


class Tensors:
    """With `dropout`, that share of what an activation gives is dropped, as the generator of NumPy wills."""

    def __init__(self, *, dropout: float = 0.0, generator: np.random.Generator | None = None) -> None:
        import torch

        self._torch = torch
        self._dropped_below, self._generator = round(dropout * BYTES), generator
        self._kinds: dict[Any, Any] = {np.float32: torch.float32, np.float64: torch.float64, np.int64: torch.int64}

    def dropped(self, a: Any) -> Any:
        if not self._dropped_below or self._generator is None:
            return a
        chance = np.frombuffer(self._generator.bytes(a.numel()), np.uint8).reshape(a.shape)
        kept = self._torch.from_numpy(chance >= self._dropped_below).to(a.dtype)
        return a * kept.mul_(BYTES / (BYTES - self._dropped_below))

    def _tensor(self, a: Any) -> Any:
        return a if isinstance(a, self._torch.Tensor) else self._torch.as_tensor(a)

    def add(self, a: Any, b: Any) -> Any:
        return self._tensor(a) + self._tensor(b)

    def subtract(self, a: Any, b: Any) -> Any:
        return self._tensor(a) - self._tensor(b)

    def multiply(self, a: Any, b: Any) -> Any:
        return self._tensor(a) * self._tensor(b)

    def divide(self, a: Any, b: Any) -> Any:
        return self._tensor(a) / self._tensor(b)

    def matmul(self, a: Any, b: Any) -> Any:
        if a.ndim == 3 and b.ndim == 2:  # one product instead of one for each member
            return (a.reshape(-1, a.shape[-1]) @ b).reshape(*a.shape[:-1], b.shape[-1])
        return a @ b

    def clip(self, a: Any, low: Any, high: Any) -> Any:
        return self._torch.clamp(a, float(low), float(high))

    def sqrt(self, a: Any) -> Any:
        return self._torch.sqrt(a)

    def cos(self, a: Any) -> Any:
        return self._torch.cos(a)

    def relu(self, a: Any) -> Any:
        return self.dropped(self._torch.relu(a))

    def silu(self, a: Any) -> Any:
        return self.dropped(self._torch.nn.functional.silu(a))

    def sigmoid(self, a: Any) -> Any:
        return self._torch.sigmoid(a)

    def softmax(self, a: Any) -> Any:
        return self._torch.softmax(a, dim=-1)

    def mean(self, a: Any) -> Any:
        return a.mean(dim=0)

    def missing(self, a: Any) -> Any:
        return self._torch.isnan(a)

    def where(self, flag: Any, a: Any, b: Any) -> Any:
        return self._torch.where(flag, self._tensor(a), self._tensor(b))

    def equal(self, a: Any, b: Any) -> Any:
        return self._tensor(a) == self._tensor(b)

    def cast(self, a: Any, kind: type[np.generic]) -> Any:
        return self._tensor(a).to(self._kinds[kind])

    def columns(self, a: Any, places: Any) -> Any:
        return a[:, self._tensor(places)]

    def rows(self, table: Any, index: Any) -> Any:
        return self._torch.nn.functional.embedding(index, table)

    def concat(self, parts: Sequence[Any]) -> Any:
        return self._torch.cat(list(parts), dim=-1)

    def transpose(self, a: Any, order: tuple[int, ...]) -> Any:
        return a.permute(order)

    def reshape(self, a: Any, shape: tuple[int, ...]) -> Any:
        return a.reshape(shape)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """PyTorch on so many threads and with repeatable results, and afterwards as it was before."""
    import torch

    before, mode = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    torch.set_num_threads(max(1, count))
    # `use_deterministic_algorithms` would load PyTorch's compiler and SymPy: 70 MB, and 2 of 5 seconds to begin.
    torch.set_deterministic_debug_mode("error")
    fills, torch.utils.deterministic.fill_uninitialized_memory = (
        torch.utils.deterministic.fill_uninitialized_memory,
        False,
    )
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.utils.deterministic.fill_uninitialized_memory = fills
        torch.set_deterministic_debug_mode(mode)
