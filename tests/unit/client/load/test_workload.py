"""What is asked under load, where the server or the words are not what they should be."""

import socket
from pathlib import Path
from typing import Any, cast

import pytest

from aias.client.load.errors import RequestRefused
from aias.client.load.workload import describe, from_body
from aias.core.errors import UserError


class Parrot:
    """An address where everybody is told the same."""

    name, prefix = "parrot:1", ""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def ask(self, *_: object, **__: object) -> tuple[int, bytes]:
        return 200, self._body

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
