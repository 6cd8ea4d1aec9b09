"""What all tests share: where the real data lies, how to write a file, and that no law hangs on how busy it is."""

import compileall
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"

settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_configure(config: pytest.Config) -> None:
    """Aias is compiled once, and not by each of the thousand processes that tests start, also where
    PYTHONDONTWRITEBYTECODE is set."""
    if not hasattr(config, "workerinput"):
        compileall.compile_dir(ROOT / "src", quiet=2)
        compileall.compile_dir(ROOT / "tests", maxlevels=0, quiet=2)


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
