"""The file of results: what has been run, on which machine. It grows run by run, and is whole at every moment."""

import hashlib
import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

Run = dict[str, Any]


class Results:
    """One run for each set, system, budget and seed: the newest."""

    def __init__(self, path: Path) -> None:
        self.path = path
        found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"machines": {}, "runs": []}
        self.machines: dict[str, Any] = found["machines"]
        self.runs: list[Run] = found["runs"]

    def has(self, **what: Any) -> bool:
        return any(_key(run) == _key(what) for run in self.runs)

    def add(self, run: Run) -> None:
        """Read again what others may have added in the meantime, then replace the file in one step."""
        fresh = Results(self.path)
        here = machine()
        name = hashlib.sha256(json.dumps(here).encode()).hexdigest()[:8]
        self.machines = fresh.machines | {name: here}
        self.runs = [each for each in fresh.runs if _key(each) != _key(run)] + [run | {"machine": name}]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps({"machines": self.machines, "runs": self.runs}, indent=1))
        new.replace(self.path)


def _key(run: Run) -> tuple[Any, ...]:
    return tuple(run[name] for name in ("set", "system", "budget_seconds", "seed"))


def machine() -> dict[str, Any]:
    return {
        "cpu": _after("/proc/cpuinfo", "model name"),
        "cores": os.cpu_count(),
        "memory": _after("/proc/meminfo", "MemTotal"),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def commit(folder: Path) -> str:
    """The commit that stands there, with a `+` when files differ from it."""
    found = subprocess.run(
        ["git", "describe", "--always", "--dirty=+"], cwd=folder, capture_output=True, text=True, check=False
    )
    return found.stdout.strip()


def _after(path: str, key: str) -> str:
    for line in Path(path).read_text().splitlines():
        if line.startswith(key):
            return line.partition(":")[2].strip()
    return "unknown"
