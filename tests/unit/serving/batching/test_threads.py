"""What the loop reads by itself of requests for models in threads."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from aias.serving.batching.threads import LIGHT_ROWS, Threads
from aias.serving.bounds import Bounds

BOUNDS = Bounds(light_body_bytes=4_096, light_seconds=0.001)


def short_rows(count: int) -> bytes:
    return b"[" + b",".join([b"{}"] * count) + b"]"


@pytest.mark.parametrize(
    ("body", "is_light", "is_looked_through"),
    [
        (b'[{"age": 1}]', True, False),
        (short_rows(LIGHT_ROWS), True, False),
        (short_rows(LIGHT_ROWS + 1), False, True),
        (b" " * 5_000, True, True),
        (b" " * 50_000, False, False),
    ],
)
def test_what_is_large_or_of_many_rows_is_not_read_on_the_loop(
    body: bytes, *, is_light: bool, is_looked_through: bool
) -> None:
    """Nor is what is large looked through there, for its rows."""
    looked = list[bytes]()

    def seconds_to_read(given: bytes) -> float:
        looked.append(given)
        return given.count(b"{") * 1e-4

    model: Any = SimpleNamespace(seconds_to_read_bytes=lambda size: size / 1e7, seconds_to_read=seconds_to_read)
    request: Any = SimpleNamespace(body=body, headers={b"content-type": b"application/json"})
    threads = Threads(cast("Any", None), BOUNDS, cast("Any", None))

    assert threads._is_light(request, model) == is_light
    assert bool(looked) == is_looked_through
