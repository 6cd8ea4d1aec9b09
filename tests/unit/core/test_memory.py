"""How much memory is left: the machine's, its container's, and what one process may take."""

import math
import subprocess
import sys
from pathlib import Path

import pytest

from aias.core.memory import left_bytes, own_left_bytes

STAT = "anon 5\ninactive_file 30\ntotal_inactive_file 40\n"


def cgroup(folder: Path, group: str, files: dict[str, str]) -> tuple[Path, Path, Path]:
    """A made-up /proc/meminfo, /proc/self/cgroup and /sys/fs/cgroup."""
    (folder / "meminfo").write_text("MemTotal:  9 kB\nMemAvailable:  2 kB\n")
    (folder / "cgroup").write_text(group)
    for name, text in files.items():
        path = folder / "mount" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "meminfo", folder / "cgroup", folder / "mount"


@pytest.mark.parametrize(
    ("group", "files", "left"),
    [
        ("0::/\n", {}, 2048),
        ("0::/\n", {"memory.max": "1000\n", "memory.current": "900\n", "memory.stat": STAT}, 130),
        ("0::/a/b\n", {"a/memory.max": "500", "a/memory.current": "100", "a/b/memory.max": "max"}, 400),
        ("0::/\n", {"memory.max": "max\n", "memory.current": "900\n"}, 2048),
        ("0::/\n", {"memory.max": "1000\n"}, 2048),
        ("4:memory:/x\n", {"memory/x/memory.limit_in_bytes": "1000", "memory/x/memory.usage_in_bytes": "990",
                           "memory/x/memory.stat": STAT}, 50),
        ("4:memory:/x\n", {"memory/x/memory.limit_in_bytes": "9223372036854771712",
                           "memory/x/memory.usage_in_bytes": "990"}, 2048),
    ],
)  # fmt: skip
def test_the_group_that_leaves_least_counts(tmp_path: Path, group: str, files: dict[str, str], left: float) -> None:
    assert left_bytes(*cgroup(tmp_path, group, files)) == left


def test_what_ulimit_allows_one_process_is_told() -> None:
    asked = "import resource; resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30));"
    asked += "from aias.core.memory import own_left_bytes; print(own_left_bytes())"
    found = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert 1 << 30 < float(found.stdout) < 4 << 30
    assert own_left_bytes() > 0


def test_without_a_status_no_limit_is_known(tmp_path: Path) -> None:
    assert own_left_bytes(tmp_path / "none") == math.inf
