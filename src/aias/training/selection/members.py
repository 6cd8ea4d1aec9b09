"""A member: a configuration that was fitted on every fold, with what it says of rows that no fit of it saw."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from aias.core.arrays import Flags, Floats
from aias.core.catalog import member
from aias.training.ledger import Ledger
from aias.training.selection.configuration import ALL, Configuration, Unit
from aias.training.table import Table

FITS_MIN: Final = 3
"""Whose mean stands for a fit on all rows: each has seen two thirds at least."""


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """A configuration fitted on every fold."""

    configuration: Configuration
    units: tuple[Unit, ...]
    scores: Floats  # (rows that judge, outputs) out of fold, in the order of `Table.judged`
    refit: Unit
    """The same on all rows: with the settings of the first fold, and rounds and the like as the mean of all."""
    seconds: float
    """Of all folds together."""
    found: tuple[dict[str, Any], ...] = ()
    """The settings that each fold came to."""

    @property
    def came_to(self) -> dict[str, Any]:
        """The settings that its folds came to, in the mean."""
        return _mean_settings(self.found) if self.found else self.refit.configuration.settings

    def narrowed(self, count: int, kept: Flags) -> "Member":
        """Where only the first `count` folds judge, whose rows are `kept` of those before: as if there were no others,
        so that what is fitted again does not hang on when it was found."""
        refit = _again(self.configuration, self.found[:count], self.refit.seed) if self.found else self.refit
        share = count / len(self.units)
        return replace(
            self, units=self.units[:count], scores=self.scores[kept], seconds=self.seconds * share, refit=refit,
            found=self.found[:count],
        )  # fmt: skip

    @property
    def name(self) -> str:
        return self.configuration.name

    @property
    def merges(self) -> bool:
        """Whether any number of its fits answer as fast as one (`ensemble.bagged`)."""
        return self._has("merges") or self._has("thins")

    @property
    def knows_all(self) -> bool:
        """Whether its fits are one model by the mean of their weights, which is no slower than one fit on all rows, and
        of texts was more often right on rows never seen (docs/log.md)."""
        return len(self.units) >= FITS_MIN and self._has("merges")

    def _has(self, trait: str) -> bool:
        return bool(getattr(member("learners", self.configuration.learner), trait, False))


def member_of(
    configuration: Configuration, units: Sequence[Unit], seconds: float, table: Table, ledger: Ledger
) -> Member:
    """`units`: of each fold, all in the ledger."""
    entries = [ledger.take(unit.key(table.digest)) for unit in units]
    scores = np.full((table.rows, table.task.outputs), np.nan)
    for unit, entry in zip(units, entries, strict=True):
        scores[table.outside(unit.fold)] = entry.scores
    found = tuple(entry.settings for entry in entries)
    refit = _again(configuration, found, units[0].seed)
    return Member(configuration, tuple(units), scores[table.judged], refit, seconds, found)


def _again(configuration: Configuration, found: Sequence[dict[str, Any]], seed: int) -> Unit:
    return Unit(replace(configuration, settings=_mean_settings(found)), ALL, seed)


def _mean_settings(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Whole numbers that differ, such as rounds, become their mean; the rest is as in the first fold."""
    settings = dict(found[0])
    if "smear" in settings:
        settings["smear"] = sum(each["smear"] for each in found) / len(found)
    for name, value in settings.items():
        held = [each[name] for each in found if type(each.get(name)) is int]
        if type(value) is int and len(held) == len(found):
            settings[name] = round(sum(held) / len(held))
    return settings
