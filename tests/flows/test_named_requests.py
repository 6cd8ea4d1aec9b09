"""What a worker had done when it died, and its caller never heard of, is not done again."""

import http.client
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from aias.access.keys import Keys
from aias.serving.processes.background import Background


@pytest.fixture
def dying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Background, str]]:
    """A server of two workers, each of which dies as soon as it has made a key; and the key of who may make more."""
    with closing(Keys.open(tmp_path)) as keys:
        _, root = keys.create("root", ["admin", "predict"])
    monkeypatch.setenv("AIAS_FAILPOINT", "keys.after_commit:kill")
    with Background(tmp_path, workers=2) as server:
        yield server, root


def post(server: Background, key: str, body: object, headers: dict[str, str]) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=600)
    try:
        connection.request("POST", "/keys", json.dumps(body), {"Authorization": f"Bearer {key}"} | headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": '"8e03978e"'}], ids=["no name", "a name"])
def test_a_worker_that_dies_between_the_commit_and_the_answer_leaves_one_key_that_opens(
    dying: tuple[Background, str], tmp_path: Path, headers: dict[str, str]
) -> None:
    server, root = dying

    status, made = post(server, root, {"name": "shop"}, headers)

    assert status == 201, made
    with closing(Keys.open(tmp_path)) as keys:
        assert [each.name for each in keys.list()] == ["root", "shop"]
        key = keys.verify(made["key"])
    assert key is not None
    assert key.id == made["id"]
