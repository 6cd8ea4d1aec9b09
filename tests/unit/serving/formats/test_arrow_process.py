"""What training reads of a table, callers may send."""

import io
from datetime import time, timedelta

import pytest

from aias.data.types.columns import simplified
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
