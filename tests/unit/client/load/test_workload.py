"""What is asked under load, where the server or the words are not what they should be."""

import socket
import threading
from pathlib import Path
from typing import Any, cast

import pytest

from aias.client.load.errors import NoServer, NoSuchEndpoint, RequestRefused
from aias.client.load.target import Address
from aias.client.load.workload import describe, from_body, rows_of
from aias.core.errors import UserError


class Parrot:
    """An address where everybody is told the same."""

    name, prefix = "parrot:1", ""

    def __init__(self, body: bytes, status: int = 200) -> None:
        self._body, self._status = body, status

    def ask(self, *_: object, **__: object) -> tuple[int, bytes]:
        return self._status, self._body

    def found(self) -> tuple[object, tuple[object, ...]]:
        return socket.AF_INET, ("127.0.0.1", 1)


@pytest.mark.parametrize("body", [b"<html>hi</html>", b"", b"null", b"[]", b'{"example": []}', b"\xff"])
def test_a_server_of_another_kind_is_not_taken_for_ours(body: bytes) -> None:
    with pytest.raises(RequestRefused, match="no server of Aias"):
        describe(cast("Any", Parrot(body)), "churn", "")


@pytest.mark.parametrize("path", ["predict", "", "/a b", "/a\r\nX: y", "/\u00fc"])
def test_what_is_no_path_is_told_before_anything_is_sent(path: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no path"):
        from_body(cast("Any", None), path, "", tmp_path / "body", "application/json")


def test_a_type_that_no_header_can_say_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no media type"):
        from_body(cast("Any", None), "/predict/churn", "", tmp_path / "body", "a\r\nX: y")


def test_a_key_that_no_header_can_say_is_told() -> None:
    with pytest.raises(UserError, match="no header may"):
        describe(cast("Any", Parrot(b"{}")), "churn", "aias_a\nb")


def test_no_answer_may_come_from_a_cache(tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(b"[{}]")

    workload = from_body(cast("Any", Parrot(b"[]")), "/predict/churn", "", tmp_path / "body", "application/json")

    assert [b"\r\nCache-Control: no-store\r\n" in each for each in workload.target.requests] == [True]


def test_what_is_not_there_is_told_in_the_words_of_the_server(tmp_path: Path) -> None:
    """Of a body that names its model the path is there."""
    (tmp_path / "body").write_bytes(b'{"model": "chum", "input": "a"}')
    server = cast("Any", Parrot(b'{"error": {"message": "there is no endpoint `chum`"}}\n\x1b[31m', 404))

    with pytest.raises(NoSuchEndpoint) as refused:
        from_body(server, "/v1/embeddings", "", tmp_path / "body", "application/json")

    assert "there is no endpoint `chum`" in refused.value.message
    assert refused.value.message.isprintable()


def test_a_header_without_rows_is_not_told_that_it_lacks_names(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("age\n")

    with pytest.raises(UserError, match="has no rows") as refused:
        rows_of(tmp_path / "rows.csv", [{"name": "age", "kind": "number"}])

    assert not refused.value.hint


def test_a_port_of_another_protocol_is_not_taken_for_a_silent_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        def answer() -> None:
            with listening.accept()[0] as caller:
                caller.recv(1 << 16)
                caller.sendall(bytes(3) + b"\x12\x04" + bytes(9) + b"\n")

        other = threading.Thread(target=answer)
        other.start()
        with pytest.raises(NoServer, match="does not speak HTTP") as refused:
            Address.parse(f"http://127.0.0.1:{port}").ask("GET", "/health/live")
        other.join()

    assert refused.value.message.isprintable()
