"""What a graph needs must not be decided by a row's values, or one row could ask for all memory, or for ever."""

from collections.abc import Set as AbstractSet
from typing import Final

import onnx

from aias.importing.formats.contract import UnsafeModel

ENDLESS: Final = {"Loop", "Scan", "If", "SequenceMap", "Optional", "OptionalGetElement"}
DISTANCES: Final = {"Identity", "Sub", "Abs", "Pow", "ReduceSum", "ReduceSumSquare"}
"""In a `Scan` of these over constant rows, scikit-learn's exporter writes how far each row lies from them (nearest
neighbours, Gaussian processes)."""

_REDUCED: Final = (
    "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd",
    "ReduceSum", "ReduceSumSquare",
)  # fmt: skip

SIZES: Final[dict[str, tuple[int, ...]]] = {
    "ConstantOfShape": (0,), "Expand": (1,), "Tile": (1, 2), "Range": (0, 1, 2), "OneHot": (1,), "Pad": (1, 3),
    "Resize": (1, 2, 3), "Upsample": (1,), "CenterCropPad": (1,), "AffineGrid": (1,), "MaxUnpool": (2,),
    "BlackmanWindow": (0,), "HannWindow": (0,), "HammingWindow": (0,), "Col2Im": (1, 2), "DFT": (1, 2), "STFT": (1, 3),
    "MelWeightMatrix": (0, 1), "Reshape": (1,), "Slice": (1, 2, 3, 4), "Split": (1,), "SplitToSequence": (1,),
    "Squeeze": (1,), "Unsqueeze": (1,), "TopK": (1,), "SequenceAt": (1,), "SequenceErase": (1,), "SequenceInsert": (2,),
    **dict.fromkeys(_REDUCED, (1,)),
    "NonZero": (0,), "Unique": (0,), "Compress": (1,), "NonMaxSuppression": (0, 1, 2, 3, 4), "ImageDecoder": (0,),
}  # fmt: skip
"""The inputs whose values decide the shape of an answer, in any version of the operator up to `safety.OPSETS`.

Those of the last line never make it larger than what they read, but whoever asked for its shape would have a size that
a row decides. As none of these reads a row's values, no shape depends on them, and `Shape` gives none of them."""


def check_bounds(graph: onnx.GraphProto, around: AbstractSet[str] = frozenset()) -> None:
    """Follows what was computed of a row's values: no size and no loop may come of it. Raises `UnsafeModel`.

    `around`: such tensors of the graph that this one lies in."""
    constant = {each.name for each in graph.initializer}
    values = {*around, *(each.name for each in graph.input if each.name not in constant)}
    for node in graph.node:
        if node.op_type in ENDLESS or graphs_in(node):
            _check_loop(node, values)
        if any(node.input[place] in values for place in SIZES.get(node.op_type, ()) if place < len(node.input)):
            raise UnsafeModel(
                f"how large an answer of its `{node.op_type}` becomes is decided by a row's values",
                hint="export it with fixed sizes; in PyTorch, where(mask, a, b) in place of a[mask]",
            )
        if node.op_type not in {"Shape", "Size"} and values & reads(node):
            values.update(filter(None, node.output))


def _check_loop(node: onnx.NodeProto, values: AbstractSet[str]) -> None:
    """Only a `Scan` of distances may stand there, and go only through what is constant."""
    inner = [each for graph in graphs_in(node) for each in graph.node]
    known = bool(inner) and all(each.domain == "" and each.op_type in DISTANCES for each in inner)
    if node.op_type != "Scan" or not known or values & set(_scanned(node)):
        raise UnsafeModel(
            f"it uses `{node.op_type}`, whose work can depend on a row's values and need not end",
            hint="export it without loops and branches",
        )
    for graph in graphs_in(node):
        check_bounds(graph, values)


def _scanned(node: onnx.NodeProto) -> list[str]:
    """What a `Scan` goes through step by step; its other inputs are what it begins with."""
    count = next((each.i for each in node.attribute if each.name == "num_scan_inputs"), 0)
    return list(node.input[len(node.input) - count :])


def graphs_in(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    return [graph for each in node.attribute for graph in (*([each.g] if each.HasField("g") else []), *each.graphs)]


def reads(node: onnx.NodeProto) -> set[str]:
    """Its inputs, and what graphs within it take from around them."""
    return {*node.input, *(name for graph in graphs_in(node) for each in graph.node for name in each.input)}
