"""What is loaded writes nothing about the user into a cache, to be sent to its maker."""

import os
import subprocess
import sys
from pathlib import Path

LOAD = """
import sys
sys.path[:0] = PATH
import aias.runtimes.onnxruntime
import onnxruntime
"""


def test_onnx_runtime_keeps_no_diary_of_its_sessions(tmp_path: Path) -> None:
    program = LOAD.replace("PATH", repr([entry for entry in sys.path if entry]))
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}

    subprocess.run([sys.executable, "-c", program], env=environment, check=True)

    assert [each.name for each in tmp_path.rglob("*") if each.is_file()] == []
