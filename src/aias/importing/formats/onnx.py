"""ONNX: one matrix of columns or an input a column, probabilities, logits or a number out. Its nodes become ours.

What stood around the nodes is written anew: the columns in, the probabilities out. `ZipMap` and labels are left out,
and labels are the classes of the largest probabilities; the proof asks the graph as it was, labels and all.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto

from aias.core.arrays import Floats
from aias.core.links import sigmoid, softmax
from aias.graph.builder import IR_VERSION, Builder
from aias.importing.columns import MISSING, UNSEEN
from aias.importing.formats.contract import Description, Plan, UnfitModel, UnreadableModel, Values
from aias.importing.machines import Votes
from aias.importing.safety import loaded, plain
from aias.importing.signature import Outputs, Slot, classes_of, outputs_of, pruned, slots_of, without_names

__all__ = ["Onnx"]

WHOLE_MAX: Final = float(2**63 - 1024)
"""The largest float64 that is an int64."""


class Onnx:
    title: ClassVar[str] = "ONNX"

    def __init__(self, model: onnx.ModelProto) -> None:
        self.slots = slots_of(model)
        fixed = {slot.batch for slot in self.slots}
        if len(fixed) > 1:
            raise UnfitModel("its inputs do not agree how many rows come at once", hint="export it with a free batch")
        self.batch = fixed.pop()
        self.outputs = outputs_of(model)
        self.model = model = without_names(model, self.outputs)
        self.session = _session(model.SerializeToString(), {slot.element for slot in self.slots})
        inputs = tuple(each for slot in self.slots for each in slot.inputs)
        probe: list[Values] = [[""] * 2 if each.kind == "category" else np.zeros(2) for each in inputs]
        found, _ = self._run(probe)
        self.flat = found.ndim == 1
        if found.ndim > 2:
            raise UnfitModel(
                f"it answers two rows with the shape {list(found.shape)}",
                hint="export it with an answer for each row",
            )
        self.width = 1 if self.flat else int(found.shape[1])
        classified = self.outputs.label is not None
        count = self.outputs.votes or (max(2, self.width) if classified else self.width)
        task = ("binary" if count == 2 else "multiclass") if classified else ""
        one_each = len(self.slots) > 1 and all(len(slot.inputs) == 1 for slot in self.slots)
        self.description = Description(
            "ONNX", inputs, one_each, task, count, classes_of(model, self.outputs, count), labels=classified,  # type: ignore[arg-type]
            notes=_notes(inputs, self.outputs), libraries={"onnxruntime": onnxruntime.__version__},
            label_weights=self.outputs.label_weights,
        )  # fmt: skip

    @classmethod
    def read(cls, path: Path) -> "Onnx":
        return cls(loaded(path))

    def answer(self, values: Sequence[Values], plan: Plan) -> tuple[Floats, list[str] | None]:
        found, labels = self._run(values)
        scores = found.reshape(len(found), -1).astype(np.float64)
        if self.outputs.turned:
            scores = scores[:, ::-1]
        if self.outputs.votes:
            scores = Votes(self.outputs.votes).scores(scores)
        with np.errstate(over="ignore", invalid="ignore"):
            if plan.classes and plan.scores == "logits":
                scores = sigmoid(scores) if self.width == 1 else softmax(scores)
        if plan.classes and self.width == 1:
            scores = np.hstack([1 - scores, scores])
        return scores, labels

    def write(self, plan: Plan) -> bytes:
        graph, opsets = pruned(self.model, self.outputs.scores)
        builder = Builder(
            width=len(self.description.inputs), texts=0, opsets=opsets,
            ir_version=max(self.model.ir_version, IR_VERSION),
        )  # fmt: skip
        feeds, at = {}, 0
        for slot in self.slots:
            feeds[slot.name] = _feed(builder, slot, at, len(self.description.inputs))
            at += len(slot.inputs)
        here = builder.graft(graph, feeds)
        own = here(self.outputs.scores)
        if any(each.name == self.outputs.scores and _is_half(each) for each in self.model.graph.output):
            own = builder.op("Reshape", own, builder.constant(np.array([-1, self.width])))
        scores = builder.op("Cast", own, to=TensorProto.DOUBLE)
        if self.outputs.turned:
            scores = builder.op("Gather", scores, builder.constant(np.array([1, 0])), axis=1)
        if self.outputs.votes:
            scores = Votes(self.outputs.votes).write(builder, scores)
        if self.flat:
            scores = builder.op("Reshape", scores, builder.constant(np.array([-1, 1])))
        if plan.classes and plan.scores == "logits":
            scores = builder.op("Sigmoid", scores) if self.width == 1 else builder.op("Softmax", scores, axis=1)
        if plan.classes and self.width == 1:
            rest = builder.op("Sub", builder.constant(np.array([[1.0]])), scores)
            scores = builder.op("Concat", rest, scores, axis=1)
        return builder.finish(scores, classes=plan.classes, label_weights=plan.label_weights)

    def _run(self, values: Sequence[Values]) -> tuple[Any, list[str] | None]:
        """The graph as it was read, so many rows at once as it takes."""
        rows = len(values[0])
        step = self.batch or rows
        parts = [self._part(values, at, min(rows, at + step), step) for at in range(0, rows, step)]
        scores = np.concatenate([each for each, _ in parts])
        labels = [label for _, found in parts for label in found] if self.outputs.label is not None else None
        return scores, labels

    def _part(self, values: Sequence[Values], start: int, end: int, step: int) -> tuple[Any, list[str]]:
        """Rows that are missing at the end are the last one again."""
        places = np.minimum(np.arange(start, start + step), end - 1)
        feeds, at = {}, 0
        for slot in self.slots:
            feeds[slot.name] = _fed(slot, values[at : at + len(slot.inputs)], places)
            at += len(slot.inputs)
        wanted = [name for name in (self.outputs.scores, self.outputs.label) if name is not None]
        try:
            found = self.session.run(wanted, feeds)
        except Exception as fault:  # noqa: BLE001  ONNX Runtime has no public base for its errors
            if "out of data bounds" in str(fault):
                raise UnfitModel(
                    f"it has no answer to whole numbers that its tables have no place for: {plain(fault)}",
                    hint="keep them in bounds in the model, as by `torch.clamp(x, 0, size - 1)`, and export it again",
                ) from None
            if "Unknown Category" in str(fault):
                raise UnfitModel(
                    "it has no answer to categories that it does not know",
                    hint='let its encoder pass over them, as by `encoder.handle_unknown = "ignore"` in scikit-learn, '
                    "and export it again",
                ) from None
            raise UnreadableModel(f"ONNX Runtime cannot run it: {plain(fault)}", hint="export it again") from None
        scores = found[0]
        if np.shape(scores)[:1] != (step,):
            raise UnfitModel(
                f"it answers {step} rows with the shape {list(np.shape(scores))}",
                hint="export it with an answer for each row",
            )
        labels = [str(label) for label in np.asarray(found[1]).ravel()[: end - start]] if len(found) > 1 else []
        return np.asarray(scores)[: end - start], labels


def _fed(slot: Slot, values: Sequence[Values], places: Any) -> Any:
    """A slot's own tensor of these rows."""
    if slot.inputs[0].kind == "category":
        held: Any = np.array([[column[at] for column in values] for at in places], object)
    else:
        held = np.column_stack([np.asarray(column)[places] for column in values])
        if slot.inputs[0].kind != "number":
            held = np.where(np.isnan(held), 0.0, held)
        with np.errstate(over="ignore", invalid="ignore"):
            if slot.inputs[0].kind == "whole":
                held = np.clip(np.trunc(held), *_range(slot.dtype))
            held = held.astype(slot.dtype)
    return held.ravel() if slot.flat else held.reshape(-1, *slot.dims) if slot.dims else held


