"""The server that is asked where nothing is said of another."""

from collections.abc import Iterator

import pytest

from serving_house import House, house


@pytest.fixture(scope="module")
def server() -> Iterator[House]:
    with house() as running:
        yield running
