"""The server that clients of the Open Inference Protocol ask."""

import importlib.util
from collections.abc import Iterator
from dataclasses import replace

import pytest

from live_server import BOUNDS, LiveServer, inference_shelf, live_server


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    there = importlib.util.find_spec("grpc") is not None
    with live_server(inference_shelf(), bounds=replace(BOUNDS, body_rows=100), grpc=there) as running:
        yield running
