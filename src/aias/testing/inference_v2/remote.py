"""The protocol's gRPC, spoken by hand: a call's message is written field by field, so that it may also be wrong."""

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from aias.testing.inference_v2.checks import Failed
from aias.testing.inference_v2.tensors import Values, read
from aias.testing.inference_v2.wire import Headers

Field = tuple[int, "int | bytes | str | Message"]
Message = list[Field]
Decoded = dict[int, list[Any]]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_SIGN: Final = 1 << 63

CONTENTS: Final = {
    "BOOL": 1, "INT8": 2, "INT16": 2, "INT32": 2, "INT64": 3, "UINT8": 4, "UINT16": 4, "UINT32": 4, "UINT64": 5,
    "FP32": 6, "FP64": 7, "BYTES": 8,
}  # fmt: skip
"""In which field of the contents the values of a datatype stand."""


class Refused(Failed):
    """A call that was not answered. `code` is gRPC's name of why."""

    def __init__(self, code: str, details: str) -> None:
        super().__init__(f"{code}: {details}")
        self.code = code


class Remote:
    """The second address of a server. Raises `ImportError` where `grpcio` is not installed."""

    def __init__(self, address: str, headers: Headers = (), *, timeout_seconds: float = 30.0) -> None:
        import grpc

        self._fault = grpc.RpcError
        self._channel = grpc.insecure_channel(address, options=[("grpc.max_receive_message_length", -1)])
        self._metadata = tuple((name.lower(), value) for name, value in headers)
        self._timeout_seconds = timeout_seconds

    def call(self, method: str, message: Message | bytes = b"") -> Decoded:
        """The reply by field number. Raises `Refused`."""
        body = message if isinstance(message, bytes) else write(message)
        ask = self._channel.unary_unary(f"/inference.GRPCInferenceService/{method}")
        try:
            return parse(ask(body, metadata=self._metadata, timeout=self._timeout_seconds))
        except self._fault as fault:
            raise Refused(fault.code().name, str(fault.details())[:200]) from None

    def close(self) -> None:
        self._channel.close()


def write(message: Message) -> bytes:
    """Protobuf: numbers as varints, all else behind its length."""
    parts = []
    for number, value in message:
        if isinstance(value, int):
            parts.append(varint(number << 3) + varint(value))
        else:
            body = value.encode() if isinstance(value, str) else write(value) if isinstance(value, list) else value
            parts.append(varint(number << 3 | _BYTES) + varint(len(body)) + body)
    return b"".join(parts)


def varint(value: int) -> bytes:
    found, value = bytearray(), value & (1 << 64) - 1
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*found, value))


def packed(values: Iterable[int]) -> bytes:
    return b"".join(map(varint, values))


def contents(datatype: str, flat: Sequence[Any]) -> Message:
    """Values as a message of the type InferTensorContents."""
    number = CONTENTS[datatype]
    if datatype == "BYTES":
        return [(number, each if isinstance(each, bytes) else str(each)) for each in flat]
    if datatype.startswith("FP"):
        return [(number, struct.pack(f"<{len(flat)}{'f' if datatype == 'FP32' else 'd'}", *flat))]
    return [(number, packed(map(int, flat)))]


def parse(raw: bytes) -> Decoded:
    """Every field's values in their order: numbers, or bytes. Raises `Failed` on what is no message."""
    found: Decoded = {}
    at = 0
    while at < len(raw):
        key, at = _varint_at(raw, at)
        kind = key & 7
        value: int | bytes
        if kind == _VARINT:
            value, at = _varint_at(raw, at)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
            value, at = raw[at : at + size], at + size
        elif kind == _BYTES:
            size, at = _varint_at(raw, at)
            value, at = raw[at : at + size], at + size
        else:
            raise Failed(f"the reply is no message: wire type {kind}")
        found.setdefault(key >> 3, []).append(value)
    return found


def text(message: Decoded, number: int) -> str:
    return bytes(message.get(number, [b""])[-1]).decode()


def numbers(message: Decoded, number: int) -> tuple[int, ...]:
    """A repeated int64, packed or not."""
    values = [[_signed(each)] if isinstance(each, int) else _all(each) for each in message.get(number, ())]
    return tuple(each for some in values for each in some)


def outputs(reply: Decoded) -> dict[str, Values]:
    """The outputs of a ModelInferResponse, raw or in contents."""
    found: dict[str, Values] = {}
    raws = reply.get(6, [])
    for at, tensor in enumerate(map(parse, reply.get(5, []))):
        name, datatype, shape = text(tensor, 1), text(tensor, 2), numbers(tensor, 3)
        count = 1
        for size in shape:
            count *= size
        if raws:
            if at >= len(raws):
                raise Failed(f"there is no raw_output_contents for `{name}`")
            flat = read(datatype, raws[at], count)
        else:
            flat = _typed(datatype, parse(tensor.get(5, [b""])[-1]), count)
        found[name] = Values(datatype, shape, flat)
    return found


def _typed(datatype: str, message: Decoded, count: int) -> tuple[Any, ...]:
    values = message.get(CONTENTS.get(datatype, 0), [])
    if datatype == "BYTES":
        flat: tuple[Any, ...] = tuple(values)
    elif datatype.startswith("FP"):
        code = "f" if datatype == "FP32" else "d"
        joined = b"".join(values)
        flat = struct.unpack(f"<{len(joined) // struct.calcsize(code)}{code}", joined)
    else:
        flat = numbers(message, CONTENTS[datatype])
    if len(flat) != count:
        raise Failed(f"the shape says {count} values of {datatype}; {len(flat)} came")
    return flat


def _all(raw: bytes) -> Iterator[int]:
    at = 0
    while at < len(raw):
        value, at = _varint_at(raw, at)
        yield _signed(value)


def _varint_at(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(raw) or shift > 63:
            raise Failed("the reply is no message: a number does not end")
        byte = raw[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _signed(value: int) -> int:
    return value - (1 << 64) if value & _SIGN else value
