"""Where something was measured: latencies and the last bits of scores hold for this processor and these libraries."""

import importlib.metadata
import platform
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aias.core.cpus import cpus

LIBRARIES: Final = ("aias", "numpy", "onnxruntime")
ENGINES: Final = ("openvino",)
"""That may be installed beside, and then may answer in ONNX Runtime's place."""

FLAGS: Final = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_tile", "asimd", "sve")
"""Instructions by which runtimes choose how to compute."""

_NARROW: Final = frozenset({"avx2", "avx512f"})
_DOT_PRODUCTS: Final = frozenset({"avx512_vnni", "avx_vnni", "amx_tile"})


@dataclass(frozen=True, slots=True)
class Host:
    processor: str
    flags: tuple[str, ...]
    cores: int
    libraries: dict[str, str]

    def computes_like(self, other: "Host") -> bool:
        """Whether ONNX Runtime adds up in the same order on both: a session has one thread, whatever the cores, and
        another engine is chosen where it answers as that does."""
        mine, theirs = ((each.processor, each.flags, each.libraries.get("onnxruntime")) for each in (self, other))
        return mine == theirs

    @property
    def saturates(self) -> bool:
        """Whether it adds two products of uint8 and int8 in 16 bits, as x86 without VNNI does (`vpmaddubsw`): beyond
        ±32,767 a sum is cut."""
        return not _NARROW.isdisjoint(self.flags) and _DOT_PRODUCTS.isdisjoint(self.flags)


def host() -> Host:
    """This one."""
    said = _cpuinfo()
    flags = set(said.get("flags", said.get("Features", "")).split())
    libraries = {name: importlib.metadata.version(name) for name in LIBRARIES} | {"python": platform.python_version()}
    for name in ENGINES:
        with suppress(importlib.metadata.PackageNotFoundError):
            libraries[name] = importlib.metadata.version(name)
    processor = said.get("model name", platform.machine())
    return Host(processor, tuple(each for each in FLAGS if each in flags), cpus(), libraries)


def _cpuinfo() -> dict[str, str]:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    pairs = (line.partition(":") for line in lines)
    return {name.strip(): value.strip() for name, _, value in pairs}
