"""Where something was measured: latencies and the last bits of scores hold for this processor and these libraries."""

import importlib.metadata
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aias.core.cpus import cpus

LIBRARIES: Final = ("aias", "numpy", "onnxruntime")

FLAGS: Final = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_tile", "asimd", "sve")
"""Instructions by which runtimes choose how to compute."""


@dataclass(frozen=True, slots=True)
class Host:
    processor: str
    flags: tuple[str, ...]
    cores: int
    libraries: dict[str, str]


def host() -> Host:
    """This one."""
    said = _cpuinfo()
    flags = set(said.get("flags", said.get("Features", "")).split())
    libraries = {name: importlib.metadata.version(name) for name in LIBRARIES} | {"python": platform.python_version()}
    processor = said.get("model name", platform.machine())
    return Host(processor, tuple(each for each in FLAGS if each in flags), cpus(), libraries)


def _cpuinfo() -> dict[str, str]:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    pairs = (line.partition(":") for line in lines)
    return {name.strip(): value.strip() for name, _, value in pairs}
