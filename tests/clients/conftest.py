"""The server that clients of the Open Inference Protocol ask."""

import importlib.util
from collections.abc import Iterator
from dataclasses import replace

import pytest

from serving_house import BOUNDS, House, house, inference_shelf


@pytest.fixture(scope="module")
def server() -> Iterator[House]:
    there = importlib.util.find_spec("grpc") is not None
    with house(inference_shelf(), bounds=replace(BOUNDS, body_rows=100), grpc=there) as running:
        yield running
