"""`aias.Teacher`: who answers rows that have no answer yet, before a model is trained on them."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Final

from aias.teaching.teachers.contract import BadTeacher

CALLS: Final = 1_000
"""Of a service, unless more are allowed: a small price, and a quarter of an hour."""

SYNTHETIC_MAX: Final = 20
"""Times the real rows; of trees that were taught so 12 times gained nothing on 6."""

TEMPERATURES: Final = (0.1, 20.0)
"""Beyond these all labels are alike, or all but one are gone."""


@dataclass(frozen=True, slots=True)
class Teacher:
    """Whom to ask, and how.

    - `source`: a version such as `"big@2"`, the address of an endpoint of Aias (`.../predict/NAME`) or of a model on an
      Open Inference v2 server (`.../v2/models/NAME`), or of a chat service that speaks OpenAI's API (`.../v1`)
    - `model`: which of a chat service's models; the key comes from `AIAS_TEACHER_KEY` in the environment
    - `classes`: the labels that it may give, if the rows do not show them all
    - `instructions`: what else to tell a chat service, such as what the labels mean
    - `calls`: the most calls to make to a service
    - `unlabelled`: more rows of the same columns to ask about
    - `synthetic`: synthetic rows to ask about, too: 2 makes twice as many as there are real rows
    - `temperature`: above 1, makes the teacher's probabilities more alike

    Raises `UserError` for what cannot be asked.
    """

    source: str
    model: str = ""
    classes: Sequence[str] = ()
    instructions: str = ""
    calls: int = CALLS
    _: KW_ONLY
    unlabelled: Any = None
    synthetic: float = 0.0
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if self.calls < 1:
            raise BadTeacher(f"in {self.calls} calls nothing can be asked", hint=f"for example {CALLS}")
        if len(set(self.classes)) < len(self.classes) or len(self.classes) == 1:
            named = ",".join(self.classes)
            raise BadTeacher(
                f"the classes {named} must be two labels or more, each once",
                hint='`--classes spam,ham`, or `classes=("spam", "ham")`',
            )
        if not 0 <= self.synthetic <= SYNTHETIC_MAX:
            raise BadTeacher(
                f"{self.synthetic:g} times as many synthetic rows cannot be made",
                hint=f"from 0 to {SYNTHETIC_MAX}, for example 3",
            )
        least, most = TEMPERATURES
        if not least <= self.temperature <= most:
            raise BadTeacher(
                f"{self.temperature:g} is no temperature", hint=f"from {least} to {most}; 1 takes a teacher at its word"
            )
