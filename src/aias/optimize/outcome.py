"""What optimising came to: what each axis gave on the rows that were searched on, and the gain on those reserved."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np

from aias.artifact.optimised import Gain
from aias.core.arrays import Floats
from aias.training.selection.leaderboard import Leaderboard
from aias.training.selection.weights import greedy, mix, worth
from aias.training.train import Results


@dataclass(frozen=True, slots=True)
class AxisReport:
    """`gain`: how much better the parent's members are with the axis's, by the metric, above 0 being better; None when
    nothing was ready in time. `kept`: those in the new model. `empty`: with what may join, nothing can be tried."""

    axis: str
    tried: tuple[str, ...]
    gain: float | None
    kept: tuple[str, ...]
    empty: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """`results` are None when nothing is certain to be better."""

    axes: tuple[AxisReport, ...]
    gain: Gain
    results: Results | None


def reports(
    board: Leaderboard, axis_of: Mapping[str, str], axes: Sequence[str], kept: Floats, *, spent: AbstractSet[str]
) -> tuple[AxisReport, ...]:
    """`axis_of` all that was proposed, by name; `kept`: weights of the new model, (members,); `spent`: axes that have
    nothing more to propose."""
    parents = [place for place, each in enumerate(board.members) if each.name not in axis_of]
    before = _together(board, parents)
    found = []
    for axis in axes:
        places = [place for place, each in enumerate(board.members) if axis_of.get(each.name) == axis]
        names = tuple(board.members[place].name for place in places)
        gain = _together(board, [*parents, *places]) - before if places else None
        empty = axis in spent and axis not in axis_of.values()
        ours = tuple(board.members[place].name for place in places if kept[place])
        found.append(AxisReport(axis, names, gain, ours, empty))
    return tuple(found)


def _together(board: Leaderboard, places: Sequence[int]) -> float:
    """How good the best mean of these members is; higher is better."""
    scores = np.stack([board.members[place].scores for place in places])
    weights = greedy(board.y, scores, task=board.task, seed=0, leaning=board.class_costs)
    return worth(board.task, board.y, mix(scores, weights), board.class_costs)
