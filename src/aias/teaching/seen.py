"""Whether a teacher that is a version of this house learned from the rows that judge what it teaches.

It knows their answers by heart, so what it says of rows like them is better than what it will say of others, and its
student looks better than it is. Of services, imported versions and tables in memory nobody knows what they have read.
"""

from typing import Any, Final

from aias.artifact.manifest import Manifest
from aias.core.errors import AiasError
from aias.core.schema import Schema
from aias.data.read import read

LEARNED_ROWS_MAX: Final = 1_000_000
"""Read again to be compared: some seconds."""


def seen(manifest: Manifest, judging: Any) -> tuple[int, int]:
    """How many of the rows that judge, by their inputs, are in the file that the version was trained on, and how many
    judge; (0, 0) where that file is not to be had any more, or never was."""
    settings = manifest.lineage.settings
    source, encoding = settings.get("source"), settings.get("encoding")
    if not isinstance(source, str) or manifest.rows.get("train", 0) > LEARNED_ROWS_MAX:
        return 0, 0
    schema = Schema(manifest.inputs)
    try:
        learned = read(source, schema=schema, encoding=encoding if isinstance(encoding, str) else None)
        judges = read(judging, schema=schema)
    except AiasError:
        return 0, 0
    known = set(learned.frame.select(schema.names).iter_rows())
    return sum(row in known for row in judges.frame.select(schema.names).iter_rows()), judges.rows
