"""The history of a training: what its events said, and when; learning curves are drawn from it."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from aias.core.events import Event, Watch, nobody
from aias.data.dataset import Dataset


@dataclass(frozen=True, slots=True)
class Round:
    """How good a fit of one fold was after so many rounds of whatever its learner counts."""

    configuration: str
    fold: int
    round: float
    value: float
    metric: str
    """`SCORE`, the task's, or `LOSS`."""
    counted: str = "Rounds"
    """What the learner calls its rounds."""


@dataclass(frozen=True, slots=True)
class Step:
    """A new member: its score, and that of the whole ensemble with it; NaN where they could not be measured."""

    configuration: str
    seconds: float
    value: float
    ensemble: float


SCORE: Final = "score"
LOSS: Final = "validation loss"

NOTED: Final = frozenset({"data.copies", "data.contradictions", "train.drift"})
"""Told without a warning too, since whoever reads the card should know."""

NOTES_MAX: Final = 30


@dataclass(eq=False)
class History:
    """A watch that passes every event on and remembers those of learning, and what a card should say. Several threads
    may tell it.
    """

    watch: Watch = nobody
    clock: Callable[[], float] = time.monotonic
    rounds: list[Round] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    """Why each configuration that was left out was."""

    def __post_init__(self) -> None:
        self._began, self._lock = self.clock(), threading.Lock()

    def __call__(self, event: Event) -> None:
        with self._lock:
            if event.name == "train.round":
                self._remember_round(event.facts)
            elif event.name == "train.curve":
                self._remember_curve(event.facts)
            elif event.name == "train.candidate":
                self._remember_step(event.facts)
            if event.name == "train.skipped":
                self.skipped[str(event.facts["configuration"])] = str(event.facts["reason"])
            if _is_noted(event) and event.message not in self.notes and len(self.notes) < NOTES_MAX:
                self.notes.append(event.message)
        self.watch(event)

    def _remember_round(self, facts: dict[str, Any]) -> None:
        value, metric = facts.get("score"), SCORE
        if value is None:
            value, metric = facts.get("validation_loss"), LOSS
        if value is not None and "round" in facts:
            self.rounds.append(_round(facts, facts["round"], value, metric))

    def _remember_curve(self, facts: dict[str, Any]) -> None:
        """Of all rounds, of which few were told as they ended."""
        told = zip(facts["rounds"], facts["validation_losses"], strict=True)
        self.rounds += [_round(facts, number, loss, LOSS) for number, loss in told]

    def _remember_step(self, facts: dict[str, Any]) -> None:
        together = float(facts.get("ensemble", "nan"))
        seconds = self.clock() - self._began
        self.steps.append(Step(str(facts["configuration"]), seconds, float(facts["validation"]), together))


def of_data(*datasets: Dataset) -> list[str]:
    """What a card should say of how its rows were read, which was told before training began."""
    said = [note.message for each in datasets for note in each.notes if _is_noted(note)]
    return list(dict.fromkeys(said))[:NOTES_MAX]


def _round(facts: dict[str, Any], number: Any, value: Any, metric: str) -> Round:
    configuration = str(facts.get("configuration", facts.get("learner", "")))
    counted = str(facts.get("counted", "Rounds"))
    return Round(configuration, int(facts.get("fold", 0)), float(number), float(value), metric, counted)


def _is_noted(event: Event) -> bool:
    return event.level == "warning" or (event.level == "info" and event.name in NOTED)
