from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from aias.access.keys import Keys
from clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2026, 5, 6, 12, tzinfo=UTC))


@pytest.fixture
def keys(tmp_path: Path, clock: Clock) -> Iterator[Keys]:
    opened = Keys.open(tmp_path / "home", clock=clock)
    yield opened
    opened.close()
