"""Tensors of messages ↔ bytes in a row, as the binary form over HTTP has them."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from aias.core.limits import BODY_ROWS_MAX, COLUMNS_MAX
from aias.serving.formats.tensors import check_datatype, write_blobs
from aias.serving.refusals import BadBody, too_many_rows

CONTENTS: Final = {
    "BOOL": ("bool_contents", "?"),
    "INT8": ("int_contents", "<i1"),
    "INT16": ("int_contents", "<i2"),
    "INT32": ("int_contents", "<i4"),
    "INT64": ("int64_contents", "<i8"),
    "UINT8": ("uint_contents", "<u1"),
    "UINT16": ("uint_contents", "<u2"),
    "UINT32": ("uint_contents", "<u4"),
    "UINT64": ("uint64_contents", "<u8"),
    "FP32": ("fp32_contents", "<f4"),
    "FP64": ("fp64_contents", "<f8"),
    "BYTES": ("bytes_contents", ""),
}
"""Where the values of a datatype stand in a message. FP16 and BF16 come raw only."""

PARAMETERS_MAX: Final = 100


def raw_inputs(request: Any) -> Sequence[bytes]:
    """The bytes of each input, whichever way they came. Raises `BadBody`, `TooManyRows`."""
    raw = request.raw_input_contents
    # Looked at before anything is made of them: two bytes of a message are an input, or a value.
    if max(len(request.inputs), len(request.outputs), len(raw)) > COLUMNS_MAX:
        raise BadBody(f"more than {COLUMNS_MAX:,} tensors", hint="send the model's fields only")
    if any(len(each.parameters) > PARAMETERS_MAX for each in (request, *request.inputs, *request.outputs)):
        raise BadBody(f"more than {PARAMETERS_MAX} parameters")
    if not raw:
        return [_packed(tensor) for tensor in request.inputs]
    if any(tensor.HasField("contents") for tensor in request.inputs):
        raise BadBody("inputs have contents beside raw_input_contents", hint="use one of the two for all inputs")
    if len(raw) != len(request.inputs):
        raise BadBody(f"{len(request.inputs)} inputs and {len(raw)} raw_input_contents", hint="send one for each")
    return raw  # type: ignore[no-any-return]


def fill(contents: Any, datatype: str, raw: bytes) -> None:
    """Put the bytes of a tensor into a message's contents."""
    field, code = CONTENTS[datatype]
    values = _texts(raw) if datatype == "BYTES" else np.frombuffer(raw, code).tolist()
    getattr(contents, field).extend(values)


def _packed(tensor: Any) -> bytes:
    check_datatype(tensor.name, tensor.datatype)
    found = CONTENTS.get(tensor.datatype)
    if found is None:
        raise BadBody(f"input `{tensor.name[:100]}`: {tensor.datatype[:20]!r} comes in raw_input_contents only")
    field, code = found
    # An empty tensor has no field at all.
    if others := [each.name for each, _ in tensor.contents.ListFields() if each.name != field]:
        raise BadBody(f"input `{tensor.name[:100]}`: {tensor.datatype} stands in {field}, not in {others[0]}")
    values = getattr(tensor.contents, field)
    if len(values) > BODY_ROWS_MAX:
        raise too_many_rows(BODY_ROWS_MAX)
    if tensor.datatype == "BYTES":
        return write_blobs(values)
    return _numbers(tensor, values, code)


def _numbers(tensor: Any, values: Sequence[Any], code: str) -> bytes:
    kind = np.dtype(code)
    wide = np.array(values, "i8" if kind.kind == "i" else "u8" if kind.kind == "u" else kind)
    if kind.kind in "iu" and len(wide):
        bounds = np.iinfo(kind)
        if wide.min() < bounds.min or wide.max() > bounds.max:
            message = f"input `{tensor.name[:100]}` has a value out of the range of {tensor.datatype}"
            raise BadBody(message, hint=f"it holds {bounds.min} to {bounds.max}")
    return wide.astype(kind).tobytes()


def _texts(raw: bytes) -> list[bytes]:
    texts, at = [], 0
    while at < len(raw):
        size = int.from_bytes(raw[at : at + 4], "little")
        texts.append(raw[at + 4 : at + 4 + size])
        at += 4 + size
    return texts
