"""What was asked for: whom to ask about which rows, and at what cost."""

from dataclasses import dataclass
from typing import Any, Final

from aias.teaching.teachers.contract import BadTeacher

CALLS_MAX: Final = 1_000
"""Of a service, unless more are allowed: a small price, and a quarter of an hour."""

MADE_UP_MAX: Final = 20
"""Times the real rows; of trees that were taught so 12 times gained nothing on 6."""

TEMPERATURES: Final = (0.1, 20.0)
"""Beyond these all labels are alike, or all but one are gone."""


@dataclass(frozen=True, slots=True)
class Wish:
    """`source`: a version such as `big@2`, or an address. `classes`: the labels that count, where rows do not show
    them all. `instructions`: for a chat service, what the labels mean. `calls_max`: of a service. `unlabelled`: more
    rows to ask about; `made_up`: how many to make up, times the real ones; `temperature`: above 1, and a teacher counts
    as less sure of itself than it says."""

    source: str
    model: str = ""
    classes: tuple[str, ...] = ()
    instructions: str = ""
    calls_max: int = CALLS_MAX
    unlabelled: Any = None
    made_up: float = 0.0
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if self.calls_max < 1:
            raise BadTeacher(f"in {self.calls_max} calls nothing can be asked", hint=f"for example {CALLS_MAX}")
        if len(set(self.classes)) < len(self.classes) or len(self.classes) == 1:
            named = ",".join(self.classes)
            raise BadTeacher(
                f"the classes {named} must be two labels or more, each once",
                hint='`--classes spam,ham`, or `classes=("spam", "ham")`',
            )
        if not 0 <= self.made_up <= MADE_UP_MAX:
            raise BadTeacher(
                f"{self.made_up:g} times as many rows cannot be made up", hint=f"from 0 to {MADE_UP_MAX}, for example 3"
            )
        least, most = TEMPERATURES
        if not least <= self.temperature <= most:
            raise BadTeacher(
                f"{self.temperature:g} is no temperature", hint=f"from {least} to {most}; 1 takes a teacher at its word"
            )
