"""The few operations that networks are made of, done by NumPy, by PyTorch, or written into a graph.

A network is written once over these, so that what is trained, what is judged and what is served cannot differ.
"""

from collections.abc import Sequence
from typing import Any, Final, Protocol

import numpy as np

from aias.core.graph import DOUBLE, FLOAT, INT64, GraphWriter


class Arithmetic(Protocol):
    """Arguments are tensors of its own kind, or NumPy arrays that never change."""

    def add(self, a: Any, b: Any) -> Any: ...

    def subtract(self, a: Any, b: Any) -> Any: ...

    def multiply(self, a: Any, b: Any) -> Any: ...

    def divide(self, a: Any, b: Any) -> Any: ...

    def matmul(self, a: Any, b: Any) -> Any: ...

    def clip(self, a: Any, low: Any, high: Any) -> Any: ...

    def sqrt(self, a: Any) -> Any: ...

    def cos(self, a: Any) -> Any: ...

    def relu(self, a: Any) -> Any: ...

    def silu(self, a: Any) -> Any:
        """a · sigmoid(a)."""

    def sigmoid(self, a: Any) -> Any: ...

    def softmax(self, a: Any) -> Any:
        """Over the last axis."""

    def mean(self, a: Any) -> Any:
        """Over the first axis, which goes."""

    def missing(self, a: Any) -> Any: ...

    def where(self, flag: Any, a: Any, b: Any) -> Any: ...

    def equal(self, a: Any, b: Any) -> Any: ...

    def cast(self, a: Any, kind: type[np.generic]) -> Any: ...

    def columns(self, a: Any, places: Any) -> Any: ...

    def rows(self, table: Any, index: Any) -> Any: ...

    def concat(self, parts: Sequence[Any]) -> Any:
        """Along the last axis."""

    def transpose(self, a: Any, order: tuple[int, ...]) -> Any: ...

    def reshape(self, a: Any, shape: tuple[int, ...]) -> Any: ...


class Numpy:
    def add(self, a: Any, b: Any) -> Any:
        return a + b

    def subtract(self, a: Any, b: Any) -> Any:
        return a - b

    def multiply(self, a: Any, b: Any) -> Any:
        return a * b

    def divide(self, a: Any, b: Any) -> Any:
        return a / b

    def matmul(self, a: Any, b: Any) -> Any:
        return a @ b

    def clip(self, a: Any, low: Any, high: Any) -> Any:
        return np.clip(a, low, high)

    def sqrt(self, a: Any) -> Any:
        return np.sqrt(a)

    def cos(self, a: Any) -> Any:
        return np.cos(a)

    def relu(self, a: Any) -> Any:
        return np.maximum(a, a.dtype.type(0))

    def silu(self, a: Any) -> Any:
        return a * self.sigmoid(a)

    def sigmoid(self, a: Any) -> Any:
        with np.errstate(over="ignore"):
            return a.dtype.type(1) / (a.dtype.type(1) + np.exp(-a))

    def softmax(self, a: Any) -> Any:
        powers = np.exp(a - a.max(axis=-1, keepdims=True))
        return powers / powers.sum(axis=-1, keepdims=True)

    def mean(self, a: Any) -> Any:
        return a.mean(axis=0)

    def missing(self, a: Any) -> Any:
        return np.isnan(a)

    def where(self, flag: Any, a: Any, b: Any) -> Any:
        return np.where(flag, a, b)

    def equal(self, a: Any, b: Any) -> Any:
        return a == b

    def cast(self, a: Any, kind: type[np.generic]) -> Any:
        return a.astype(kind)

    def columns(self, a: Any, places: Any) -> Any:
        return a[:, places]

    def rows(self, table: Any, index: Any) -> Any:
        return table[index]

    def concat(self, parts: Sequence[Any]) -> Any:
        return np.concatenate(parts, axis=-1)

    def transpose(self, a: Any, order: tuple[int, ...]) -> Any:
        return a.transpose(order)

    def reshape(self, a: Any, shape: tuple[int, ...]) -> Any:
        return a.reshape(shape)


class Graph:
    """Writes every operation as a node."""

    def __init__(self, writer: GraphWriter) -> None:
        self._writer = writer

    def _op(self, kind: str, *inputs: Any, **attributes: Any) -> str:
        names = [each if isinstance(each, str) else self._writer.constant(each) for each in inputs]
        return self._writer.op(kind, *names, **attributes)

    def add(self, a: Any, b: Any) -> Any:
        return self._op("Add", a, b)

    def subtract(self, a: Any, b: Any) -> Any:
        return self._op("Sub", a, b)

    def multiply(self, a: Any, b: Any) -> Any:
        return self._op("Mul", a, b)

    def divide(self, a: Any, b: Any) -> Any:
        return self._op("Div", a, b)

    def matmul(self, a: Any, b: Any) -> Any:
        return self._op("MatMul", a, b)

    def clip(self, a: Any, low: Any, high: Any) -> Any:
        return self._op("Clip", a, low, high)

    def sqrt(self, a: Any) -> Any:
        return self._op("Sqrt", a)

    def cos(self, a: Any) -> Any:
        return self._op("Cos", a)

    def relu(self, a: Any) -> Any:
        return self._op("Relu", a)

    def silu(self, a: Any) -> Any:
        return self.multiply(a, self.sigmoid(a))

    def sigmoid(self, a: Any) -> Any:
        return self._op("Sigmoid", a)

    def softmax(self, a: Any) -> Any:
        return self._op("Softmax", a, axis=-1)

    def mean(self, a: Any) -> Any:
        return self._op("ReduceMean", a, np.array([0]), keepdims=0)

    def missing(self, a: Any) -> Any:
        return self._op("IsNaN", a)

    def where(self, flag: Any, a: Any, b: Any) -> Any:
        return self._op("Where", flag, a, b)

    def equal(self, a: Any, b: Any) -> Any:
        return self._op("Equal", a, b)

    def cast(self, a: Any, kind: type[np.generic]) -> Any:
        return self._op("Cast", a, to=_KINDS[kind])

    def columns(self, a: Any, places: Any) -> Any:
        return self._op("Gather", a, np.asarray(places), axis=1)

    def rows(self, table: Any, index: Any) -> Any:
        return self._op("Gather", table, index, axis=0)

    def concat(self, parts: Sequence[Any]) -> Any:
        return self._op("Concat", *parts, axis=-1)

    def transpose(self, a: Any, order: tuple[int, ...]) -> Any:
        return self._op("Transpose", a, perm=list(order))

    def reshape(self, a: Any, shape: tuple[int, ...]) -> Any:
        return self._op("Reshape", a, np.array(shape))


_KINDS: Final[dict[Any, int]] = {np.float32: FLOAT, np.int64: INT64, np.float64: DOUBLE}
