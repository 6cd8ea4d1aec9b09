"""The servers that are compared: how each is started, how it is asked, and how its answer reads."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from environments import python_in

from serving.model import CLASSES, NAMES

PEERS: Final = Path(__file__).parent / "peers"
ONNXRUNTIME: Final = "onnxruntime==1.32.0"
DEBIAN: Final = Path("/usr/bin/python3")
"""NVIDIA's server carries a stub that wants the distribution's own Python."""

Row = list[float]


def named(row: Row) -> Any:
    return dict(zip(NAMES, row, strict=True))


def tensor(row: Row) -> Any:
    """The Open Inference Protocol's."""
    return {
        "inputs": [{"name": "columns", "shape": [1, len(row)], "datatype": "FP64", "data": row}],
        "outputs": [{"name": "probabilities"}],
    }


def of_named(body: bytes) -> float:
    return float(json.loads(body)["probabilities"][CLASSES[1]])


def of_tensor(body: bytes) -> float:
    return float(json.loads(body)["outputs"][0]["data"][1])


@dataclass(frozen=True, slots=True)
class System:
    """`start`: the command line after the interpreter, with {port} and {folder} in it; `files` are copied to {folder}
    first. `environment`: the folder's name after `peers-serving-`; None for the Python that runs this.
    """

    start: tuple[str, ...]
    environment: str | None = None
    requirements: tuple[str, ...] = ()
    body: Callable[[Row], Any] = named
    read: Callable[[bytes], float] = of_named
    path: str = "/predict"
    base: Path = Path(sys.executable)
    group: str = "peer"
    settings: dict[str, str] = field(default_factory=dict)


UVICORN: Final = ("uvicorn==0.54.0", "httptools==0.9.0", "uvloop==0.23.0")
BARE: Final = ("granian==2.8.9", *UVICORN, "msgspec==0.22.0", ONNXRUNTIME)
_GRANIAN: Final = ("-m", "granian", "--interface", "wsgi", "--port", "{port}", "--workers", "1", "--no-access-log")
_UVICORN: Final = (
    "-m",
    "uvicorn",
    "--port",
    "{port}",
    "--log-level",
    "error",
    "--no-access-log",
    "--loop",
    "uvloop",
    "--http",
    "httptools",
)

SYSTEMS: Final = {
    "aias": System((), path="/predict/trees", group="ours"),
    "floor_wsgi": System(
        (*_GRANIAN, "--blocking-threads", "1", "--runtime-threads", "1", "bare:wsgi"), "bare", BARE, group="floor"
    ),
    "floor_asgi": System((*_UVICORN, "bare:asgi"), "bare", BARE, group="floor"),
    "fastapi": System((*_UVICORN, "plain:app"), "fastapi", ("fastapi==0.165.0", *UVICORN, ONNXRUNTIME), group="plain"),
    "mlserver": System(
        ("seldon.py", "{port}", "{folder}"), "mlserver", ("mlserver==1.7.1", ONNXRUNTIME),
        body=tensor, read=of_tensor, path="/v2/models/trees/infer",
    ),
    "bentoml": System(
        ("-m", "bentoml", "serve", "bento:Trees", "--port", "{port}"), "bentoml", ("bentoml==1.4.39", ONNXRUNTIME),
        body=lambda row: {"row": named(row)},
    ),
    "litserve": System(("lit.py", "{port}"), "litserve", ("litserve==0.2.19", ONNXRUNTIME)),
    "ray": System(("rays.py", "{port}"), "ray", ("ray[serve]==2.60.0", ONNXRUNTIME)),
    "triton": System(
        ("triton.py", "{port}", "{folder}"), "triton", ("nvidia-pytriton==0.7.0", "onnxruntime==1.32.0"),
        body=tensor, read=of_tensor, path="/v2/models/trees/infer", base=DEBIAN, group="triton",
    ),
}  # fmt: skip


def python_of(system: System, environments: Path) -> Path:
    """The interpreter of the system's environment, which is made now if it is not there or not whole."""
    if system.environment is None:
        return Path(sys.executable)
    return python_in(environments / f"peers-serving-{system.environment}", system.requirements, base=system.base)
