"""Small artifacts to publish: real manifests, tiny files."""

import os
import sys

from sqlalchemy import text

from aias.artifact.manifest import Candidate, EncoderEntry, Lineage, Manifest, Parity
from aias.core.schema import Field
from aias.core.task import Measurement, Task
from aias.database.engine import Database


def check_database(database: Database) -> None:
    """As SQLite itself does."""
    with database.reading() as connection:
        assert connection.execute(text("PRAGMA integrity_check")).scalar() == "ok"
        assert not connection.execute(text("PRAGMA foreign_key_check")).all()


def manifest(name: str = "churn", *, seed: int = 0, parents: tuple[str, ...] = ()) -> Manifest:
    """Different seeds give different artifacts."""
    validation = Measurement("roc_auc", 0.91, 800, 0.89, 0.93)
    return Manifest(
        format=1,
        name=name,
        task=Task("left", "binary", "roc_auc", ("no", "yes")),
        inputs=(
            Field("age", "number", example=41, reason="every value is a number"),
            Field("plan", "category", categories=("basic", "pro"), example="pro", reason="2 different values"),
        ),
        ignored=(Field("id", "category", role="ignored", reason="a different value in every row"),),
        encoders=(EncoderEntry("plan", "category", 1, "encoders/0.json"),),
        lineage=Lineage(
            "train",
            f"sha256:{'d' * 64}",
            {"time_seconds": 60},
            seed,
            parents,
            {"onnx": "1.21.0"},
            "2026-01-02T03:04:05Z",
        ),
        measurements=(Measurement("roc_auc", 0.905, 1000, 0.88, 0.93), Measurement("accuracy", 0.84, 1000)),
        parity=Parity(1500, 0, 3.2e-7, 0.0),
        leaderboard=(
            Candidate("boosted_trees", {"leaves": 31}, validation, 2.5, chosen=True),
            Candidate("linear", {}, Measurement("roc_auc", 0.88, 800), 0.4),
        ),
        rows={"train": 3200, "validation": 800, "test": 1000},
    )


def files(seed: int = 0, *, size_bytes: int = 3_000) -> dict[str, bytes]:
    return {
        "model.onnx": bytes([1 + seed % 255]) * size_bytes,
        "encoders/0.json": b'{"values": ["basic", "pro"]}',
        "profile.json": b"{}",
        "card.md": b"# churn\n",
    }


def importable() -> dict[str, str]:
    """An environment in which a child process imports what this one does, this file included."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
