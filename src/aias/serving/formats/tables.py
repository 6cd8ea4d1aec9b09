"""Bodies of MLflow and SageMaker → columns.

MLflow (https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally): an object with one of four keys

    {"dataframe_split": {"columns": ["age", "plan"], "data": [[41, "pro"]]}}
    {"dataframe_records": [{"age": 41, "plan": "pro"}]}
    {"instances": [...]}         rows: objects, lists in the order of the inputs, or plain values of the only one
    {"inputs": {"age": [41]}}    columns; or rows as above

SageMaker: CSV without a header, JSON Lines, `{"instances": [{"features": [41, "pro"]}]}`. A list of rows is read too.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final, NoReturn

import msgspec

from aias.core.errors import BadValue
from aias.core.json_faults import Faults, in_words
from aias.core.limits import COLUMNS_MAX, TEXT_CHARS_MAX
from aias.encoders.json_row import Scalar
from aias.serving.formats.arrow import Columns
from aias.serving.formats.csvs import broken
from aias.serving.formats.json_rows import SLACK, read_rows
from aias.serving.formats.json_values import Decoder
from aias.serving.formats.tensors import Parameters
from aias.serving.refusals import BadBody, too_many_rows

_FORMS: Final = ("dataframe_split", "dataframe_records", "instances", "inputs")
_HINT: Final = "send an object with one of " + ", ".join(_FORMS)
_BLANKS: Final = b" \t\r\n"


_NOTHING: Final = msgspec.Raw()


class Body(msgspec.Struct, forbid_unknown_fields=True):
    """`signature_name` is TensorFlow Serving's, which MLflow lets pass."""

    dataframe_split: msgspec.Raw = _NOTHING
    dataframe_records: msgspec.Raw = _NOTHING
    instances: msgspec.Raw = _NOTHING
    inputs: msgspec.Raw = _NOTHING
    params: Parameters | None = None
    signature_name: str | None = None


class Split(msgspec.Struct, forbid_unknown_fields=True):
    data: msgspec.Raw
    columns: list[str | int] | None = None
    """Numbers are the names that pandas gives to those that have none."""
    index: msgspec.Raw = _NOTHING


class Features(msgspec.Struct, forbid_unknown_fields=True):
    """SageMaker's row: values in the order of the model's inputs."""

    features: list[Scalar]


ODD_MAX: Final = 1_000
"""Fields that the model does not know, which are refused by name: each becomes a column as long as all rows. Of a field
of its own in each of ten thousand rows, 130 kB, there would be a hundred million values."""

_NAN: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|\bNaN\b|-?\bInfinity\b', re.DOTALL)
"""Texts, which may hold them too, and numbers that JSON has not. A text that never ends is one as well, or each quote
would be tried."""

_NAT: Final = "NaT"

_body = msgspec.json.Decoder(Body)
_split = msgspec.json.Decoder(Split)
_raws = msgspec.json.Decoder(list[msgspec.Raw])
_columns = msgspec.json.Decoder(dict[str, msgspec.Raw])
_line = Decoder(list[Scalar])
_ones = Decoder(list[list[Scalar]])
_scalar = Decoder[Scalar](Scalar)
_features = Decoder(Features)


