import math
import os
from pathlib import Path

import pytest

from aias.core.cpus import cpus, quota


def cgroup(folder: Path, group: str, files: dict[str, str]) -> tuple[Path, Path]:
    """A made-up /proc/self/cgroup and /sys/fs/cgroup."""
    (folder / "cgroup").write_text(group)
    for name, text in files.items():
        path = folder / "mount" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "cgroup", folder / "mount"


@pytest.mark.parametrize(
    ("group", "files", "allowed"),
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/\n", {"cpu.max": "max 100000\n"}, math.inf),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000", "a/cpu.max": "200000 100000", "cpu.max": "max 100000"}, 2.0),
        ("4:memory:/x\n3:cpu,cpuacct:/x\n", {"cpu,cpuacct/x/cpu.cfs_quota_us": "50000",
                                             "cpu,cpuacct/x/cpu.cfs_period_us": "100000"}, 0.5),
        # A container of version 1 sees the host's name of its group, and its own files at the root.
        ("1:cpu:/docker/abc\n0::/\n", {"cpu/cpu.cfs_quota_us": "300000", "cpu/cpu.cfs_period_us": "100000"}, 3.0),
        ("1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, math.inf),
        ("1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "0"}, math.inf),
        ("5:cpuset:/x\n", {}, math.inf),
        ("0::/../..\n", {"cpu.max": "100000 100000"}, 1.0),
    ],
)  # fmt: skip
def test_the_tightest_quota_of_all_groups_counts(
    tmp_path: Path, group: str, files: dict[str, str], allowed: float
) -> None:
    assert quota(*cgroup(tmp_path, group, files)) == allowed


def test_without_control_groups_there_is_no_quota(tmp_path: Path) -> None:
    assert quota(tmp_path / "none", tmp_path) == math.inf


def test_never_more_than_the_processors_this_process_is_bound_to() -> None:
    assert 1 <= cpus() <= len(os.sched_getaffinity(0))
