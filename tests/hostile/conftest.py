"""The server that hostile heads and bodies are sent to, with small bounds. After each test it still has to answer."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from live_server import BOUNDS, LiveServer, live_server


@pytest.fixture(scope="module")
def running() -> Iterator[LiveServer]:
    bounds = replace(BOUNDS, body_bytes=100_000, body_rows=1_000, header_bytes=8_000, linger_seconds=0.2)
    with live_server(bounds=bounds) as server:
        yield server


@pytest.fixture
def server(running: LiveServer) -> Iterator[LiveServer]:
    yield running
    assert running.call("POST", "/predict/churn", [{"age": 50}]).json == [
        {"prediction": "yes", "probabilities": {"no": 0.25, "yes": 0.75}}
    ]
