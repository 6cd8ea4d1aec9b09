"""What happened, as frozen records; whoever works takes a `Watch` and tells it."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

Level = Literal["debug", "info", "warning"]


@dataclass(frozen=True, slots=True)
class Event:
    """`name` is stable (`data.read`, `train.round`); `message` is for people; `facts` are JSON values."""

    name: str
    message: str
    level: Level = "info"
    facts: dict[str, object] = field(default_factory=dict)


Watch = Callable[[Event], None]


def nobody(_event: Event) -> None:
    """A watch that looks away."""


def logged(event: Event) -> None:
    """Of whoever watches nothing: warnings go to the logger `aias`, which Python shows unless it is told otherwise."""
    if event.level == "warning":
        logging.getLogger("aias").warning("%s", event.message)
