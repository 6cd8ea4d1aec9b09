"""A published classifier of texts as it was before it was written: graph → transformer, head.

What `Classifier.write` writes stands in one order: the tables of words and positions, then of each layer two products,
a norm, two products with the activation between them, a norm; the head's two products last. What was read is written
again, and has to have the very operators that the graph has.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import onnx
from onnx import helper, numpy_helper

from aias.graph.activation_ranges import PRODUCTS
from aias.graph.builder import Builder
from aias.graph.classifier_files import Classifier
from aias.graph.transformer import Affine, Layer, Norm, Transformer

ACTIVATIONS: Final = {"Relu": "relu", "Gelu": "gelu"}


class OtherGraph(Exception):
    """The graph is none that `Classifier.write` wrote."""


def read_back(graph: bytes, *, classes: tuple[str, ...]) -> Classifier:
    """Raises `OtherGraph`."""
    model = onnx.load_from_string(graph)
    try:
        found = _Parts(model).classifier(classes)
        builder = Builder(width=0, texts=1)
        again = onnx.load_from_string(builder.finish(found.write(builder), classes=classes))
    except (AssertionError, IndexError, KeyError, ValueError):
        raise OtherGraph("its graph is not one that Aias wrote of a transformer") from None
    if [each.op_type for each in again.graph.node] != [each.op_type for each in model.graph.node]:
        raise OtherGraph("its graph has other operators than a transformer that Aias writes")
    return found


class _Parts:
    def __init__(self, model: onnx.ModelProto) -> None:
        self._held = {each.name: each for each in model.graph.initializer}
        self._nodes = list(model.graph.node)

    def classifier(self, classes: tuple[str, ...]) -> Classifier:
        gemms, norms = self._of("Gemm"), self._of("LayerNormalization")
        *products, first, last = self._affines("Gemm", "MatMul")
        assert len(products) == len(gemms) and not len(gemms) % PRODUCTS and len(norms) == 1 + len(gemms) // 2
        words, positions, *_ = (self._value(name) for name in self._tables())
        hidden = words.shape[1]
        heads = hidden // int(self._value(self._reader(gemms[0].output[0], "Reshape").input[1])[1])
        layers = [
            _layer(products[at : at + PRODUCTS], [self._norm(each) for each in norms[1 + at // 2 : 3 + at // 2]],
                   width=hidden // heads)
            for at in range(0, len(products), PRODUCTS)
        ]  # fmt: skip
        active, said = self._reader(gemms[2].output[0], "Relu", "Gelu"), self._of("Tanh", "Relu")[-1]
        transformer = Transformer(
            words, positions, self._norm(norms[0]), tuple(layers), heads, _settings(norms[0])["epsilon"],
            _activation(active), "cls", normalised=False,
        )  # fmt: skip
        return Classifier(transformer, first, last, said.op_type.lower(), classes)

    def _of(self, *kinds: str) -> list[onnx.NodeProto]:
        return [each for each in self._nodes if each.op_type in kinds]

    def _tables(self) -> Iterator[str]:
        """Of which rows are taken by their places."""
        for each in self._of("Gather"):
            if each.input[0] in self._held and len(self._held[each.input[0]].dims) == 2:
                yield each.input[0]

    def _affines(self, *kinds: str) -> Iterator[Affine]:
        for each in self._of(*kinds):
            if each.input[1] in self._held:
                bias = each.input[2] if each.op_type == "Gemm" else self._reader(each.output[0], "Add").input[1]
                yield Affine(self._value(each.input[1]), self._value(bias))

    def _norm(self, node: onnx.NodeProto) -> Norm:
        return Norm(self._value(node.input[1]), self._value(node.input[2]))

    def _reader(self, name: str, *kinds: str) -> onnx.NodeProto:
        found = [each for each in self._of(*kinds) if each.input[0] == name]
        return found[0]

    def _value(self, name: str) -> Any:
        return numpy_helper.to_array(self._held[name])


def _layer(products: Sequence[Affine], norms: Sequence[Norm], *, width: int) -> Layer:
    """`width`: of a head, whose root was taken into the query."""
    together, output, wider, narrower = products
    query, key, value = (
        Affine(weight, bias)
        for weight, bias in zip(np.split(together.weight, 3, axis=1), np.split(together.bias, 3), strict=True)
    )
    wide = np.float32(np.sqrt(width))
    query = Affine(query.weight * wide, query.bias * wide)
    return Layer(query, key, value, output, norms[0], wider, narrower, norms[1])


def _activation(node: onnx.NodeProto) -> Any:
    found = ACTIVATIONS[node.op_type]
    return "gelu_tanh" if _settings(node).get("approximate") == b"tanh" else found


def _settings(node: onnx.NodeProto) -> dict[str, Any]:
    return {each.name: helper.get_attribute_value(each) for each in node.attribute}
