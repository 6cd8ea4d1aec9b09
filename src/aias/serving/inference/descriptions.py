"""What a model's tensors are called, hold and measure, as metadata and as Triton's model configuration."""

from collections.abc import Sequence
from typing import Final

from aias.core.schema import Field
from aias.serving.versions.model import Model

PLATFORM: Final = "onnxruntime_onnx"

ENDS: Final = ("low", "high")
"""From and to where the truth of a predicted number lies, as the columns of CSV and Arrow are called."""


def metadata_of(name: str, model: Model, versions: Sequence[int]) -> dict[str, object]:
    """`versions`: those that can be asked. `-1` stands for the rows, of which there may be any number."""
    return {
        "name": name,
        "versions": [*map(str, versions)],
        "platform": PLATFORM,
        "inputs": [{"name": field.name, "datatype": datatype_of(field), "shape": [-1]} for field in _inputs(model)],
        "outputs": outputs_of(model),
    }


def config_of(name: str, model: Model, versions: Sequence[int], *, rows_max: int) -> dict[str, object]:
    """Shapes here are of one row, since the first dimension is a batch of up to `max_batch_size`."""
    return {
        "name": name,
        "platform": PLATFORM,
        "backend": "onnxruntime",
        "version_policy": {"specific": {"versions": [*versions]}},
        "max_batch_size": rows_max,
        "input": [
            {"name": field.name, "data_type": _config_type(datatype_of(field)), "dims": [], "optional": field.nullable}
            for field in _inputs(model)
        ],
        "output": [
            {"name": each["name"], "data_type": _config_type(str(each["datatype"])), "dims": _of_one_row(each)}
            for each in outputs_of(model)
        ],
        "instance_group": [{"name": name, "kind": "KIND_CPU", "count": 1}],
        "default_model_filename": "model.onnx",
    }


def outputs_of(model: Model) -> list[dict[str, object]]:
    if width := model.manifest.task.width:
        return [{"name": "vectors", "datatype": "FP32", "shape": [-1, width]}]
    classes = len(model.manifest.task.classes)
    if not classes:
        names = ["prediction", *(ENDS if model.manifest.intervals is not None else ())]
        return [{"name": name, "datatype": "FP64", "shape": [-1]} for name in names]
    return [
        {"name": "prediction", "datatype": "BYTES", "shape": [-1]},
        {"name": "probabilities", "datatype": "FP32", "shape": [-1, classes]},
    ]


def datatype_of(field: Field) -> str:
    return "FP64" if field.kind == "number" else "BYTES"


def _inputs(model: Model) -> tuple[Field, ...]:
    return model.manifest.inputs


def _of_one_row(output: dict[str, object]) -> list[int]:
    shape = output["shape"]
    assert isinstance(shape, list)
    return shape[1:]


def _config_type(datatype: str) -> str:
    return "TYPE_STRING" if datatype == "BYTES" else f"TYPE_{datatype}"
