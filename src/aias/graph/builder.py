"""Writes an ONNX graph node by node. The one file of this room that knows the ONNX library."""

from array import array
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from hashlib import blake2b
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from aias.core.graph import GRAFTED, TWO_WAYS, GraphWriter

OPSETS: Final = {"": 21, "ai.onnx.ml": 5}
"""ONNX 1.16 and later; ONNX Runtime 1.18 and later. `ai.onnx.ml` 5 has trees in float64 with sets of categories."""

IR_VERSION: Final = 10


class Builder(GraphWriter):
    """`texts`: how many text fields the rows have; without any, the graph has no term inputs. `sentences`: writes the
    sentence encoder, once something asks for its vectors; until then the graph has no token inputs either.
    `vectors_width`: where it is not 0, vectors of this width come from outside, and nothing writes the encoder.
    `opsets`, `ir_version`: of a foreign graph that is to be grafted. `prefix`: of all names that are given here.
    """

    def __init__(
        self, *, width: int, texts: int, sentences: Callable[[GraphWriter], str] | None = None, vectors_width: int = 0,
        opsets: Mapping[str, int] = OPSETS, ir_version: int = IR_VERSION, prefix: str = "",
    ) -> None:  # fmt: skip
        self._width, self._texts, self._sentences = width, texts, sentences
        self._vectors_width = vectors_width
        self._opsets, self._ir_version, self._prefix, self._parts = dict(opsets), ir_version, prefix, 0
        self._reads_tokens = self._reads_vectors = False
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._initializers: list[onnx.TensorProto] = []
        self._notes = set[str]()

    @property
    def columns(self) -> str:
        return "columns"

    @property
    def columns_width(self) -> int:
        return self._width

    @property
    def term_ids(self) -> str:
        assert self._texts, "a graph without texts has no terms"
        return "term_ids"

    @property
    def term_segments(self) -> str:
        assert self._texts, "a graph without texts has no terms"
        return "term_segments"

    @property
    def tokens(self) -> str:
        self._reads_tokens = True
        return "tokens"

    @property
    def token_mask(self) -> str:
        self._reads_tokens = True
        return "token_mask"

    @cached_property
    def vectors(self) -> str:
        if self._vectors_width:
            self._reads_vectors = True
            return "vectors"
        assert self._sentences is not None, "a graph without a sentence encoder has no vectors"
        return self._sentences(self)

    def op(self, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        (name,) = self._add(kind, inputs, 1, domain, attributes)
        return name

    def ops(self, kind: str, *inputs: str, outputs: int, **attributes: Any) -> tuple[str, ...]:
        return self._add(kind, inputs, outputs, "", attributes)

    def constant(self, values: npt.NDArray[np.generic] | float) -> str:
        array = np.asarray(values)
        if array.dtype == object:
            name = f"{self._prefix}c{len(self._initializers)}"
            self._initializers.append(numpy_helper.from_array(array, name))
            return name
        key = (array.dtype.str, array.shape, blake2b(array.tobytes(), digest_size=32).digest())
        if key not in self._constants:
            self._constants[key] = name = f"{self._prefix}c{len(self._initializers)}"
            self._initializers.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return self._constants[key]

    def note(self, name: str) -> None:
        self._notes.add(name)

    def graft(self, graph: onnx.GraphProto, feeds: Mapping[str, str]) -> Callable[[str], str]:
        """Put the nodes and the initializers of another graph in, whose inputs are these tensors; gives what its
        tensors are called here."""

        def here(name: str) -> str:
            return feeds.get(name, f"{self._prefix}{GRAFTED}{name}" if name else "")

        added = onnx.GraphProto()
        added.CopyFrom(graph)
        _rename(added, here)
        self._initializers.extend(added.initializer)
        self._nodes.extend(added.node)
        return here

    def for_some(
        self, chosen: str, write: Callable[[GraphWriter], str], *, others: str,
        sentences: Callable[[GraphWriter], str] | None = None,
    ) -> str:  # fmt: skip
        """`others`, (rows, width) float64, with what `write` says in the rows that are `chosen`, (rows,) bool. It is
        written into a part that reads these rows alone, and of which nothing runs where there are none. `sentences`:
        what writes the sentence encoder there.
        """
        rows = self.op("Squeeze", self.op("NonZero", chosen), self.constant(np.array([0])))
        part = Part(self, chosen, rows, sentences=sentences)
        found = part.op("ScatterND", others, part.op("Unsqueeze", rows, part.constant(np.array([1]))), write(part))
        nothing = Part(self, chosen, rows)
        self.note(TWO_WAYS)
        return self.op(
            "If", self.op("Greater", self.op("Size", rows), self.constant(np.array(0))),
            then_branch=part.closed(found), else_branch=nothing.closed(nothing.op("Identity", others)),
        )  # fmt: skip

    def part_prefix(self) -> str:
        """Of the names in one more part."""
        self._parts += 1
        return f"{self._prefix}p{self._parts}/"

    @property
    def shape(self) -> dict[str, Any]:
        """What a part has in common with the whole."""
        return {
            "width": self._width, "texts": self._texts, "opsets": self._opsets, "ir_version": self._ir_version
        }  # fmt: skip

    def closed(self, scores: str) -> onnx.GraphProto:
        """A graph within a node, whose one output is `scores`."""
        self.op("Identity", scores)
        name = self._nodes[-1].output[0]
        outputs = [helper.make_tensor_value_info(name, TensorProto.DOUBLE, None)]
        return helper.make_graph(self._nodes, name, [], outputs, self._initializers)

    def finish(self, scores: str, *, classes: Sequence[str], label_weights: Sequence[float] = ()) -> bytes:
        """Close the graph over `scores`, (rows, classes) or (rows, 1) float64, and give the file's bytes.

        Outputs of a classifier: `probabilities` (rows, classes) float32 and `label` (rows,) string, the class of the
        largest float32 probability (times weight) and the first of equals. Of a regression: `prediction` (rows,)
        float64.
        """
        if classes:
            self._name(self.op("Cast", scores, to=TensorProto.FLOAT), "probabilities")
            weighed = "probabilities"
            if label_weights:
                weighed = self.op("Mul", weighed, self.constant(np.array([label_weights], np.float32)))
            best = self.op("ArgMax", weighed, axis=1, keepdims=0)
            labels = self.constant(np.array(list(classes), dtype=object))
            self._name(self.op("Gather", labels, best), "label")
            outputs = [
                helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["rows", len(classes)]),
                helper.make_tensor_value_info("label", TensorProto.STRING, ["rows"]),
            ]
        else:
            self._name(self._flat(scores), "prediction")
            outputs = [helper.make_tensor_value_info("prediction", TensorProto.DOUBLE, ["rows"])]
        return self._file(outputs)

    def finish_vectors(self, vectors: str) -> bytes:
        """Close a graph whose one output is `vectors`, (rows, width) float32."""
        self._name(self.op("Identity", vectors), "vectors")
        return self._file([helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["rows", None])])

    def _file(self, outputs: Sequence[onnx.ValueInfoProto]) -> bytes:
        """Trees of 20 MB are 80 as a message: they are copied into it once, and then let go."""
        model = onnx.ModelProto(ir_version=self._ir_version, producer_name="aias")
        model.opset_import.extend(helper.make_opsetid(domain, version) for domain, version in self._opsets.items())
        model.graph.name = "aias"
        model.metadata_props.extend(onnx.StringStringEntryProto(key=each, value="1") for each in sorted(self._notes))
        model.graph.input.extend(self._inputs())
        model.graph.output.extend(outputs)
        model.graph.initializer.extend(self._initializers)
        model.graph.node.extend(self._nodes)
        self._nodes.clear()
        self._initializers.clear()
        written = bytes(model.SerializeToString(deterministic=True))
        del model
        onnx.checker.check_model(written)
        return written

    def _flat(self, scores: str) -> str:
        """Of one column; where its place is said changed with operator set 13."""
        if self._opsets[""] < 13:
            return self.op("Squeeze", scores, axes=[1])
        return self.op("Squeeze", scores, self.constant(np.array([1])))

    def _inputs(self) -> list[onnx.ValueInfoProto]:
        inputs = [helper.make_tensor_value_info("columns", TensorProto.DOUBLE, ["rows", self._width])]
        if self._texts:
            inputs.append(helper.make_tensor_value_info("term_ids", TensorProto.INT64, ["terms"]))
            inputs.append(helper.make_tensor_value_info("term_segments", TensorProto.INT64, ["terms", 1]))
        if self._reads_tokens:
            shape: list[str | int] = ["row_texts", "length"]
            inputs.append(helper.make_tensor_value_info("tokens", TensorProto.INT64, shape))
            inputs.append(helper.make_tensor_value_info("token_mask", TensorProto.BOOL, shape))
        if self._reads_vectors:
            shape = ["rows", self._vectors_width]
            inputs.append(helper.make_tensor_value_info("vectors", TensorProto.FLOAT, shape))
        return inputs

    def _add(
        self, kind: str, inputs: Sequence[str], outputs: int, domain: str, attributes: dict[str, Any]
    ) -> tuple[str, ...]:
        name = f"{self._prefix}t{len(self._nodes)}"
        names = tuple(f"{name}_{i}" if outputs > 1 else name for i in range(outputs))
        node = helper.make_node(kind, list(inputs), list(names), domain=domain)
        node.attribute.extend(_attribute(key, value) for key, value in sorted(attributes.items()) if value is not None)
        self._nodes.append(node)
        return names

    def _name(self, tensor: str, name: str) -> None:
        """Give the output of the newest node its public name."""
        assert self._nodes[-1].output[0] == tensor
        self._nodes[-1].output[0] = name


