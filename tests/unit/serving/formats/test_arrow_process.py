"""What training reads of a table, callers may send."""

import errno
import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, time, timedelta
from typing import Any

import msgspec
import pytest

from aias.data.types.columns import simplified
from aias.serving.formats import arrow
from aias.serving.formats.arrow import ArrowProcess
from aias.serving.formats.arrow_process import read
from aias.serving.refusals import BadBody, BodyTooLarge, Busy

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


def test_a_body_that_takes_too_long_to_read_is_refused_and_the_next_is_read() -> None:
    """Packed, four million dates are a small body, and in memory 16 MB."""
    day, body = pl.repeat(date(2026, 1, 1), 2_000, eager=True), io.BytesIO()
    table = pl.DataFrame({f"d{at}": day for at in range(2_000)})
    table.write_ipc(body, compression="zstd")
    process = ArrowProcess(read_seconds=0.3)
    try:
        with pytest.raises(BodyTooLarge, match=r"longer than 0\.3 s of a processor"):
            process.read(body.getvalue(), rows_max=2_000)
        written = process.write({"age": [1, 2]}, as_file=False)
        assert process.read(written, rows_max=2) == {"age": [1, 2]}
    finally:
        process.close()


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (lambda: dict.fromkeys((f"c{at}" for at in range(1_800)), [None] * 10_000), "more than 16,777,216 values"),
        (lambda: {f"c{at}": [1] for at in range(10_001)}, "more than 10,000 columns"),
        (lambda: {"t": pl.Series(["x" * 10_000]).cast(pl.Categorical).new_from_index(0, 10_000)}, "bytes of text"),
    ],
)
def test_what_takes_no_room_in_a_body_is_bounded_in_what_is_made_of_it(
    table: Callable[[], dict[str, Any]], told: str
) -> None:
    body = io.BytesIO()
    pl.DataFrame(table()).write_ipc_stream(body, compression="zstd")

    with pytest.raises((BodyTooLarge, BadBody), match=told):
        read(body.getvalue(), 10_000)


def test_who_waits_too_long_for_the_reader_is_told_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrow, "ANSWER_SECONDS_MAX", 0.05)
    process = ArrowProcess()
    with process._lock, ThreadPoolExecutor(1) as pool, pytest.raises(Busy, match="others keep"):
        pool.submit(process.read, b"", rows_max=1).result()


def test_an_answer_that_could_not_be_taken_is_not_that_to_the_next_question(monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_memory(*_: object, **__: object) -> bytes:
        raise MemoryError

    process = ArrowProcess()
    try:
        one, two = (process.write({"age": [age]}, as_file=False) for age in (1, 2))
        with monkeypatch.context() as patch, pytest.raises(MemoryError):
            patch.setattr(arrow, "take_frame", out_of_memory)
            process.read(one, rows_max=1)
        assert process.read(two, rows_max=1) == {"age": [2]}
    finally:
        process.close()


def test_a_machine_that_has_no_room_for_the_reader_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(*_: object, **__: object) -> None:
        raise OSError(errno.EAGAIN, "no room")

    process = ArrowProcess()
    try:
        with monkeypatch.context() as patch, pytest.raises(Busy, match="cannot be started: no room"):
            patch.setattr(arrow.subprocess, "Popen", no_room)
            process.read(b"ARROW1", rows_max=1)
        written = process.write({"age": [1]}, as_file=False)
        assert process.read(written, rows_max=1) == {"age": [1]}
    finally:
        process.close()