class Tables:
    """Reads bodies for a model whose inputs have these `names`, in order, and of which some are `times`. `others`: what
    it knows and does not read."""

    def __init__(
        self, names: Sequence[str], *, times: Sequence[str] = (), others: Sequence[str] = (), rows_max: int
    ) -> None:
        self._names, self._times, self._rows_max = tuple(names), tuple(times), rows_max
        self._known = {*names, *others}

    def json(self, body: bytes) -> tuple[Columns, Parameters]:
        """Columns of equal length, and MLflow's `params`. Raises `BadBody`, `BadValue`, `TooManyRows`."""
        if body.lstrip(_BLANKS)[:1] == b"[":
            return self._rows(body), {}
        found = _read(body)
        given = [name for name in _FORMS if _is_there(getattr(found, name))]
        if len(given) != 1:
            raise BadBody(f"the body has {len(given)} of {', '.join(_FORMS)}; it must have one", hint=_HINT)
        raw = bytes(getattr(found, given[0]))
        if given[0] == "dataframe_split":
            columns = self._from_split(raw)
        elif given[0] == "inputs":
            columns = self._from_inputs(raw)
        else:
            columns = self._rows(raw)
        return self._without_nat(columns), found.params or {}

    def json_lines(self, body: bytes) -> Columns:
        """A row a line; empty lines are none."""
        if body.count(b"\n") > SLACK * self._rows_max:
            raise too_many_rows(self._rows_max)
        return self._of_raws([line for line in body.split(b"\n") if line.strip(_BLANKS)])

    def csv(self, text: str, *, header: bool | None) -> Columns:
        """Comma-separated values, all as text. `header`: whether the first line names the columns; None looks whether
        it does."""
        csv.field_size_limit(TEXT_CHARS_MAX)
        lines = csv.reader(io.StringIO(text, newline=""), strict=True)
        try:
            # A line of nothing is a row where there is one column, else it is none, and is not counted either.
            rows = list(islice(lines if len(self._names) == 1 else filter(None, lines), self._rows_max + 2))
        except csv.Error as fault:
            raise broken(fault, lines.line_num) from None
        if header is None:
            # What is not read, alone, such as the name of the target, is rather a value.
            header = bool(rows) and set(rows[0]) <= self._known and not set(self._names).isdisjoint(rows[0])
        names = self._names
        if header:
            if not rows:
                raise BadBody("the CSV body has no header", hint="its first line names the columns")
            names = tuple(rows.pop(0))
            if not rows:
                raise BadBody(
                    "the CSV body has one line, and that is the header: no rows",
                    hint="the rows stand below it; where it is a row itself, say `text/csv; header=absent`",
                )
        return self._of_lines([list(row) or [""] for row in rows], names)

    def _from_split(self, raw: bytes) -> Columns:
        try:
            split = _split.decode(raw)
        except Faults as fault:
            _refuse(fault, raw, "dataframe_split", 'send {"columns": [names], "data": [rows]}')
        names = self._names if split.columns is None else tuple(map(str, split.columns))
        return self._of_lines([_decoded(_line, each, at) for at, each in self._raws_of(bytes(split.data))], names)

    def _from_inputs(self, raw: bytes) -> Columns:
        first = raw.lstrip(_BLANKS)[:1]
        if first == b'"' and len(self._names) == 1:
            return {self._names[0]: [_decoded(_scalar, raw, 0)]}
        if first != b"{":
            return self._rows(raw)
        if raw.count(b'":') > SLACK * COLUMNS_MAX:
            raise BadBody(f"inputs has far more than {COLUMNS_MAX:,} columns")
        try:
            held = _columns.decode(raw)
        except Faults as fault:
            _refuse(fault, raw, "inputs", 'send {"column": [values]}')
        columns = {name: self._column(bytes(values), name) for name, values in held.items()}
        lengths = {len(values) for values in columns.values()}
        if len(lengths) > 1:
            raise BadBody("inputs: every column needs the same number of values")
        self._check_rows(rows_of(columns))
        return columns

    def _column(self, raw: bytes, name: str) -> list[object]:
        """Values, or values in lists of one, as a tensor of (rows, 1) has them."""
        self._check_count(raw)
        nested = raw.lstrip(_BLANKS)[1:].lstrip(_BLANKS)[:1] == b"["
        try:
            if not nested:
                return list(_line.decode(raw))
            return [value for (value,) in _ones.decode(raw)]
        except Faults as fault:
            _refuse(fault, raw, f"inputs, column `{name[:100]}`", "one value for each row")

    def _rows(self, raw: bytes) -> Columns:
        """Objects, lists in order, `{"features": [...]}`, or plain values."""
        first = raw.lstrip(_BLANKS)[1:].lstrip(_BLANKS)[:1]
        if first == b"{" and not self._has_features(raw):
            return self._side_by_side(read_rows(raw, rows_max=self._rows_max))
        if first in (b"[", b"{"):
            return self._of_raws([each for _, each in self._raws_of(raw)])
        self._check_count(raw)
        return self._of_lines([[value] for value in _decoded(_line, raw, None)], self._names)

    def _raws_of(self, raw: bytes) -> Iterator[tuple[int, msgspec.Raw]]:
        self._check_count(raw)
        try:
            found = _raws.decode(raw)
        except Faults as fault:
            _refuse(fault, raw, "the rows", "send a list of rows")
        self._check_rows(len(found))
        return enumerate(found)

    def _of_raws(self, raws: Sequence[bytes | msgspec.Raw]) -> Columns:
        self._check_rows(len(raws))
        first = bytes(raws[0]).lstrip(_BLANKS)[:1] if raws else b""
        if first == b"[":
            return self._of_lines([_decoded(_line, each, at) for at, each in enumerate(raws)], self._names)
        if first == b"{" and self._has_features(bytes(raws[0])):
            lines = [_decoded(_features, each, at).features for at, each in enumerate(raws)]
            return self._of_lines(lines, self._names)
        if first == b"{":
            return self._side_by_side(read_rows(b"[%b]" % b",".join(map(bytes, raws)), rows_max=self._rows_max))
        return self._of_lines([[_decoded(_scalar, each, at)] for at, each in enumerate(raws)], self._names)

    def _of_lines(self, lines: Sequence[Sequence[Scalar]], names: tuple[str, ...]) -> Columns:
        self._check_rows(len(lines))
        if len(set(names)) < len(names):
            raise BadBody("two columns have one name", hint="rename one of them")
        for at, line in enumerate(lines):
            if len(line) != len(names):
                raise BadBody(
                    f"row {at} has {len(line)} values; there are {len(names)} columns",
                    hint="in this order: " + ", ".join(name[:100] for name in names[:20]),
                )
        if not lines:
            return {}
        return dict(zip(names, map(list, zip(*lines, strict=True)), strict=True))

    def _side_by_side(self, rows: Sequence[dict[str, Any]]) -> Columns:
        names = dict.fromkeys(name for row in rows for name in row)
        if rows and not names:
            raise BadValue("the rows are empty", hint="send the model's fields")
        odd = [name for name in names if name not in self._known]
        if len(odd) > ODD_MAX:
            said = f"the rows have {len(odd):,} fields that the model does not know, such as `{odd[0][:100]}`"
            raise BadBody(said, hint="send the model's fields only")
        return {name: [row.get(name) for row in rows] for name in names}

    def _without_nat(self, columns: Columns) -> Columns:
        """What pandas calls a missing time, MLflow's clients write as a text."""
        for name in self._times:
            if _NAT in columns.get(name, ()):
                columns[name] = [None if value == _NAT else value for value in columns[name]]
        return columns

    def _check_rows(self, rows: int) -> None:
        if rows > self._rows_max:
            raise too_many_rows(self._rows_max)

    def _check_count(self, raw: bytes) -> None:
        """Refuse what would become millions of small values, before they are made; what stands in texts may look so."""
        tight = raw.translate(None, _BLANKS)
        between = {b'"': b'","', b"[": b"],[", b"{": b"},{"}.get(tight[1:2], b",")
        if tight.count(between) >= SLACK * self._rows_max:
            raise too_many_rows(self._rows_max)

    def _has_features(self, raw: bytes) -> bool:
        start = raw.lstrip(_BLANKS + b"[")[1:].lstrip(_BLANKS)
        return start.startswith(b'"features"') and "features" not in self._names