class Part(Builder):
    """Of the whole, some rows: `chosen` (all rows,) bool are `rows` (some rows,). Its constants are its own, since what
    an engine prepares beforehand it finds where they are used."""

    def __init__(
        self, whole: Builder, chosen: str, rows: str, *, sentences: Callable[[GraphWriter], str] | None = None
    ) -> None:
        super().__init__(**whole.shape, sentences=sentences, prefix=whole.part_prefix())
        self._whole, self._chosen, self._rows = whole, chosen, rows

    @cached_property
    def columns(self) -> str:
        return self.op("Gather", self._whole.columns, self._rows, axis=0)

    @cached_property
    def term_ids(self) -> str:
        return self.op("Compress", self._whole.term_ids, self._kept_terms[1], axis=0)

    @cached_property
    def term_segments(self) -> str:
        texts = self.constant(np.array(self._texts))
        segments = self.op("Compress", self._kept_terms[0], self._kept_terms[1], axis=0)
        held = self.op("Cast", self._chosen, to=TensorProto.INT64)
        places = self.op("Sub", self.op("CumSum", held, self.constant(np.array(0))), self.constant(np.array(1)))
        place = self.op("Gather", places, self.op("Div", segments, texts))
        fresh = self.op("Add", self.op("Mul", place, texts), self.op("Mod", segments, texts))
        return self.op("Unsqueeze", fresh, self.constant(np.array([1])))

    @cached_property
    def tokens(self) -> str:
        return self.op("Gather", self._whole.tokens, self._row_texts, axis=0)

    @cached_property
    def token_mask(self) -> str:
        return self.op("Gather", self._whole.token_mask, self._row_texts, axis=0)

    def note(self, name: str) -> None:
        self._whole.note(name)

    @cached_property
    def _kept_terms(self) -> tuple[str, str]:
        """Of each term its segment, and whether its row is among the chosen."""
        segments = self.op("Reshape", self._whole.term_segments, self.constant(np.array([-1])))
        row = self.op("Div", segments, self.constant(np.array(self._texts)))
        return segments, self.op("Gather", self._chosen, row)

    @cached_property
    def _row_texts(self) -> str:
        """Where the texts of these rows stand among all: (some rows * texts,)."""
        if self._texts == 1:
            return self._rows
        first = self.op("Mul", self.op("Unsqueeze", self._rows, self.constant(np.array([1]))),
                        self.constant(np.array(self._texts)))  # fmt: skip
        return self.op("Reshape", self.op("Add", first, self.constant(np.arange(self._texts)[None])),
                       self.constant(np.array([-1])))  # fmt: skip


def _rename(graph: onnx.GraphProto, new: Callable[[str], str]) -> None:
    """All tensors of a graph, and of graphs within its nodes."""
    for each in (*graph.initializer, *graph.input, *graph.output):
        each.name = new(each.name)
    for node in graph.node:
        node.name = ""
        node.input[:], node.output[:] = list(map(new, node.input)), list(map(new, node.output))
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _rename(attribute.g, new)


def _attribute(name: str, value: Any) -> onnx.AttributeProto:
    """Arrays of NumPy are tensors; those of `array` are lists of whole numbers, which as objects take 36 bytes
    each."""
    if isinstance(value, array):
        made = onnx.AttributeProto(name=name, type=onnx.AttributeProto.INTS)
        made.ints.extend(value)
        return made
    return helper.make_attribute(name, numpy_helper.from_array(value) if isinstance(value, np.ndarray) else value)
