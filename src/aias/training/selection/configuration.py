"""A configuration: a learner, its settings, and the columns derived for it; and a unit: one of its fits."""

from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from aias.core.names import short_digest

ALL: Final = -1
"""In place of a fold: fit on all rows, with settings that were chosen on the folds."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """`name` is what people read; two configurations of one name are never in one run."""

    name: str
    learner: str
    settings: dict[str, Any] = field(default_factory=dict)
    derived: tuple[str, ...] = ()
    """Columns made from others (`training.blocks`): `text_sums`, `log_text_sums`, `target_means`, `time_gaps`."""
    features: tuple[str, ...] = ()
    """What is read by what is linear here, the learner itself or the text sums; empty for all but `sentences`."""
    cost: float = 1.0
    """About how long it takes, where plain boosted trees take 1; only whether it is begun hangs on it."""
    share: float = 1.0
    """Of the time that its folds would have, where others are worth more; what they have come to by then is used."""

    @property
    def sums_texts(self) -> bool:
        """Whether it reads what a linear model makes of the texts."""
        return any(name.endswith("text_sums") for name in self.derived)


@dataclass(frozen=True, slots=True)
class Unit:
    """One fit: of a configuration, on all rows but those of a fold, with a seed."""

    configuration: Configuration
    fold: int
    seed: int

    def key(self, table: str) -> str:
        """The unit's name in the ledger: a digest of everything that decides what comes out."""
        each = self.configuration
        parts: tuple[object, ...] = (table, each.learner, each.settings, each.derived, self.fold, self.seed)
        if each.features:
            parts += (each.features,)
        return short_digest([msgspec.json.encode(parts, order="sorted")])