def _read(body: bytes) -> Body:
    """MLflow's clients write `NaN`, which is no JSON, for what is missing in a table: it counts as null. `Infinity`
    counts as the text: numbers are read from texts too."""
    try:
        return _body.decode(body)
    except Faults as fault:
        if b"NaN" not in body and b"Infinity" not in body:
            _refuse(fault, body, "the body", _HINT)
    mended = _NAN.sub(_mended, body)
    try:
        return _body.decode(mended)
    except Faults as fault:
        _refuse(fault, mended, "the body", _HINT)


def _mended(found: re.Match[bytes]) -> bytes:
    if found[0][:1] == b'"':
        return found[0]
    return b"null" if found[0] == b"NaN" else b'"%b"' % found[0]


def rows_of(columns: Columns) -> int:
    return len(next(iter(columns.values()), ()))


def _decoded(decoder: Any, raw: bytes | msgspec.Raw, at: int | None) -> Any:
    """The values of row `at`, or of all rows."""
    if at is not None and bytes(raw).count(b'","') >= SLACK * COLUMNS_MAX:
        raise BadBody(f"row {at} has far more than {COLUMNS_MAX:,} values")
    try:
        return decoder.decode(raw)
    except Faults as fault:
        _refuse(
            fault,
            raw,
            "the rows" if at is None else f"row {at}",
            "send texts, numbers, true, false and null; JSON has no NaN",
        )


def _is_there(raw: msgspec.Raw) -> bool:
    return bytes(raw) not in (b"", b"null")


def _refuse(fault: Exception, raw: bytes | msgspec.Raw, place: str, hint: str) -> NoReturn:
    raise BadBody(f"{place}: {in_words(fault, raw)}", hint=hint) from None
