"""The environments of those that run beside us: made when they are not there, or not whole."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def python_in(folder: Path, requirements: Sequence[str], *, base: Path = Path(sys.executable)) -> Path:
    """The interpreter of an environment with these packages, those that are pinned in their versions."""
    python = folder / "bin" / "python"
    if not _is_whole(python, requirements):
        print(f"making {folder}", file=sys.stderr)
        subprocess.run([base, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *requirements], check=True)
    return python


def _is_whole(python: Path, requirements: Sequence[str]) -> bool:
    pinned = [each.partition("==") for each in requirements if "==" in each]
    wanted = {name.partition("[")[0]: version for name, _, version in pinned}
    # What stands behind a plus is the build, as in 2.13.0+cpu.
    same = f"all(v(n).partition('+')[0] == w for n, w in {wanted!r}.items())"
    code = f"from importlib.metadata import version as v; assert {same}"
    return python.exists() and subprocess.run([python, "-c", code], check=False, capture_output=True).returncode == 0
