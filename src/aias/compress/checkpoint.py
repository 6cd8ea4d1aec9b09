"""What is known of candidates on trial, so that a run that was killed goes on where it was: nothing is fitted twice.

A candidate is known by what decides what comes of it: the parent, the rows and their folds, those taught on besides,
the technique, its name and what was chosen for it, the time that was asked for, and the host it was timed on. What a
run kept is gone when that run has come to its end: timed again is timed anew.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import msgspec
import numpy as np

from aias.compress.trial import Trial
from aias.core.host import host
from aias.core.names import short_digest
from aias.runtimes.latency import PairedLatency
from aias.training.ledger import Entry, Ledger
from aias.training.selection.members import Member

FOLD: Final = "fold "


@dataclass(frozen=True, slots=True)
class _Measured:
    race: PairedLatency
    together: PairedLatency
    size_bytes: int
    smaller: float
    seconds: float
    engine: str = ""
    engine_seconds: float = 0.0


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """`known`: what decides all candidates alike, such as the parent's digest; `members`: what candidates may be made
    of, by their names."""

    ledger: Ledger
    known: tuple[object, ...]
    members: Mapping[str, Member] = field(default_factory=dict)

    def restore(self, trial: Trial) -> bool:
        """Whether anything was known of it. What was found wrong with it before is wrong with it still."""
        entry = self.ledger.get(self._key(trial))
        if entry is None:
            return False
        for name, scores in entry.state.items():
            trial.known[int(name.removeprefix(FOLD))] = scores
        trial.fault = str(entry.facts["fault"])
        trial.spent = trial.restored = float(entry.facts.get("spent", 0.0))
        trial.asked |= {name: self.members[name] for name in entry.facts.get("asked", ()) if name in self.members}
        if entry.facts["measured"] is not None:
            held = msgspec.convert(entry.facts["measured"], _Measured)
            trial.alone, trial.together = held.race, held.together
            trial.size_bytes, trial.smaller, trial.make_seconds = held.size_bytes, held.smaller, held.seconds
            trial.engine, trial.engine_seconds = held.engine, held.engine_seconds
        return True

    def note(self, trial: Trial) -> None:
        """Whole or not at all; a candidate that nobody had time for is as if it had never been."""
        measured = None
        if trial.alone and trial.together:
            measured = asdict(_Measured(
                trial.alone, trial.together, trial.size_bytes, trial.smaller, trial.make_seconds, trial.engine,
                trial.engine_seconds,
            ))  # fmt: skip
        facts: dict[str, Any] = {
            "fault": trial.fault, "measured": measured, "name": trial.name, "spent": trial.spent,
            "asked": list(trial.asked),
        }  # fmt: skip
        state = {f"{FOLD}{fold}": scores for fold, scores in trial.known.items()}
        self.ledger.drop(self._key(trial))
        self.ledger.put(self._key(trial), Entry({}, 0.0, False, state, np.zeros((0, 0)), facts))

    def forget(self, trials: Iterable[Trial]) -> None:
        for each in trials:
            self.ledger.drop(self._key(each))

    def _key(self, trial: Trial) -> str:
        parts = (*self.known, trial.technique, trial.name, *trial.candidate.chosen, asdict(host()))
        return f"trial-{short_digest([msgspec.json.encode(parts)])}"
