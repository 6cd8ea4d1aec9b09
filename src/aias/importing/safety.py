"""An ONNX file is looked through before anything runs it: other files, sizes, operators, work that rows could decide.

What these look-ups let through is still run for the first time in a process that may die of it.
"""

import math
import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper

from aias.core.limits import COLUMNS_MAX
from aias.importing.bounds import check_bounds, graphs_in
from aias.importing.formats.contract import UnfitModel, UnreadableModel, UnsafeModel

DOMAINS: Final = {"": "ai.onnx", "ai.onnx": "ai.onnx", "ai.onnx.ml": "ai.onnx.ml"}

OPSET_MIN: Final = 9
"""ONNX 1.4, of January 2019: older ones have no types of texts and no `Where`."""

OPSETS: Final = {"ai.onnx": 28, "ai.onnx.ml": 5}
"""The last ones that were gone through for `bounds.SIZES`: in a later one another input could decide a size."""

NODES_MAX: Final = 200_000
DIMENSION_MAX: Final = 2**31
TENSORS_BYTES_MAX: Final = 1 << 30
"""As of the file; the graph of a version is one protobuf, which holds 2 GB."""

RANDOM: Final = {
    "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli",
}  # fmt: skip
TEXTS: Final = {
    "StringNormalizer", "TfIdfVectorizer", "RegexFullMatch", "StringSplit", "StringConcat", "Tokenizer",
}  # fmt: skip

_FILE_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def loaded(path: Path) -> onnx.ModelProto:
    """The model, with the tensors that stand beside it, its functions unfolded. Raises what `formats.contract` says."""
    model = onnx.ModelProto()
    try:
        model.ParseFromString(path.read_bytes())
    except DecodeError:
        raise UnreadableModel("it is no ONNX model, or only a part of one", hint="copy it again") from None
    if not model.graph.node or not model.opset_import:
        raise UnreadableModel("it is no ONNX model: it has no operators", hint="copy it again, or export it again")
    if len(model.graph.node) > NODES_MAX:
        raise UnsafeModel(f"it has {len(model.graph.node):,} operators", hint=f"{NODES_MAX:,} are the most")
    _check_inputs(model)
    held = 0
    for tensor in _tensors(model):
        if tensor.data_location == TensorProto.EXTERNAL:
            _bring(tensor, path.parent, TENSORS_BYTES_MAX - held)
        held += _check_tensor(tensor)
        if held > TENSORS_BYTES_MAX:
            raise UnsafeModel(f"its tensors take {held:,} bytes", hint=f"{TENSORS_BYTES_MAX:,} are the most")
    if model.functions:
        from onnx import inliner

        model = inliner.inline_local_functions(model)
    _raise(model)
    _check_operators(model)
    check_bounds(model.graph)
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError) as fault:
        raise UnreadableModel(f"it breaks a rule of ONNX: {plain(fault)}", hint="export it again") from None
    return model


def _check_inputs(model: onnx.ModelProto) -> None:
    """What no table can be is told before anything else is found wrong with it."""
    kept = {each.name for each in model.graph.initializer}
    for each in model.graph.input:
        if each.name in kept:
            continue
        if not each.type.HasField("tensor_type"):
            raise UnfitModel(f"its input `{each.name}` is no tensor", hint="export it with one matrix of numbers")
        shape = [size.dim_value or "?" for size in each.type.tensor_type.shape.dim]
        alone = len(model.graph.input) - len(kept & {other.name for other in model.graph.input}) == 1
        fixed = [size for size in shape[1:] if isinstance(size, int)]
        small = alone and len(fixed) == len(shape) - 1 and math.prod(fixed) <= COLUMNS_MAX
        if len(shape) == 4 and not small:
            raise _other_kind(each.name, shape, f"images, of a size that is free or over {COLUMNS_MAX:,} numbers")
        if len(shape) > 2 and not small:
            raise _other_kind(each.name, shape, "sound or sequences, or keeps a state from one call to the next")
        if each.name in {"input_ids", "attention_mask", "token_type_ids"}:
            raise UnfitModel(
                f"its input `{each.name}` wants the numbers of a tokenizer, which is not in the file",
                hint="let its folder read texts: aias train rows.csv --target COLUMN --encoder FOLDER",
            )