def _feed(builder: Builder, slot: Slot, at: int, width: int) -> str:
    """The same in the graph, of the columns from `at` on."""
    count, kind = len(slot.inputs), slot.inputs[0].kind
    own = builder.columns
    if count < width:
        own = builder.op("Gather", own, builder.constant(np.arange(at, at + count)), axis=1)
    if kind == "category":
        places = builder.op("Cast", own, to=TensorProto.INT64)
        columns = [_texts(builder, slot, places, j) for j in range(count)]
        found = columns[0] if count == 1 else builder.op("Concat", *columns, axis=1)
    else:
        if kind != "number":
            own = builder.op("Where", builder.op("IsNaN", own), builder.constant(np.array([[0.0]])), own)
        if kind == "whole":
            least, most = (builder.constant(np.array([[end]])) for end in _range(slot.dtype))
            own = builder.op("Min", builder.op("Max", own, least), most)
        if kind == "whole" and slot.element != TensorProto.INT64:
            own = builder.op("Cast", own, to=TensorProto.INT64)
        found = own if slot.element == TensorProto.DOUBLE else builder.op("Cast", own, to=slot.element)
    if slot.flat or slot.dims:
        return builder.op("Reshape", found, builder.constant(np.array([-1, *slot.dims])))
    if slot.element == TensorProto.FLOAT16:
        return builder.op("Reshape", found, builder.constant(np.array([-1, count])))
    return found


def _is_half(value: onnx.ValueInfoProto) -> bool:
    """ONNX Runtime computes float16 in float32 and drops a cast beside its own: a `Reshape` between them keeps it."""
    return bool(value.type.tensor_type.elem_type == TensorProto.FLOAT16)


def _texts(builder: Builder, slot: Slot, places: str, column: int) -> str:
    """Codes as the texts that the model knows."""
    own = places
    if len(slot.inputs) > 1:
        own = builder.op("Gather", places, builder.constant(np.array([column])), axis=1)
    known = np.array([MISSING, UNSEEN, *slot.inputs[column].categories], object)
    return builder.op("Gather", builder.constant(known), own, axis=0)


def _range(dtype: Any) -> tuple[float, float]:
    if dtype == np.int64:
        return -WHOLE_MAX, WHOLE_MAX
    if dtype == np.uint64:
        return 0.0, WHOLE_MAX
    held = np.iinfo(dtype)
    return float(held.min), float(held.max)


def _notes(inputs: Sequence[Any], outputs: Outputs) -> tuple[str, ...]:
    names = [each.name for each in inputs if each.kind in {"whole", "flag"}]
    zeros = f"a missing value of {', '.join(names[:8])} counts as 0: whole numbers cannot tell it apart"
    evens = "its support vector machine says .5 and .5 where a value that reaches it is missing"
    signs = (
        "its labels 1 and -1 only say whether its score is above 0: a version gives the score, below 0 of an outlier; "
        'labels, too, by `--classes outlier,usual --scores logits`, or `classes=["outlier", "usual"], scores="logits"`'
    )
    votes = "its scores are votes between each two classes: what is made of them orders classes, and is no frequency"
    said = ((zeros, names), (evens, outputs.label_weights), (signs, outputs.outliers), (votes, outputs.votes))
    return tuple(note for note, holds in said if holds)


def _session(model: bytes, reads: set[int]) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as fault:  # noqa: BLE001  ONNX Runtime has no public base for its errors
        hint = "export it for float32, as by `to_onnx(model, rows.astype(numpy.float32))`"
        raise UnreadableModel(
            f"ONNX Runtime cannot load it: {plain(fault)}",
            hint=hint if TensorProto.DOUBLE in reads else "export it again",
        ) from None
