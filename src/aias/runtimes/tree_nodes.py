"""The trees of a graph as tables (`core.bit_vectors`), and the graph of what comes before and after them.

A file of ONNX is read here as far as that takes, by its wire format, since servers load no library for it: fields of a
number, a kind and a value (protobuf.dev, "Encoding"); the numbers are those of onnx.proto.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np

from aias.core.arrays import Ints
from aias.core.bit_vectors import BITS, TREES_MIN, WORDS_A_TREE_MAX, BitVectors
from aias.core.forest import Forest, side_by_side
from aias.core.graph import DOUBLE

COLUMNS: Final = b"columns"
"""What the trees that are taken out read."""

NODE_BYTES: Final = 20
"""Of a node in a file, at least."""

GRAPH: Final = 7
NODE, INPUT = 1, 11
"""In a graph."""
READS, GIVES, KIND, ATTRIBUTE = 1, 2, 4, 5
"""In a node."""
NAME, WHOLE, TENSOR, WHOLES = 1, 3, 5, 8
"""In an attribute."""
ELEMENTS, RAW = 2, 9
"""In a tensor."""
TYPES: Final = {1: np.float32, 2: np.uint8, DOUBLE: np.float64}

Run = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Taken:
    """`rest`: the graph whose inputs are also what its trees add up to, by these names and widths."""

    rest: bytes
    trees: BitVectors
    names: tuple[str, ...]
    ends: Ints

    def before(self, run: Run) -> Run:
        """As the whole graph is run: outputs, feeds, options."""
        parts = [(name, slice(*ends)) for name, ends in zip(self.names, pairwise((0, *self.ends)), strict=True)]

        def answered(outputs: Any, feeds: Mapping[str, Any], options: Any = None) -> Any:
            sums = self.trees.sums(feeds["columns"])
            return run(outputs, {**feeds, **{name: sums[:, part] for name, part in parts}}, options)

        return answered


def taken(model: bytes) -> Taken | None:
    """None of a graph that ONNX Runtime answers as fast by itself, or that is read by nobody but it."""
    if len(model) < TREES_MIN * NODE_BYTES or b"TreeEnsemble" not in model:
        return None
    try:
        return _taken(model)
    except (AssertionError, IndexError, KeyError, TypeError, ValueError):
        return None  # it says itself what is wrong


def _taken(model: bytes) -> Taken | None:
    around, graphs = list[bytes](), list[bytes]()
    for number, value, raw in _fields(model):
        (graphs if number == GRAPH else around).append(value if number == GRAPH else raw)
    found, kept, count = dict[bytes, dict[str, bytes]](), list[bytes](), 0
    (graph,) = graphs
    for number, value, raw in _fields(graph):
        name, attributes = _trees(value) if number == NODE else (b"", {})
        trees = len(_value(attributes["tree_roots"])) if name else 0
        if trees and len(attributes["leaf_weights"]) <= 8 * BITS * WORDS_A_TREE_MAX * trees:
            found[name] = attributes
            count += trees
        else:
            kept.append(raw)
    if count < TREES_MIN:
        return None
    forests = [_forest(each) for each in found.values()]
    tables = BitVectors.of(side_by_side(forests))
    if tables is None:
        return None
    kept += [_field(INPUT, _field(1, name) + _field(2, _field(1, bytes([8, DOUBLE])))) for name in found]
    rest = b"".join([*around, _field(GRAPH, b"".join(kept))])
    return Taken(rest, tables, tuple(name.decode() for name in found), np.cumsum([each.outputs for each in forests]))


def _trees(node: bytes) -> tuple[bytes, dict[str, bytes]]:
    """What trees over the columns give, and their attributes by name; of other nodes nothing."""
    reads, gives, attributes, kind = list[bytes](), list[bytes](), list[bytes](), b""
    for number, value, _ in _fields(node):
        if number == KIND:
            kind = value
        elif number in {READS, GIVES, ATTRIBUTE}:
            {READS: reads, GIVES: gives, ATTRIBUTE: attributes}[number].append(value)
    if kind != b"TreeEnsemble" or reads != [COLUMNS]:
        return b"", {}
    return gives[0], {
        next(value for number, value, _ in _fields(each) if number == NAME).decode(): each for each in attributes
    }


def _forest(attributes: Mapping[str, bytes]) -> Forest:
    held = {name: _value(each) for name, each in attributes.items()}
    if held["leaf_weights"].dtype != np.float64 or held["aggregate_function"] != 1 or held["post_transform"] != 0:
        raise ValueError("these trees do not add up float64")
    return Forest.of(held)


def _value(attribute: bytes) -> Any:
    at = 0
    for number, value, raw in _fields(attribute):
        if number == WHOLE:
            return value
        if number == TENSOR:
            held = {number: value for number, value, _ in _fields(value)}
            return np.frombuffer(held[RAW], TYPES[held[ELEMENTS]])
        if number == WHOLES:
            return _wholes(attribute[at:])
        at += len(raw)
    raise ValueError("an attribute that trees do not have")


def _wholes(data: bytes) -> Ints:
    """Of keys and values in turn, those of whole numbers, all at once."""
    raw = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(raw < 128) + 1
    starts = np.append(0, ends[:-1])
    shifts = 7 * (np.arange(len(raw)) - np.repeat(starts, ends - starts))
    numbers = np.add.reduceat((raw & 127).astype(np.int64) << shifts, starts)
    return np.asarray(numbers[1::2][numbers[::2] == WHOLES << 3])


def _fields(data: bytes) -> Iterator[tuple[int, Any, bytes]]:
    """Each with its number, its value and all of its bytes."""
    at = 0
    while at < len(data):
        start = at
        key, at = _whole(data, at)
        kind = key & 7
        value: Any = None
        if kind == 0:
            value, at = _whole(data, at)
        elif kind == 2:
            size, at = _whole(data, at)
            at += size
            value = data[at - size : at]
        else:
            at += {1: 8, 5: 4}[kind]
        if at > len(data):
            raise ValueError("a field ends behind the end")
        yield key >> 3, value, data[start:at]


def _whole(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while data[at] > 127:
        value |= (data[at] & 127) << shift
        at, shift = at + 1, shift + 7
    return value | data[at] << shift, at + 1


def _field(number: int, value: bytes) -> bytes:
    size, held = len(value), bytearray([number << 3 | 2])
    while size > 127:
        held.append(size & 127 | 128)
        size >>= 7
    return bytes(held) + bytes([size]) + value
