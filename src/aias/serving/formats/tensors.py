"""The tensors of the Open Inference Protocol ↔ columns of values.

https://github.com/open-inference/open-inference-protocol; binary data as in Triton's extension: little-endian, a
BYTES element is its length in four bytes and then itself.
"""

import math
import struct
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
import numpy as np

from aias.core.errors import shown
from aias.encoders.json_row import Scalar
from aias.serving.refusals import BadBody, too_many_rows

Parameters = dict[str, Scalar]

_DTYPES: Final = {
    "BOOL": "?",
    "INT8": "<i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "UINT8": "<u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}
_RANGES: Final[dict[str, tuple[float, float]]] = {
    **{name: (int(np.iinfo(code).min), int(np.iinfo(code).max)) for name, code in _DTYPES.items() if "INT" in name},
    # The least that rounds to infinity is 2**103 beyond the largest; who writes that in nine digits is a little beyond.
    "FP32": (-(2.0**128 - 2.0**103), 2.0**128 - 2.0**103),
    "FP64": (-float(np.finfo("<f8").max), float(np.finfo("<f8").max)),
}
"""Of float64 a whole number without an end may be beyond."""
DATATYPES: Final = (*_DTYPES, "BF16", "BYTES")

_SHAPE: Final = "send [2], or [2, 1], for two rows, and each field as an input of its own"
_LENGTH: Final = struct.Struct("<I")


Data = list[Scalar | list[Scalar]]


class Tensor(msgspec.Struct):
    """As it stands in the JSON of a request."""

    name: str
    shape: list[int]
    datatype: str
    parameters: Parameters | None = None
    data: Data | None = None

    @property
    def called(self) -> str:
        """Its name as messages have it."""
        return self.name[:100]

    @property
    def binary_bytes(self) -> int | None:
        """How many bytes it has behind the JSON; None when its data is in the JSON."""
        size = (self.parameters or {}).get("binary_data_size")
        if size is None:
            return None
        if type(size) is not int or size < 0:
            raise BadBody(f"input `{self.called}`: binary_data_size must be a number of bytes")
        return size


def rows_of(tensor: Tensor, *, rows_max: int) -> int:
    """How many rows it has: its shape is [n] or [n, 1]. Raises `BadBody`, `TooManyRows`."""
    shape = tensor.shape
    if len(shape) not in (1, 2) or shape[0] < 0 or shape[1:] not in ([], [1]):
        came = ", ".join(map(shown, shape[:8]))
        raise BadBody(f"input `{tensor.called}`: the shape must be [n] or [n, 1], not [{came}]", hint=_SHAPE)
    if shape[0] > rows_max:
        raise too_many_rows(rows_max)
    return shape[0]


def check_datatype(name: str, datatype: str) -> None:
    """Raises `BadBody`."""
    if datatype not in DATATYPES:
        raise BadBody(f"input `{name[:100]}`: the datatype must be one of {', '.join(DATATYPES)}")


def read_tensor(tensor: Tensor, raw: memoryview | None, *, rows_max: int) -> list[object]:
    """Its values, from the JSON or from the bytes behind it. Raises `BadBody`, `TooManyRows`."""
    rows = rows_of(tensor, rows_max=rows_max)
    check_datatype(tensor.name, tensor.datatype)
    if raw is not None:
        if tensor.data is not None:
            raise BadBody(f"input `{tensor.called}` has data both in the JSON and behind it")
        return _from_bytes(tensor, raw, rows)
    if tensor.data is None:
        raise BadBody(f"input `{tensor.called}` has no data")
    return _from_json(tensor, rows)


def write_bytes(values: Sequence[object]) -> bytes:
    """A BYTES tensor: each element behind its length."""
    return write_blobs([str(value).encode() for value in values])


def write_blobs(values: Iterable[bytes]) -> bytes:
    """The same of bytes."""
    return b"".join(part for each in values for part in (_LENGTH.pack(len(each)), each))


def _from_json(tensor: Tensor, rows: int) -> list[object]:
    values: list[object] = []
    for item in tensor.data or ():
        if isinstance(item, list):
            values.extend(item)
        else:
            values.append(item)
    if len(values) != rows:
        raise BadBody(f"input `{tensor.called}` has {len(values)} values; its shape says {rows}")
    allowed, bounds = _allowed(tensor), _RANGES.get(tensor.datatype)
    for row, value in enumerate(values):
        if value is None:
            continue
        if type(value) not in allowed:
            raise BadBody(f"input `{tensor.called}`, row {row}: {shown(value)} is no {tensor.datatype}")
        if bounds is not None and not bounds[0] <= value <= bounds[1]:  # type: ignore[operator]
            raise BadBody(
                f"input `{tensor.called}`, row {row}: {shown(value)} is out of the range of {tensor.datatype}",
                hint=f"it holds {bounds[0]} to {bounds[1]}",
            )
    return values


def _allowed(tensor: Tensor) -> tuple[type, ...]:
    if tensor.datatype in ("FP16", "BF16"):
        raise BadBody(f"input `{tensor.called}`: {tensor.datatype} comes as binary data only", hint="or send FP32")
    if tensor.datatype == "BYTES":
        return (str,)
    if tensor.datatype == "BOOL":
        return (bool,)
    return (int, float) if tensor.datatype.startswith("FP") else (int,)


def _from_bytes(tensor: Tensor, raw: memoryview, rows: int) -> list[object]:
    if tensor.datatype == "BYTES":
        return _strings(tensor.called, raw, rows)
    width = 2 if tensor.datatype == "BF16" else np.dtype(_DTYPES[tensor.datatype]).itemsize
    if len(raw) != rows * width:
        raise BadBody(f"input `{tensor.called}` has {len(raw)} bytes; its shape and datatype say {rows * width}")
    if tensor.datatype == "BF16":
        # The upper half of a float32.
        return (np.frombuffer(raw, "<u2").astype("<u4") << 16).view("<f4").tolist()  # type: ignore[no-any-return]
    values: list[object] = np.frombuffer(raw, _DTYPES[tensor.datatype]).tolist()
    return values


def _strings(name: str, raw: memoryview, rows: int) -> list[object]:
    values: list[object] = []
    at = 0
    while at < len(raw) and len(values) < rows:
        if len(raw) - at < _LENGTH.size:
            break
        (size,) = _LENGTH.unpack_from(raw, at)
        at += _LENGTH.size
        if size > len(raw) - at:
            raise BadBody(f"input `{name}`, row {len(values)}: a length of {size} goes beyond the data")
        try:
            values.append(str(raw[at : at + size], "utf-8"))
        except UnicodeDecodeError:
            raise BadBody(f"input `{name}`, row {len(values)}: the text is not UTF-8") from None
        at += size
    if at != len(raw) or len(values) != rows:
        raise BadBody(f"input `{name}` does not hold {rows} elements of BYTES and nothing else")
    return values


def finite(values: Sequence[Any]) -> list[object]:
    """The numbers as JSON can write them: NaN and the infinities become null."""
    return [value if not isinstance(value, float) or math.isfinite(value) else None for value in values]
