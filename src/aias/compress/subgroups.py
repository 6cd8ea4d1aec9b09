"""Subgroups of the certification rows: by the columns along which the candidate's answers changed most unevenly.

The columns are chosen on the search rows, which costs the proof nothing; subgroups by all columns would.
"""

from typing import Any, Final

import numpy as np

from aias.compress.searched import out_of_fold
from aias.compress.trial import Judged, Trial
from aias.core.arrays import Floats
from aias.training.scoring.slices import each_value, parted

COLUMNS_MAX: Final = 3


def subgroup_columns(judged: Judged, trial: Trial) -> list[str]:
    """At most three columns: categories or, where there are none, numbers."""
    prepared = judged.context.prepared
    names = [[each.name for each in prepared.encoder.fields if each.kind == kind] for kind in ("category", "number")]
    found = names[0] or names[1]
    if len(found) <= COLUMNS_MAX:
        return found
    rows, scores = out_of_fold(judged, trial)
    calibration, before = trial.answering.calibration, judged.before(rows, by_fold=trial.by_fold)
    apart = np.abs((calibration.apply(scores) if calibration else scores) - before.scores).mean(axis=1)
    searched = prepared.dataset.take(prepared.table.judged[rows])
    uneven = {name: unevenness(apart, each_value(searched.values(name))) for name in found}
    return sorted(found, key=lambda name: -uneven[name])[:COLUMNS_MAX]


def unevenness(apart: Floats, values: Any) -> float:
    """How unevenly a change, `apart`, (rows,), is spread over the values of a column: the mean square between the
    values divided by that within them (Fisher's F)."""
    slices = [rows for _, rows in parted(values)]
    if len(slices) < 2 or len(slices) == len(apart):
        return 0.0
    means = np.array([apart[rows].mean() for rows in slices])
    between = sum(len(rows) * (mean - apart.mean()) ** 2 for rows, mean in zip(slices, means, strict=True))
    within = sum(((apart[rows] - mean) ** 2).sum() for rows, mean in zip(slices, means, strict=True))
    return float(between / (len(slices) - 1) / max(within / (len(apart) - len(slices)), np.finfo(np.float64).tiny))
