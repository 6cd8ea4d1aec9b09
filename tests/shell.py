"""What a command said: its status, stdout and stderr."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Done:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, str]:
        """The fault that `--json` wrote as the last line of stderr."""
        found: dict[str, str] = json.loads(self.err.strip().splitlines()[-1])["error"]
        return found


Run = Callable[..., Done]
