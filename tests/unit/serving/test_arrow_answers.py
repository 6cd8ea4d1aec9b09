"""Answers as tables of Arrow: alike, whatever values happen to be in them."""

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
import pytest

from aias.runtimes.contract import Answers, Vectors
from aias.serving.formats.arrow import ArrowProcess
from aias.serving.formats.json_vectors import VectorForm
from live_server import Doubler, LiveServer, Rule, Shelf, live_server

STREAM = "application/vnd.apache.arrow.stream"


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    shelf = Shelf()
    shelf.deploy("churn", 1, Rule())
    shelf.deploy("price", 4, Doubler(), model="price")
    with live_server(shelf) as running:
        yield running


@pytest.mark.parametrize(
    ("endpoint", "rows"), [("churn", [{"age": 50}]), ("price", [{"note": "1"}]), ("price", [{"note": "nan"}])]
)
def test_a_table_without_rows_has_the_types_of_one_with_some(
    server: LiveServer, endpoint: str, rows: list[dict[str, Any]]
) -> None:
    """Whoever puts the answers to several tables together needs them alike."""
    some, none = (
        pl.read_ipc_stream(server.call("POST", f"/predict/{endpoint}", asked, headers={"Accept": STREAM}).body)
        for asked in (rows, [])
    )

    assert (len(some), len(none)) == (1, 0)
    assert some.schema == none.schema
    assert pl.Null not in some.schema.values()


def test_so_have_vectors() -> None:
    form, process = VectorForm(2), ArrowProcess()
    tables = []
    try:
        for rows in (1, 0):
            found = Vectors(np.ones((rows, 2), np.float32), [3] * rows, [False] * rows)
            columns = form.columns(Answers([], None, vectors=found))
            tables.append(pl.read_ipc_stream(process.write(columns, kinds=form.kinds(columns), as_file=False)))
    finally:
        process.close()

    assert tables[0].schema == tables[1].schema
    assert tables[0].rows() == [(1.0, 1.0, 3, False)]


def test_who_sends_two_columns_of_one_name_is_told_that_there_may_be_none(server: LiveServer) -> None:
    pa = pytest.importorskip("pyarrow")
    table, body = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["age", "age"]), io.BytesIO()
    with pa.ipc.new_stream(body, table.schema) as writing:
        writing.write_table(table)

    refused = server.call("POST", "/predict/churn", body.getvalue(), headers={"Content-Type": STREAM})

    assert refused.status == 400
    assert "two columns of one name" in refused.body.decode()
