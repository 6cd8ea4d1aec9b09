"""Whether the machine is ours alone: the load average still holds the run before, so the last second is looked at."""

import time
from pathlib import Path

BUSY_SECONDS = 1.0


def busy_share() -> float:
    """What share of all cores others are using now, at whatever priority: that counts within a session only."""
    before = _ticks()
    time.sleep(BUSY_SECONDS)
    spent = [after - then for after, then in zip(_ticks(), before, strict=True)]
    user, nice, system, *_ = spent
    return (user + nice + system) / max(sum(spent), 1)


def _ticks() -> list[int]:
    """User, nice, system, idle, waiting for disks; of all cores (proc_stat(5))."""
    return [int(each) for each in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:6]]
