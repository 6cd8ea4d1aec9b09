"""Values ↔ the protocol's tensors, in JSON and in bytes, written anew so that nobody's mistakes are shared."""

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from aias.testing.inference_v2.checks import Failed

CODES: Final = {
    "BOOL": "?",
    "INT8": "b",
    "INT16": "h",
    "INT32": "i",
    "INT64": "q",
    "UINT8": "B",
    "UINT16": "H",
    "UINT32": "I",
    "UINT64": "Q",
    "FP16": "e",
    "FP32": "f",
    "FP64": "d",
}
DATATYPES: Final = (*CODES, "BF16", "BYTES")
BINARY_ONLY: Final = ("FP16", "BF16")


@dataclass(frozen=True, slots=True)
class Values:
    """A tensor, row-major. Texts are bytes; a number that JSON cannot write is NaN."""

    datatype: str
    shape: tuple[int, ...]
    flat: tuple[Any, ...]


def write(datatype: str, flat: Sequence[Any]) -> bytes:
    """Little-endian, one after the other; a BYTES element behind its length in four bytes."""
    if datatype == "BYTES":
        return b"".join(struct.pack("<I", len(each)) + each for each in map(_bytes, flat))
    if datatype == "BF16":
        return b"".join(struct.pack("<f", each)[2:] for each in flat)
    return struct.pack(f"<{len(flat)}{CODES[datatype]}", *flat)


def read(datatype: str, raw: bytes, count: int) -> tuple[Any, ...]:
    """Raises `Failed` unless the bytes are `count` elements and nothing else."""
    if datatype == "BYTES":
        return _read_texts(raw, count)
    if datatype == "BF16":
        wide = b"".join(b"\0\0" + raw[at : at + 2] for at in range(0, len(raw), 2))
        return _unpack("f", wide, count)
    return _unpack(CODES[datatype], raw, count)


def from_json(output: dict[str, Any]) -> Values:
    shape, flat = tuple(output["shape"]), flatten(output["data"])
    if len(flat) != math.prod(shape):
        raise Failed(f"output `{output['name']}` has the shape {list(shape)} and {len(flat)} values")
    return Values(output["datatype"], shape, tuple(_plain(output["datatype"], value) for value in flat))


def flatten(data: Any) -> list[Any]:
    return [each for item in data for each in flatten(item)] if isinstance(data, list) else [data]


def nest(flat: Sequence[Any], shape: Sequence[int]) -> Any:
    """The values as nested lists, one level for each dimension."""
    if len(shape) <= 1:
        return list(flat)
    width = math.prod(shape[1:])
    return [nest(flat[at * width : (at + 1) * width], shape[1:]) for at in range(shape[0])]


def same(left: Values, right: Values) -> bool:
    """Equal, where numbers may have been rounded to six digits on their way through JSON."""
    if (left.datatype, left.shape) != (right.datatype, right.shape):
        return False
    return all(_close(a, b) for a, b in zip(left.flat, right.flat, strict=True))


def _close(left: Any, right: Any) -> bool:
    if isinstance(left, float) and isinstance(right, float):
        if not math.isfinite(left) or not math.isfinite(right):
            return math.isfinite(left) == math.isfinite(right)
        return math.isclose(left, right, rel_tol=1e-4, abs_tol=1e-6)
    return bool(left == right)


def _plain(datatype: str, value: Any) -> Any:
    if datatype == "BYTES":
        return _bytes(value)
    if datatype in ("FP16", "BF16", "FP32", "FP64"):
        return math.nan if value is None else float(value)
    return value


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _unpack(code: str, raw: bytes, count: int) -> tuple[Any, ...]:
    if len(raw) != struct.calcsize(f"<{count}{code}"):
        raise Failed(f"{count} elements of {struct.calcsize(f'<{code}')} bytes were announced; {len(raw)} bytes came")
    return struct.unpack(f"<{count}{code}", raw)


def _read_texts(raw: bytes, count: int) -> tuple[bytes, ...]:
    texts: list[bytes] = []
    at = 0
    while at + 4 <= len(raw):
        (size,) = struct.unpack_from("<I", raw, at)
        texts.append(raw[at + 4 : at + 4 + size])
        at += 4 + size
    if at != len(raw) or len(texts) != count:
        raise Failed(f"{count} elements of BYTES were announced; {len(raw)} bytes hold {len(texts)}")
    return tuple(texts)
