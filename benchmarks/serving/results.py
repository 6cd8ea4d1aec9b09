"""The file of results: it grows run by run, is whole at every moment, and what stands in it is not run again."""

import json
import os
import platform
from pathlib import Path
from typing import Any

Run = dict[str, Any]


class Results:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.runs: list[Run] = json.loads(path.read_text())["runs"] if path.exists() else []

    def has(self, **what: Any) -> bool:
        return any(what.items() <= run.items() for run in self.runs)

    def of(self, **what: Any) -> list[Run]:
        return [run for run in self.runs if what.items() <= run.items()]

    def add(self, run: Run) -> None:
        self.runs.append(run)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps({"machine": machine(), "runs": self.runs}, indent=1))
        new.replace(self.path)


def machine() -> dict[str, Any]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    return {"cpu": name, "cores": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()}