def _other_kind(name: str, shape: list[Any], what: str) -> UnfitModel:
    return UnfitModel(
        f"its input `{name}` has the shape {' × '.join(map(str, shape))}: it reads {what}, and a version reads rows of "
        "numbers and categories",
        hint="run it before: let your program make columns of what it gives, and import or train a model of these",
    )


def _tensors(model: onnx.ModelProto) -> Iterator[TensorProto]:
    yield from _of_graph(model.graph, 0)
    for function in model.functions:
        yield from _of_nodes(function.node, 0)


def _of_graph(graph: onnx.GraphProto, depth: int) -> Iterator[TensorProto]:
    if graph.sparse_initializer:
        raise UnfitModel("it holds sparse tensors", hint="export it with dense ones")
    yield from graph.initializer
    yield from _of_nodes(graph.node, depth)


def _of_nodes(nodes: Iterable[onnx.NodeProto], depth: int) -> Iterator[TensorProto]:
    if depth > 8:
        raise UnsafeModel("its graphs lie within graphs more than 8 deep")
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("sparse_tensor") or attribute.sparse_tensors:
                raise UnfitModel("it holds sparse tensors", hint="export it with dense ones")
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
        for graph in graphs_in(node):
            yield from _of_graph(graph, depth + 1)


def _check_tensor(tensor: TensorProto) -> int:
    """Its bytes, which must be those that its shape says. Raises `UnsafeModel`, `UnreadableModel`."""
    if any(not 0 <= size <= DIMENSION_MAX for size in tensor.dims):
        raise UnsafeModel(f"its tensor `{tensor.name}` has the shape {list(tensor.dims)}", hint="export it again")
    count = math.prod(tensor.dims)
    if tensor.data_type == TensorProto.STRING:
        held = len(tensor.string_data)
    elif tensor.HasField("raw_data"):
        bits = _bits(tensor)
        held, count = len(tensor.raw_data), -(-count * bits // 8)
    else:
        return _typed(tensor, count)
    if held != count:
        raise _unlike(tensor, held, count)
    return held


def _typed(tensor: TensorProto, count: int) -> int:
    """Of data in lists: how many values there are in each."""
    lists = (tensor.float_data, tensor.int32_data, tensor.int64_data, tensor.double_data, tensor.uint64_data)
    held = sum(map(len, lists))
    packed = -(-count * _bits(tensor) // 8) if _bits(tensor) < 8 else count
    if held not in {count, packed, 2 * count}:
        raise _unlike(tensor, held, count)
    return 8 * held


def _unlike(tensor: TensorProto, held: int, wanted: int) -> UnsafeModel:
    return UnsafeModel(
        f"its tensor `{tensor.name}` of the shape {list(tensor.dims)} should hold {wanted:,} and holds {held:,}",
        hint="the file is damaged or forged: export it again",
    )


def _bits(tensor: TensorProto) -> int:
    try:
        if tensor.data_type in {TensorProto.INT4, TensorProto.UINT4}:
            return 4
        return int(8 * np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type)).itemsize)
    except (KeyError, TypeError, ValueError):
        raise UnreadableModel(f"its tensor `{tensor.name}` is of no known type", hint="export it again") from None


def _bring(tensor: TensorProto, folder: Path, left: int) -> None:
    """Into the model what stands in a file beside it. No link is followed, and no way out of the folder."""
    entries = {each.key: each.value for each in tensor.external_data}
    name = entries.get("location", "")
    parts = Path(name).parts
    if not parts or "\0" in name or Path(name).is_absolute() or ".." in parts or "\\" in name or len(parts) > 4:
        raise UnsafeModel(
            f"it asks for the file {name[:100]!r}, which is not beside it in its folder",
            hint="export it with its weights in one file, or beside it",
        )
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts[:-1]:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
            os.close(at)
            at = inner
        file = os.open(parts[-1], _FILE_FLAGS, dir_fd=at)
    except OSError as fault:
        why = "is a link, or no plain file" if fault.errno in (40, 20, 6) else "is not there"
        raise UnsafeModel(f"the file {name[:100]!r} that it asks for {why}", hint="copy it beside the model") from None
    finally:
        os.close(at)
    with os.fdopen(file, "rb") as opened:
        _read_into(tensor, opened, entries, left)


