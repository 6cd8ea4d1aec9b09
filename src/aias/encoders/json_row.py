"""One row of JSON straight into the columns that a graph reads: a table row on the hot path of an endpoint.

What it cannot read it does not judge: the long way, by a dict of the row's values, reads it or says what is wrong.
"""

import struct
from collections.abc import Callable
from math import nan
from typing import Any, Final

import msgspec
import numpy as np

from aias.core.arrays import Floats
from aias.core.errors import BadValue
from aias.encoders.contract import ColumnEncoder

BYTES_MAX: Final = 64 << 10
"""Of a body; beyond, what two attempts cost is more than what one saves."""

Number = float | None
Scalar = str | float | int | bool | None

_values_of: Final[Callable[[Any], Any]] = msgspec.structs.astuple
_Faults: Final = (msgspec.MsgspecError, ValueError, RecursionError, BadValue)


class JsonRow:
    """`read`: an object, or a list with one object → columns (1, width) float64; None for everything else."""

    def __init__(self, plain: list[tuple[str, ColumnEncoder]]) -> None:
        """Of fields that take one column each. Raises `ValueError` for names that JSON has to escape."""
        fields = [
            (f"field_{at}", kind, msgspec.field(name=name, default=missing))
            for at, (name, encoder) in enumerate(plain)
            for kind, missing in (((Number, nan) if encoder.kind == "number" else (Scalar, None)),)
        ]
        row: Any = msgspec.defstruct("Row", fields, forbid_unknown_fields=True, gc=False)
        self._object, self._list = msgspec.json.Decoder(row).decode, msgspec.json.Decoder(list[row]).decode
        self._others: list[tuple[int, Callable[[Any], Any]]] = [
            (at, encoder.encode) for at, (_, encoder) in enumerate(plain) if encoder.kind != "number"
        ]
        self._shape, self._pack = (1, len(plain)), struct.Struct(f"{len(plain)}d").pack

    def read(self, body: bytes) -> Floats | None:
        if len(body) > BYTES_MAX or body.count(b"{") != 1:
            return None
        try:
            if body[:1] == b"[":
                [row] = self._list(body)
            else:
                row = self._object(body)
            values = _values_of(row)
            if self._others:
                values = list(values)
                for at, encode in self._others:
                    values[at] = encode(values[at])
        except _Faults:
            return None
        try:
            # `np.array` looks at each value to find out what it is.
            return np.ndarray(self._shape, np.float64, self._pack(*values))
        except struct.error:
            return np.array([values], np.float64)  # None becomes NaN
