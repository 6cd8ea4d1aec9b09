"""`artifact/manifest.py`: what answers has a digest of its own."""

from dataclasses import replace

from aias.artifact.manifest import FORMAT, FileEntry, Lineage, Manifest, Parity
from aias.core.task import Task

FILES = (
    FileEntry("card.md", "sha256:1", 10), FileEntry("encoders/0.json", "sha256:2", 20),
    FileEntry("model.onnx", "sha256:3", 30),
)  # fmt: skip
MANIFEST = Manifest(
    FORMAT, "churn", Task("y", "binary", "accuracy", ("a", "b")), (), (), (), Lineage("train", "", {}, 0), (),
    Parity(1, 0, 0.0, 0.0), (), {}, FILES,
)  # fmt: skip


def test_versions_that_answer_alike_have_one_digest_of_what_answers() -> None:
    later = replace(
        MANIFEST, lineage=replace(MANIFEST.lineage, started_at="2026-11-27"), row_us=3.0,
        files=(FILES[2], replace(FILES[0], sha256="sha256:4"), FILES[1]),
    )  # fmt: skip

    assert later.digest != MANIFEST.digest
    assert later.answers_digest == MANIFEST.answers_digest


def test_another_graph_table_or_weight_of_a_label_answers_otherwise() -> None:
    others = [
        replace(MANIFEST, files=(FILES[0], FILES[1], replace(FILES[2], sha256="sha256:5"))),
        replace(MANIFEST, files=(FILES[0], replace(FILES[1], sha256="sha256:5"), FILES[2])),
        replace(MANIFEST, files=(FILES[0], replace(FILES[1], path="encoders/1.json"), FILES[2])),
        replace(MANIFEST, label_weights=(1.0, 2.0)),
    ]
    assert len({each.answers_digest for each in (MANIFEST, *others)}) == 5
