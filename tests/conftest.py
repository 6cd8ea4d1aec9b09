"""What all tests share: where files lie and how to write one, and that no law hangs on how busy it is."""

import compileall
import gc
import os
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"

MEMORY = Path("/dev/shm")
MEMORY_BYTES = 4 << 30


def _is_roomy(folder: Path) -> bool:
    """Whether tests may write there all that they write, and run it."""
    if not os.access(folder, os.W_OK | os.X_OK):
        return False
    there = os.statvfs(folder)
    return there.f_bavail * there.f_frsize >= MEMORY_BYTES and not there.f_flag & os.ST_NOEXEC


# What tests write need not outlive a power cut, and waiting for a disk is half of the time of what is synced often.
if "TMPDIR" not in os.environ and _is_roomy(MEMORY):
    os.environ["TMPDIR"] = str(MEMORY)
    tempfile.tempdir = None

sys.dont_write_bytecode = False  # what pytest makes of each test file, a third of a minute for all, is kept

settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_configure(config: pytest.Config) -> None:
    """Aias is compiled once, and not by each of the thousand processes that tests start, also where
    PYTHONDONTWRITEBYTECODE is set."""
    if not hasattr(config, "workerinput"):
        compileall.compile_dir(ROOT / "src", quiet=2)
        compileall.compile_dir(ROOT / "tests", maxlevels=0, quiet=2)


def pytest_collection_finish() -> None:
    """The libraries and all tests, a million objects and more, are not looked through for garbage again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data sets; skips where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("../shared/data is not here")
    return SHARED


@pytest.fixture
def give(tmp_path, request):
    """Writes a file; where none is named it is called as `FILE` of the test's module says."""

    def write(data: bytes | str, name: str = getattr(request.module, "FILE", "data.csv")):
        path = tmp_path / name
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return path

    return write
