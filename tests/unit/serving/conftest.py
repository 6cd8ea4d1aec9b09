"""The server that is asked where nothing is said of another."""

from collections.abc import Iterator

import pytest

from live_server import LiveServer, live_server


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    with live_server() as running:
        yield running
