"""systemd is told who serves."""

import os
import socket
from pathlib import Path

import pytest

from aias.serving.processes.notify import notify_ready


@pytest.mark.parametrize("in_files", [True, False])
def test_it_hears_that_the_server_is_ready_and_which_process_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_files: bool
) -> None:
    name = str(tmp_path / "notify") if in_files else f"\0aias-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(name)
        monkeypatch.setenv("NOTIFY_SOCKET", name.replace("\0", "@"))
        notify_ready()

        assert systemd.recv(1_000).decode().split() == ["READY=1", f"MAINPID={os.getpid()}"]


def test_without_it_or_when_it_is_gone_nothing_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify_ready()
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    notify_ready()
