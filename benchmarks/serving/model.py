"""The model that everybody serves: 200 trees over 14 numbers in one ONNX file; and rows, with their answers."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

NAMES: Final = tuple(f"reading_{at:02d}" for at in range(14))
CLASSES: Final = ("keep", "leave")
TREES, LEAVES, TRAINING_ROWS = 200, 31, 4_000
ASKED_ROWS: Final = 64
"""Different rows that take turns, so that nothing that remembers answers looks fast."""


@dataclass(frozen=True, slots=True)
class Work:
    """`graph` reads `columns` (rows, 14) float64 and gives `probabilities` (rows, 2) float32; `answers`: of `rows`."""

    home: Path
    graph: Path
    rows: list[list[float]]
    answers: list[float]


def make(home: Path, graph: Path) -> Work:
    """Train, export once, publish and deploy as `trees`. The peers get the very file that we serve."""
    import lightgbm
    import onnxruntime

    from aias.client.importing import import_model

    rng = np.random.default_rng(7)
    x = rng.normal(size=(TRAINING_ROWS, len(NAMES))).round(4)
    y = (x[:, 0] * x[:, 1] + np.sin(2 * x[:, 2]) + 0.5 * x[:, 3] + rng.normal(size=len(x)) / 2 > 0).astype(int)
    settings = {"objective": "binary", "num_leaves": LEAVES, "num_threads": 1, "seed": 7, "verbose": -1}
    trees = lightgbm.train(settings, lightgbm.Dataset(x, y, feature_name=list(NAMES)), TREES)
    trees.save_model(home / "trees.txt")
    like: dict[str, Any] = {name: x[:500, at].tolist() for at, name in enumerate(NAMES)}
    like["answer"] = [CLASSES[each] for each in y[:500]]
    model = import_model(home / "trees.txt", like=like, target="answer", classes=CLASSES, name="trees", home=home)
    model.deploy()
    shutil.copyfile(sealed(home), graph)
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    rows = rng.normal(size=(ASKED_ROWS, len(NAMES))).round(4)
    answers = session.run(["probabilities"], {"columns": rows})[0]  # (rows, 2)
    return Work(home, graph, rows.tolist(), answers[:, 1].tolist())


def sealed(home: Path) -> Path:
    """The graph in the sealed folder of `trees`."""
    from aias.core.names import Ref
    from aias.registry.registry import Registry

    with Registry.open(home) as registry:
        return registry.folder(registry.version(Ref("trees"))) / "model.onnx"
