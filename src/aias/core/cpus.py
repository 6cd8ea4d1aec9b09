"""How many processors this process may use: those it is bound to, and no more than its container's quota."""

import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc/self/cgroup")
MOUNT: Final = Path("/sys/fs/cgroup")


def cpus() -> int:
    """Whole processors, at least 1. A quota is rounded down: threads beyond it are stopped until its next period."""
    bound_to = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.floor(min(bound_to, quota())))


def quota(proc: Path = PROC, mount: Path = MOUNT) -> float:
    """Processors that the control groups of this process allow, the tightest of them; infinite without any."""
    return of_groups("cpu", _of_version_2, _of_version_1, proc, mount)


def of_groups(
    controller: str,
    version_2: Callable[[Path], float],
    version_1: Callable[[Path], float],
    proc: Path = PROC,
    mount: Path = MOUNT,
) -> float:
    """The tightest bound that the control groups of this process set, as they are read; infinite without any."""
    try:
        lines = proc.read_text().splitlines()
    except OSError:
        return math.inf
    found = math.inf
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if not controllers:
            # Version 2: one tree, or beside version 1 a part of it.
            roots, read = (mount, mount / "unified"), version_2
        elif controller in controllers.split(","):
            roots, read = (mount / controllers, mount / controller), version_1
        else:
            continue
        for root in roots:
            found = min([found, *(read(folder) for folder in _upwards(root, group))])
    return found


def _upwards(root: Path, group: str) -> Iterator[Path]:
    """The folder of a group and those above it. Inside a container the group may bear a name of the host's: the root
    is then its own."""
    parts = [part for part in group.split("/") if part not in ("", "..")]
    for count in range(len(parts), -1, -1):
        yield root.joinpath(*parts[:count])


def _of_version_2(folder: Path) -> float:
    allowed, _, period = read_word(folder / "cpu.max").partition(" ")
    return _ratio(allowed, period)


def _of_version_1(folder: Path) -> float:
    return _ratio(read_word(folder / "cpu.cfs_quota_us"), read_word(folder / "cpu.cfs_period_us"))


def _ratio(allowed: str, period: str) -> float:
    # `max` and -1 mean no bound.
    return int(allowed) / int(period) if allowed.isdigit() and period.isdigit() and int(period) else math.inf


def read_word(path: Path) -> str:
    """What a small file says; nothing where it cannot be read."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""
