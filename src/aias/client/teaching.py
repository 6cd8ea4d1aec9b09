"""`aias.Teacher`: who answers rows that have no answer yet, before a model is trained on them."""

from pathlib import Path
from threading import Event as Stop
from typing import Any

from aias.core.events import Watch
from aias.core.schema import Schema


class Teacher:
    """Whom to ask, and how.

    - `source`: a version such as `"big@2"`, the address of an endpoint of Aias (`.../predict/NAME`) or of a model on an
      Open Inference v2 server (`.../v2/models/NAME`), or of a chat service that speaks OpenAI's API (`.../v1`)
    - `model`: which of a chat service's models; the key comes from `AIAS_TEACHER_KEY` in the environment
    - `classes`: the labels that it may give, where rows do not show them all
    - `instructions`: what a chat service is told besides: what the labels mean
    - `calls`: how many calls of a service it may cost
    - `unlabelled`: more rows of the same columns to ask about
    - `made_up`: how many rows to make up and ask about, times the real ones
    - `temperature`: above 1, and what a teacher is less sure of counts more
    """

    def __init__(
        self, source: str, model: str = "", classes: tuple[str, ...] = (), instructions: str = "", calls: int = 1_000,
        *, unlabelled: Any = None, made_up: float = 0.0, temperature: float = 1.0,
    ) -> None:  # fmt: skip
        self.source, self.model, self.classes = source, model, tuple(classes)
        self.instructions, self.calls = instructions, calls
        self.unlabelled, self.made_up, self.temperature = unlabelled, made_up, temperature


def answered(
    source: Any, target: str, teacher: Teacher | str, test: Any, *, schema: Schema | Path | str | None, seed: int,
    home: Path, stop: Stop | None, watch: Watch,
) -> tuple[Path, Any, dict[str, Any]]:  # fmt: skip
    """The rows with their answers, what they are judged by, and facts of the asking."""
    from aias.teaching.taught import taught
    from aias.teaching.wish import Wish

    asked = Teacher(teacher) if isinstance(teacher, str) else teacher
    wish = Wish(
        asked.source, asked.model, asked.classes, asked.instructions, asked.calls, unlabelled=asked.unlabelled,
        made_up=asked.made_up, temperature=asked.temperature,
    )  # fmt: skip
    found = taught(
        source, target, wish, home=home, schema=Path(schema) if isinstance(schema, str) else schema,
        set_aside=test is None, given=test, seed=seed, stop=stop, watch=watch,
    )  # fmt: skip
    if stop is not None:
        stop.clear()  # it ended the asking; what was answered is learned from
    return found.rows, test if found.test is None else found.test, found.facts
