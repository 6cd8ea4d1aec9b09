"""Rows that a teacher labels before a training."""

from pathlib import Path
from threading import Event as Stop
from typing import Any

from aias.core.events import Watch
from aias.core.schema import Schema
from aias.teaching.teacher import Teacher


def answered(
    source: Any, target: str, teacher: Teacher | str, test: Any, *, schema: Schema | Path | str | None, seed: int,
    home: Path, stop: Stop | None, watch: Watch,
) -> tuple[Path, Any, dict[str, Any]]:  # fmt: skip
    """The labelled rows, the rows that judge, and facts about the teacher's answers."""
    from aias.teaching.taught import taught

    asked = Teacher(teacher) if isinstance(teacher, str) else teacher
    found = taught(
        source, target, asked, home=home, schema=Path(schema) if isinstance(schema, str) else schema,
        set_aside=test is None, given=test, seed=seed, stop=stop, watch=watch,
    )  # fmt: skip
    if stop is not None:
        stop.clear()  # it ended the questions to the teacher; training goes on with the answers so far
    return found.rows, test if found.test is None else found.test, found.facts
