"""How a worker's process is started, and what is left where it cannot be: nothing."""

import queue
import threading
from dataclasses import asdict
from pathlib import Path

import pytest

from aias.core.events import Event
from aias.serving.bounds import Bounds
from aias.serving.processes.orders import Orders
from aias.serving.processes.starting import Starter
from aias.serving.survival.keeper import can_keep
from aias.serving.survival.worker_process import WorkerProcess
from live_server import PATIENCE
from open_files import room_for

pytestmark = pytest.mark.skipif(not can_keep(), reason="this machine cannot keep connections")

SAYS = 'import sys; print(\'{"name": "said", "message": "it is here"}\')'


def starter(program: str) -> Starter:
    orders = Orders("", [], access_log=0.0, bounds=asdict(Bounds(connections=4)), places=1)
    return Starter(orders, ("-c", program), name=lambda: "counts", isolated=lambda: ([], []), suspects=list)


def nobody(*_: object) -> None:
    """Hears nothing."""


def open_files() -> list[str]:
    return sorted(each.name for each in Path("/proc/self/fd").iterdir())


def children() -> list[str]:
    return [each.read_text() for each in Path("/proc/self/task").glob("*/children")]


def test_what_it_says_is_heard_and_then_that_it_has_ended() -> None:
    heard = queue.SimpleQueue[tuple[WorkerProcess, Event | None]]()
    process = starter(SAYS).start(
        0, [], hear=lambda *said: heard.put(said), bury=lambda process: heard.put((process, None))
    )

    assert heard.get(timeout=PATIENCE) == (process, Event("said", "it is here"))
    assert heard.get(timeout=PATIENCE) == (process, None)
    assert process.popen.returncode == 0
    assert process.channel is not None
    process.channel.close()
    process.close_pipe()


@pytest.mark.parametrize("room", range(9))
def test_where_too_few_files_may_be_open_none_is_left_open(room: int) -> None:
    before = open_files()
    with room_for(room), pytest.raises(OSError, match="Too many open files"):
        starter("pass").start(0, [], hear=nobody, bury=nobody)

    assert open_files() == before


def test_where_there_is_no_thread_to_listen_no_process_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    before, before_children = open_files(), children()
    with pytest.raises(OSError, match="new thread"):
        starter("import sys; sys.stdin.read()").start(0, [], hear=nobody, bury=nobody)

    assert open_files() == before
    assert children() == before_children
