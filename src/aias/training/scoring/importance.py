"""What a model's answers hang on: over many rows by permuting, for one row by taking its answer apart.

Both ask nothing of the model but its answers: `answer` turns columns, (rows, width), into scores, (rows, outputs).
`fields` names the columns of each field; those of one field are moved together. For what is not a column, such as a
text, add a column of row numbers that `answer` looks the texts up by.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from aias.artifact.report import FieldImportance
from aias.core.arrays import Floats, Ints
from aias.core.task import Task
from aias.training.scoring.metrics import LabelWeights, measure, of_rows

Answer = Callable[[Floats], Floats]
Fields = Mapping[str, Sequence[int]]

IMPORTANCE_ROWS_MAX: Final = 5_000
"""The drop of a metric is then known to about a hundredth; more rows cost time and change no order."""

NUMBERS_MAX: Final = 20_000_000
"""Asked about in one call: 160 MB."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """`answer` = `base` + the sum of `contributions`, for each output. Fields that stand as in the reference give 0."""

    base: tuple[float, ...]
    answer: tuple[float, ...]
    contributions: Mapping[str, tuple[float, ...]]


def importance(
    answer: Answer, columns: Floats, y: Any, fields: Fields, *, task: Task, seed: int, repeats: int = 5,
    rows_max: int = IMPORTANCE_ROWS_MAX, label_weights: LabelWeights = None,
) -> tuple[FieldImportance, ...]:  # fmt: skip
    """Permutation importance (Breiman 2001; Fisher, Rudin and Dominici 2019), largest first, on rows never fitted on.

    Where fields are correlated, each looks less important than it is.
    """
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.permutation(len(y))[:rows_max])
    columns, y = columns[rows], y[rows]
    sign = 1 if task.direction == "higher" else -1

    def goodness(x: Floats) -> float:
        return sign * measure(task, y, answer(x), label_weights=of_rows(label_weights, rows)).value

    whole = goodness(columns)
    found = [
        _over_repeats(name, whole - np.array([goodness(_mixed(columns, places, rng)) for _ in range(repeats)]))
        for name, places in fields.items()
    ]
    return tuple(sorted(found, key=lambda one: -one.drop))


def explain(
    answer: Answer, row: Floats, reference: Floats, fields: Fields, *, permutations: int, seed: int
) -> Explanation:
    """Each field's part in what sets this row's answer apart from the reference's, on the scale of `answer`.

    With `scores` as `answer` the parts are probabilities, or amounts; for parts in log odds give it log odds. They are
    Shapley values by sampling (Strumbelj and Kononenko 2014): the fields of the reference become those of the row one
    after the other, in `permutations` random orders, each also walked backwards (Mitchell et al. 2022). The sum is
    exact however few they are.

    `row`: (width,). `reference`: a row (width,), or some (references, width) that the orders take in turn; the base is
    then the mean of their answers.
    """
    references = np.atleast_2d(reference)
    named = {place for places in fields.values() for place in places}
    assert len(named) == len(row), "every column belongs to a field: else no sum is the answer"
    groups = {name: np.array(places) for name, places in fields.items()}
    changed = [name for name, places in groups.items() if _differ(references[:, places], row[places])]
    walks = list(_walks(len(changed), permutations, np.random.default_rng(seed)))
    starts = references[np.arange(len(walks)) // 2 % len(references)]  # (walks, width); there and back from the same
    stops = _asked(answer, row, starts, [[groups[changed[i]] for i in walk] for walk in walks])
    gains = np.diff(stops, axis=1)  # (walks, changed, outputs)
    parts = np.zeros((len(changed), stops.shape[2]))
    for walk, gain in zip(walks, gains, strict=True):
        parts[walk] += gain
    by_name = dict(zip(changed, parts / len(walks), strict=True))
    nothing = np.zeros(stops.shape[2])
    return Explanation(
        _tuple(stops[:, 0].mean(axis=0)),
        _tuple(stops[0, -1]),
        {name: _tuple(by_name.get(name, nothing)) for name in fields},
    )


def _walks(length: int, permutations: int, rng: np.random.Generator) -> Iterator[Ints]:
    for _ in range(permutations):
        order = rng.permutation(length)
        yield order
        yield order[::-1]


def _asked(answer: Answer, row: Floats, starts: Floats, walks: list[list[Ints]]) -> Floats:
    """The answers at each stop, from all of the reference to all of the row: (walks, fields + 1, outputs)."""
    together = max(1, NUMBERS_MAX // (starts.shape[1] * (len(walks[0]) + 1)))
    found = []
    for begin in range(0, len(walks), together):
        part = walks[begin : begin + together]
        asked = np.repeat(starts[begin : begin + together, None], len(walks[0]) + 1, axis=1)
        for walk, stops in zip(part, asked, strict=True):
            for stop, places in enumerate(walk, 1):
                stops[stop:, places] = row[places]
        scores = np.asarray(answer(asked.reshape(-1, starts.shape[1])), np.float64)
        found.append(scores.reshape(len(part), len(walks[0]) + 1, -1))
    return np.concatenate(found)


def _differ(references: Floats, row: Floats) -> bool:
    return not np.array_equal(references, np.broadcast_to(row, references.shape), equal_nan=True)


def _mixed(columns: Floats, places: Sequence[int], rng: np.random.Generator) -> Floats:
    mixed = columns.copy()
    mixed[:, places] = columns[rng.permutation(len(columns))][:, places]
    return mixed


def _over_repeats(name: str, drops: Floats) -> FieldImportance:
    from scipy.special import stdtrit

    drop = float(drops.mean())
    if len(drops) < 2:
        return FieldImportance(name, drop, drop, drop)
    half = float(stdtrit(len(drops) - 1, 0.975) * drops.std(ddof=1) / np.sqrt(len(drops)))
    return FieldImportance(name, drop, drop - half, drop + half)


def _tuple(values: Floats) -> tuple[float, ...]:
    return tuple(map(float, values))
