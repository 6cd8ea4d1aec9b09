"""What training reads of a table, callers may send."""

import io
from collections.abc import Callable
from datetime import time, timedelta
from typing import Any

import msgspec
import pytest

from aias.data.types.columns import simplified
from aias.serving.formats.arrow import ArrowProcess
from aias.serving.formats.arrow_process import read
from aias.serving.refusals import BadBody

pl = pytest.importorskip("polars")

TABLE = {
    "taken": [timedelta(hours=1, seconds=2), timedelta(days=-1), None],
    "at": [time(8, 30), None, time(23, 59, 59)],
    "tags": [["a", "b"], [], None],
    "sizes": [[1.0, None], [2.5], []],
}


@pytest.mark.parametrize("form", ["write_parquet", "write_ipc", "write_ipc_stream"])
def test_durations_times_of_day_and_lists_are_read_as_in_training(form: str) -> None:
    table, body = pl.DataFrame(TABLE), io.BytesIO()
    getattr(table, form)(body)

    learned, _ = simplified(table)
    assert read(body.getvalue(), 10) == {name: learned[name].to_list() for name in TABLE}


def test_bytes_are_refused_as_in_training() -> None:
    body = io.BytesIO()
    pl.DataFrame({"raw": [b"x"]}).write_ipc_stream(body)

    with pytest.raises(BadBody, match="column `raw` is of the type Binary"):
        read(body.getvalue(), 10)


def test_no_call_of_the_server_makes_or_takes_more_than_one_column(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would keep all other threads out meanwhile, for most of a second with millions of values."""
    table, body, made = pl.DataFrame({f"c{at}": range(100) for at in range(50)}), io.BytesIO(), list[int]()

    def counting(real: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def call(given: Any) -> Any:
            found = real(given)
            made.extend(map(_values, (given, found)))
            return found

        return call

    for name in ("decode", "encode"):
        monkeypatch.setattr(msgspec.msgpack, name, counting(getattr(msgspec.msgpack, name)))
    table.write_parquet(body)
    process = ArrowProcess()
    try:
        columns = process.read(body.getvalue(), rows_max=100)
        written = process.write(columns, as_file=True)
    finally:
        process.close()

    assert columns == {name: list(range(100)) for name in table.columns}
    assert pl.read_ipc(written).equals(table)
    assert max(made) == 100


def _values(held: Any) -> int:
    """How many numbers it holds, however deep."""
    if isinstance(held, dict):
        held = list(held.values())
    return sum(map(_values, held)) if isinstance(held, list | tuple) else int(isinstance(held, int))
