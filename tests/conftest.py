"""What all tests share: where the real data lies, how to write a file, and that no law hangs on how busy it is."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"

settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


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
