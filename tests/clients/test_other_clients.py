"""Clients of the Open Inference Protocol whose dependencies do not go with ours, asking from an environment of their
own (`interpreter.py`)."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from interpreter import answers_of

from live_server import LiveServer, Rule, Shelf, live_server

ELSEWHERE = Path(__file__).parent / "elsewhere"

LABELS, SHARES = ["yes", "no", "yes"], [[0.25, 0.75], [0.75, 0.25], [0.25, 0.75]]
FLAT = [share for row in SHARES for share in row]


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    pytest.importorskip("grpc", reason="needs the extra `grpc`")
    shelf = Shelf()
    shelf.deploy("churn", 7, Rule())
    with live_server(shelf, grpc=True) as running:
        yield running


def told(script: str, *arguments: str, client: str) -> Any:
    """What a script of the other environment writes."""
    return answers_of((ELSEWHERE / script).read_text(), *arguments, client=client)


def test_kserves_clients_get_their_answers_over_both_ports(server: LiveServer) -> None:
    found = told("ask_with_kserve.py", server.address, server.grpc, client="kserve")

    answer = [LABELS, SHARES, "r-1"]
    refused = found["rest"].pop("refused")
    assert found["rest"] == {
        "live": True, "ready": True, "models": [True, False], "binary=True": answer, "binary=False": answer
    }  # fmt: skip
    assert "there is no endpoint `chum`" in refused
    assert found["grpc"] == {"live": True, "ready": True, "model": True, "raw": answer, "contents": answer}


def test_the_generated_client_can_read_all_that_we_say(server: LiveServer) -> None:
    found = told("ask_with_open_inference.py", server.address, client="open_inference")

    assert (found["server"], found["version"], found["model"]["name"]) == ("aias", ["7"], "churn")
    assert "there is no endpoint `chum`" in json.dumps(found["missing"])
    for answer in found["answers"]:
        assert (answer["id"], answer["model_version"]) == ("r-1", "7")
        assert [each["data"] for each in answer["outputs"]] == [LABELS, FLAT]
