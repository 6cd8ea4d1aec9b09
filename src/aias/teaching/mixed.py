"""What is learned of each row: its own answer, the teacher's, or both.

own answer alone           it
teacher's answer alone     how likely the teacher holds each label; the label, where it says no more
both                       half of each: where the teacher errs the answer corrects it, and where the answer is
                           chance the teacher knows what else could have been
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from aias.core.arrays import Floats
from aias.data.teacher_labels import AMOUNT, TeacherLabels
from aias.teaching.agreement import number_of
from aias.teaching.teachers.contract import Said

TRUTH: Final = 0.5
"""Of what is learned of a row that has both."""


def mixed(
    own: Sequence[str | None], said: Mapping[int, Said | None], *, numbers: bool, temperature: float
) -> TeacherLabels:
    """Of all rows; `said` by their places. Raises `BadValue` where an amount is none."""
    mine = np.array([each is not None for each in own], bool)
    if numbers:
        return TeacherLabels(mine, (AMOUNT,), _amounts(own, said))
    known = {row: softened(told.chances, temperature) for row, told in said.items() if told and told.chances}
    labels = sorted({label for each in known.values() for label in each} | {own[row] or "" for row in known} - {""})
    places = {label: at for at, label in enumerate(labels)}
    chances = np.full((len(own), len(labels)), np.nan)
    for row, each in known.items():
        answer = own[row]
        chances[row] = 0.0
        for label, chance in each.items():
            chances[row, places[label]] = chance if answer is None else (1 - TRUTH) * chance
        if answer is not None:
            chances[row, places[answer]] += TRUTH
    return TeacherLabels(mine, tuple(labels), chances)


def _amounts(own: Sequence[str | None], said: Mapping[int, Said | None]) -> Floats:
    """Of rows that have both; NaN elsewhere: (rows, 1)."""
    amounts = np.full((len(own), 1), np.nan)
    for row, told in said.items():
        if told is not None and told.answer and (answer := own[row]) is not None:
            amounts[row] = TRUTH * number_of(answer) + (1 - TRUTH) * number_of(told.answer)
    return amounts


def softened(chances: Mapping[str, float], temperature: float) -> dict[str, float]:
    """p^(1/T), of sum 1: above 1 a teacher is less sure of itself (Hinton et al. 2015)."""
    held = {label: chance ** (1 / temperature) for label, chance in chances.items() if chance > 0}
    total = sum(held.values())
    return {label: each / total for label, each in held.items()}
