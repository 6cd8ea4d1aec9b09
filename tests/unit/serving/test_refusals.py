"""`serving/refusals.py`: what is said of why."""

import time

import pytest

from aias.access.ledger import Ledger
from aias.access.quotas import parse_quota
from aias.core.errors import StorageFailed
from aias.serving.refusals import without_folders
from live_server import live_server
from raw_requests import POST


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "model.onnx is not what was sealed: /secret/place/model.onnx",
            "model.onnx is not what was sealed: model.onnx",
        ),
        ("`/home/Jane Doe/.aias/a b/model.onnx` is gone", "`model.onnx` is gone"),
        ("no such file: '~/models/words.json', which is needed", "no such file: 'words.json', which is needed"),
        ("3/4 of it, image/png, https://example.org/a/b, 10 s", "3/4 of it, image/png, https://example.org/a/b, 10 s"),
    ],
)
def test_files_are_named_and_folders_are_not(said: str, told: str) -> None:
    assert without_folders(said) == told


def test_of_a_full_disk_a_caller_is_told_that_and_not_which_file(caplog: pytest.LogCaptureFixture) -> None:
    def full() -> Ledger:
        raise StorageFailed("cannot keep quotas in /secret/place/quotas.ledger: No space left on device")

    with live_server(quotas={"limited": (parse_quota("5/day"),)}, ledger=full) as server:
        refused = server.call("POST", "/predict/churn", [{"age": 50}], key="limited")

    assert refused.status == 507
    assert refused.json["error"]["code"] == "aias.storage-failed"  # type: ignore[index, call-overload]
    assert b"disk" in refused.body
    assert b"secret" not in refused.body
    [line] = [each for each in caplog.records if each.levelname == "ERROR"]
    assert "/secret/place/quotas.ledger: No space left on device (aias.storage-failed)" in line.getMessage()
    assert line.exc_info is None


def test_of_a_fault_that_is_not_known_the_log_has_the_frames(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> Ledger:
        raise ZeroDivisionError

    with live_server(quotas={"limited": (parse_quota("5/day"),)}, ledger=broken) as server:
        # Its head is looked at before its body is there.
        body = b'[{"age": 50}]'
        with server.socket() as client:
            client.sendall(POST.replace(b"all-key", b"limited") + b"Content-Length: %d\r\n\r\n" % len(body))
            time.sleep(0.05)
            client.sendall(body)
            assert client.recv(65_536).startswith(b"HTTP/1.1 500 ")

    [line] = [each for each in caplog.records if each.levelname == "ERROR"]
    assert line.exc_info is not None
