"""How much memory this process may use: the machine's, or its container's; and giving back what is free."""

import contextlib
import ctypes
import math
import resource
from pathlib import Path
from typing import Final

from aias.core.cpus import MOUNT, PROC, of_groups, read_word

_MEMINFO: Final = Path("/proc/meminfo")
_STATUS: Final = Path("/proc/self/status")


def memory_bytes(meminfo: Path = _MEMINFO) -> float:
    """What the machine has, or the tightest bound of a control group; infinite where neither is told."""
    return min(_kibibytes(meminfo, "MemTotal") * 1024, of_groups("memory", _of_version_2, _of_version_1))


def left_bytes(meminfo: Path = _MEMINFO, proc: Path = PROC, mount: Path = MOUNT) -> float:
    """What may still be taken of that; cached files, which are given back when asked for, count as free."""
    return min(
        _kibibytes(meminfo, "MemAvailable") * 1024,
        of_groups("memory", _left_of_version_2, _left_of_version_1, proc, mount),
    )


def own_left_bytes(status: Path = _STATUS) -> float:
    """What this process may still take by `ulimit -v`, which each child has for itself; infinite without."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return math.inf
    held = _kibibytes(status, "VmSize") * 1024
    return math.inf if math.isinf(held) else max(0.0, limit - held)


def private_bytes(status: Path = _STATUS) -> int:
    """What this process holds that no file stands behind; 0 where it is not told."""
    found = _kibibytes(status, "RssAnon")
    return 0 if math.isinf(found) else int(found) * 1024


def resident_bytes(pid: int | str = "self") -> int:
    """What a process holds in memory now. Raises `OSError` where it is gone."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


def give_back() -> None:
    """What is free goes back to the system; only glibc has to be asked."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _of_version_2(folder: Path) -> float:
    return _number(folder / "memory.max")


def _of_version_1(folder: Path) -> float:
    return _number(folder / "memory.limit_in_bytes")


def _left_of_version_2(folder: Path) -> float:
    cached = _cached(folder / "memory.stat", "inactive_file")
    return _left(_of_version_2(folder), _number(folder / "memory.current"), cached)


def _left_of_version_1(folder: Path) -> float:
    cached = _cached(folder / "memory.stat", "total_inactive_file")
    return _left(_of_version_1(folder), _number(folder / "memory.usage_in_bytes"), cached)


def _left(limit: float, used: float, cached: float) -> float:
    return math.inf if math.isinf(limit) or math.isinf(used) else limit - used + cached


def _cached(path: Path, name: str) -> float:
    found = [line.split() for line in read_word(path).splitlines()]
    return sum(float(value[0]) for key, *value in found if key == name and value)


def _number(path: Path) -> float:
    # `max` means no bound.
    found = read_word(path)
    return float(found) if found.isdigit() else math.inf


def _kibibytes(path: Path, name: str) -> float:
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in path.read_text(encoding="ascii").splitlines():
            if line.startswith(f"{name}:"):
                return float(line.split()[1])
    return math.inf