def _read_into(tensor: TensorProto, opened: Any, entries: dict[str, str], left: int) -> None:
    status = os.fstat(opened.fileno())
    count = math.prod(tensor.dims)
    wanted = -(-count * _bits(tensor) // 8)
    try:
        offset, length = int(entries.get("offset", 0)), int(entries.get("length", wanted))
    except ValueError:
        raise UnreadableModel(f"its tensor `{tensor.name}` does not say where it stands") from None
    good = stat.S_ISREG(status.st_mode) and offset >= 0 and length == wanted and offset + length <= status.st_size
    if not good or wanted > left:
        raise UnsafeModel(
            f"its tensor `{tensor.name}` should hold {wanted:,} bytes, from byte {offset:,} of a file of "
            f"{status.st_size:,}", hint="copy the file beside the model again, or export both again",
        )  # fmt: skip
    opened.seek(offset)
    tensor.raw_data = opened.read(length)
    tensor.data_location = TensorProto.DEFAULT
    del tensor.external_data[:]


def _check_operators(model: onnx.ModelProto) -> None:
    if any(each.op_type == "knn_imputer_column" for each in model.graph.node):
        raise UnfitModel(
            "it fills missing values by nearest neighbours (`KNNImputer`), with loops and sizes that rows decide",
            hint="fill them by `SimpleImputer`, or train a model that needs none filled, such as "
            "`HistGradientBoostingClassifier`",
        )
    for node in model.graph.node:
        if node.domain not in DOMAINS:
            raise UnfitModel(
                f"it uses the operator `{node.op_type}` of `{node.domain}`, which is not of ONNX itself",
                hint="export it with operators of ai.onnx and ai.onnx.ml only",
            )
        if node.op_type in RANDOM:
            raise UnfitModel(f"it uses `{node.op_type}`: it answers at random", hint="export it in inference mode")
        if node.op_type in TEXTS:
            raise UnfitModel(
                f"it uses `{node.op_type}`: it reads inside texts, which ONNX Runtime does otherwise than Python",
                hint="train on the texts: `aias train rows.csv --target COLUMN`",
            )
    for domain, last in OPSETS.items():
        most = min(last, onnx.defs.onnx_opset_version())
        if (found := _version(model, domain)) > most:
            raise UnfitModel(
                f"its operator set of {domain} is {found}; {most} is the latest known here",
                hint="export it with an earlier one",
            )
    if (main := _version(model, "ai.onnx")) < OPSET_MIN:
        raise UnfitModel(f"its operator set is {main}; {OPSET_MIN} is the least", hint="export it with a later one")


def _version(model: onnx.ModelProto, domain: str) -> int:
    """Of a domain's operator set; 0 where it names none."""
    return max((int(each.version) for each in model.opset_import if DOMAINS.get(each.domain) == domain), default=0)


def _raise(model: onnx.ModelProto) -> None:
    """To the least operator set, where all that is used is the same in both: CatBoost names none, onnxmltools 8."""
    main, used = (
        _version(model, "ai.onnx"),
        {each.op_type for each in model.graph.node if DOMAINS.get(each.domain) == "ai.onnx"},
    )
    if main < OPSET_MIN and all(_since(name, main) == _since(name, OPSET_MIN) for name in used):
        others = [each for each in model.opset_import if DOMAINS.get(each.domain) != "ai.onnx"]
        del model.opset_import[:]
        model.opset_import.extend([*others, helper.make_opsetid("", OPSET_MIN)])


def _since(name: str, version: int) -> int:
    """The version from which on an operator is as it is in that one; 0 where it has none."""
    try:
        return int(onnx.defs.get_schema(name, version).since_version)
    except onnx.defs.SchemaError:
        return 0


def plain(fault: Exception) -> str:
    """What a library says, in one line: without the number of the fault, and where in its own source it was found."""
    said = re.sub(r"^\[ONNXRuntimeError\] : \d+ : |/\S+:\d+ .*?(?=ONNX Runtime|Invalid|Failed|$)", "", str(fault))
    return " ".join((said if said.strip() else str(fault)).split())[:250]
