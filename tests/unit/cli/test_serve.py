"""What `aias serve` says, and to whom."""

import io
import logging
import os
import sys
from typing import Any

import pytest
from click.testing import CliRunner

from aias.cli.serve import Reporter
from aias.cli.serve import serve as command
from aias.core.events import Event
from aias.serving.bounds import Bounds
from aias.serving.observability.logs import Faults


class Full(io.StringIO):
    """A disk that takes nothing more."""

    def write(self, _text: str) -> int:
        raise OSError(28, "No space left on device")


def test_a_log_that_takes_nothing_more_ends_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Full())

    say = Reporter()
    say(Event("serve.loaded", "`churn` answers with churn@1"))
    say(Event("serve.worker-died", "worker 0 ended", "warning"))


def test_a_first_key_that_cannot_be_shown_is_not_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Full())

    with pytest.raises(OSError, match="No space"):
        Reporter()(Event("serve.first-key", "the first key", facts={"secret": "aias_x"}))


def test_a_reader_that_does_not_read_holds_up_nobody_and_is_told_later_how_much_it_has_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out, into = os.pipe()
    os.set_blocking(into, False)
    with os.fdopen(out, "rb") as reader, os.fdopen(into, "w") as pipe:
        monkeypatch.setattr(sys, "stderr", pipe)
        monkeypatch.setattr("aias.cli.serve._PATIENCE_SECONDS", 0.01)
        filled = 0
        while True:
            try:
                filled += os.write(into, b"." * 4096)
            except BlockingIOError:
                break
        os.set_blocking(into, True)
        say, faults = Reporter(), Faults(pipe)
        for at in range(3):
            say(Event("serve.loaded", f"message {at}"))
            faults.emit(logging.makeLogRecord({"msg": f"fault {at}"}))
        assert reader.read(filled) == b"." * filled
        say(Event("serve.loaded", "at last"))
        faults.emit(logging.makeLogRecord({"msg": "a fault"}))
        pipe.close()

        assert reader.read() == b"3 messages before this found no reader\nat last\na fault\n"


@pytest.mark.parametrize(
    ("said", "workers", "supervised"),
    [((), 1, True), (("--workers", "auto"), 3, True), (("--workers", "5"), 5, True), (("--workers", "0"), 1, False)],
)
def test_auto_is_a_worker_for_each_processor_that_the_process_may_use(
    said: tuple[str, ...], workers: int, supervised: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = list[dict[str, Any]]()
    monkeypatch.setattr("aias.core.cpus.cpus", lambda: 3)
    monkeypatch.setattr("aias.serving.serve.serve", lambda _home, **settings: started.append(settings))

    done = CliRunner().invoke(command, said, catch_exceptions=False)

    assert done.exit_code == 0
    assert [(each["workers"], each["supervised"]) for each in started] == [(workers, supervised)]


@pytest.mark.parametrize("workers", ["all", "-1", "1.5", ""])
def test_a_number_of_workers_that_is_none_starts_nothing(workers: str) -> None:
    done = CliRunner().invoke(command, ["--workers", workers])

    assert done.exit_code == 2
    assert f"{workers!r} is neither a number nor `auto`" in done.output


@pytest.mark.parametrize(
    ("told", "bounds"),
    [
        ([], Bounds()),
        (["--no-busy-poll"], Bounds(busy_poll_seconds=0.0)),
        (["--memory", "1GB", "--no-busy-poll"], Bounds(memory_bytes=1_000_000_000, busy_poll_seconds=0.0)),
    ],
)
def test_bounds_are_those_that_were_told(told: list[str], bounds: Bounds, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[object] = []
    monkeypatch.setattr("aias.serving.serve.serve", lambda _home, **more: found.append(more["bounds"]))

    assert CliRunner().invoke(command, told, catch_exceptions=False).exit_code == 0
    assert found == [bounds]
