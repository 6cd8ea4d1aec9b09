"""The other end of `formats/arrow.py`: frames on standard input, answers on standard output."""

import io
import resource
import select
import signal
import sys
from typing import Any, Final

import msgspec

from aias.core.frames import read_frame, write_frame
from aias.core.limits import BODY_BYTES_MAX, BODY_VALUES_MAX, COLUMNS_MAX
from aias.serving.formats.arrow import IDLE_SECONDS, Columns, packed, unpacked
from aias.serving.refusals import BadBody, BodyTooLarge, Refusal, too_many_rows

MEMORY_BYTES_MAX: Final = 2 << 30
"""Of addresses: Polars reserves 0.4 GB, the largest honest bodies and answers take 1 GB, a bomb of 70 kB took 4."""

UNPACKED_BYTES_MAX: Final = 4 * BODY_BYTES_MAX
"""Of a table in memory, which may take a few times what it took on the line; as Python values it takes more again."""

LISTS_BYTES_MAX: Final = BODY_BYTES_MAX // 4
"""Of a column of lists in memory, which becomes text: of small numbers a MiB takes 0.07 s, a bomb has 64."""

_HINT: Final = (
    "send an Arrow IPC stream or file of numbers, texts, booleans, times, and lists or records of these, "
    "no two columns of one name"
)
"""Of such columns Polars says that something is amiss, but not what."""


def main() -> None:
    """Answer until the parent closes its end or nothing comes for a while."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # It ends the process at once, amid code that is not Python too.
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    questions, answers = sys.stdin.buffer, sys.stdout.buffer
    while select.select([questions], [], [], IDLE_SECONDS)[0]:
        frame = read_frame(questions)
        if frame is None:
            return
        verb, subject, detail = msgspec.msgpack.decode(frame)
        answer: tuple[str, object]
        try:
            if verb == "read":
                answer = "", _read_in_time(subject, *detail)
            else:
                answer = "", write(unpacked(subject), *detail)
        except Refusal as fault:
            answer = fault.code, (fault.message, fault.hint)
        write_frame(answers, msgspec.msgpack.encode(answer))


def _read_in_time(body: bytes, rows_max: int, seconds: float) -> dict[str, bytes]:
    """The columns, packed. Where that takes so many seconds of a processor, this process ends: it is of the body."""
    # What the first body waits for is not.
    import aias.data.records
    import aias.data.types.columns  # noqa: F401

    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        return packed(read(body, rows_max))
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def read(body: bytes, rows_max: int) -> Columns:
    """The columns of a body. Raises `BadBody`, `BodyTooLarge`, `TooManyRows`."""
    import polars as pl

    from aias.data.records import parts

    try:
        if body[:4] == b"PAR1":
            table = pl.read_parquet(body, n_rows=rows_max + 1)
        else:
            table = pl.read_ipc(body) if body[:6] == b"ARROW1" else pl.read_ipc_stream(body)
        if table.height > rows_max:
            raise too_many_rows(rows_max)
        if table.estimated_size() > UNPACKED_BYTES_MAX:
            raise _too_large(UNPACKED_BYTES_MAX, "bytes")
        columns: Columns = {}
        room = UNPACKED_BYTES_MAX
        for column in (part for each in table for part in parts(each)):
            if column.name in columns:
                raise BadBody(f"`{column.name}` is a column, and a field of a record as well", hint=_HINT)
            if len(columns) == COLUMNS_MAX:
                raise BadBody(f"the body has more than {COLUMNS_MAX:,} columns", hint="send the model's fields only")
            if (len(columns) + 1) * table.height > BODY_VALUES_MAX:
                raise _too_large(BODY_VALUES_MAX, "values")
            plain = _plain(column)
            if plain is None:
                raise BadBody(f"column `{column.name}` is of the type {column.dtype}", hint=_HINT)
            if plain.dtype == pl.String:
                # What is in the body once may stand in every row.
                room -= plain.str.len_bytes().sum()
                if room < 0:
                    raise _too_large(UNPACKED_BYTES_MAX, "bytes of text")
            columns[column.name] = _listed(plain)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError, MemoryError):
        raise BadBody("the Arrow body cannot be read", hint=_HINT) from None
    return columns


def write(columns: Columns, as_file: bool, kinds: dict[str, str]) -> bytes:
    import polars as pl

    types = {"text": pl.String, "number": pl.Float64, "whole": pl.Int64, "flag": pl.Boolean}
    said = {name: types[kind] for name, kind in kinds.items()}
    table, buffer = pl.DataFrame(columns, schema_overrides=said, strict=False), io.BytesIO()
    # The oldest form, since readers of the newest are few.
    level = pl.CompatLevel.oldest()
    if as_file:
        table.write_ipc(buffer, compat_level=level)
    else:
        table.write_ipc_stream(buffer, compat_level=level)
    return buffer.getvalue()


def _too_large(most: int, what: str) -> BodyTooLarge:
    return BodyTooLarge(f"the body unpacks to more than {most:,} {what}", hint="send fewer rows at once")


def _plain(column: Any) -> Any | None:
    """The same as numbers, texts, booleans, times, or nothing; None where it is none of these."""
    import polars as pl

    from aias.data.types.columns import simple

    dtype = column.dtype
    if dtype.is_decimal() or dtype in (pl.Int128, pl.UInt128):
        return column.cast(pl.Float64)
    if dtype.is_integer() or dtype.is_float() or dtype in (pl.Null, pl.String, pl.Boolean, pl.Date, pl.Datetime):
        return column
    if dtype in (pl.Categorical, pl.Enum):
        return column.cast(pl.String)
    if dtype.is_nested() and column.estimated_size() > LISTS_BYTES_MAX:
        raise BodyTooLarge(f"column `{column.name}` unpacks to more than {LISTS_BYTES_MAX:,} bytes of lists")
    # What else training reads, as it does.
    return None if dtype == pl.Binary else simple(column)[0]


def _listed(column: Any) -> list[object]:
    import polars as pl

    values: list[Any] = column.to_list()
    if column.dtype in (pl.Date, pl.Datetime):
        return [None if value is None else value.isoformat() for value in values]
    return values


if __name__ == "__main__":
    main()
