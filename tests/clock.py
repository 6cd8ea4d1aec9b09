"""A clock that stands still until a test moves it."""

from dataclasses import dataclass
from typing import Any


@dataclass
class Clock:
    now: Any = 0.0

    def __call__(self) -> Any:
        return self.now
