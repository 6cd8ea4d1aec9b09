"""Every setting, read once: a flag beats `AIAS_*` in the environment, which beats the default."""

import os
from pathlib import Path
from typing import Final

WORK: Final = "work"
"""Where in the home trainings keep their ledgers, by the model's name."""


def home() -> Path:
    """Where everything is kept: `AIAS_HOME`, else `~/.aias`."""
    return Path(os.environ.get("AIAS_HOME") or Path.home() / ".aias").expanduser().resolve()


def home_at(given: Path | str | None) -> Path:
    """The folder that was given, or where everything is kept."""
    return home() if given is None else Path(given).expanduser()
