"""What a person should know before training: leaks, copies, contradictions, rare labels; a report of the columns."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from aias.core.arrays import Flags, Floats, Ints
from aias.core.evenly import evenly
from aias.core.events import Event
from aias.core.schema import Field, Kind, Role
from aias.core.task import Task
from aias.data.copies import alike_by_chance, keys_of
from aias.data.dataset import Dataset
from aias.data.target import Labels1d

CERTAIN: Final = 0.999
"""AUC or R² of one column alone from which it must know the answer."""

STRONG: Final = 0.95
"""Worth a look, no more: real predictors get here, but hardly one that only says yes or no."""

RARE_SHARE: Final = 0.01
RARE_OF_FAIR_SHARE: Final = 0.2
"""A label is rare below 1 % of the rows, and below a fifth of what it would have were all labels equal."""

_ROWS_MIN: Final = 50
"""On fewer rows a column separates labels by luck."""

_ROWS_EACH: Final = 10
"""A category must have this many rows a value on average, or it knows each row's answer by heart."""

_SCREENING_ROWS: Final = 50_000
_SCREENING_ROOM: Final = 0.1
"""Of AUC or R², below what is worth a look: what some rows say of a column is nearer than that to what all say."""

_SUM_COLUMNS_MAX: Final = 200
_SUM_ROWS: Final = 200
_MEND: Final = "leave out what is not known when predicting, or set its role to ignored in the schema"


@dataclass(frozen=True, slots=True)
class Column:
    """One line of the report. `missing` is a share from 0 to 1."""

    name: str
    kind: Kind
    role: Role
    missing: float
    distinct: int
    example: str | float | int | bool | None
    reason: str


def report(dataset: Dataset) -> tuple[Column, ...]:
    """What each column holds."""
    return tuple(_column(field, dataset.column(field.name)) for field in dataset.schema)


def findings(dataset: Dataset, y: Labels1d, task: Task) -> tuple[Event, ...]:
    """Everything there is to say about the rows of `dataset`, whose labels are `y`."""
    with np.errstate(over="ignore", invalid="ignore"):  # a sum of enormous numbers is no target
        sums = tuple(_sums(dataset, y, task))
    return (*leaks(dataset, y, task), *sums, *_copies(dataset, y, task), *_imbalance(y, task))


def leaks(dataset: Dataset, y: Labels1d, task: Task) -> tuple[Event, ...]:
    """Single columns that know the target, as warnings; those that nearly do, as debug hints."""
    assert len(y) == dataset.rows
    if dataset.rows < _ROWS_MIN:
        return ()
    some = _screening(y, task)
    columns = ((field, dataset.column(field.name)) for field in dataset.schema.inputs)
    suspected = ((field, column) for field, column in columns if some is None or _may_leak(column, some, y, task))
    return tuple(note for field, column in suspected if (note := _leak(field, column, y, task)))


def _screening(y: Labels1d, task: Task) -> Ints | None:
    """Rows by which columns that tell little are known already; None for all, where they are few or a label is rare."""
    some = evenly(len(y), _SCREENING_ROWS)
    if len(y) < 2 * len(some):
        return None
    if task.type == "regression":
        return some
    rows = np.bincount(y[some].astype(np.int64), minlength=len(task.classes))
    return some if rows.min() >= _ROWS_MIN else None


def _may_leak(column: pl.Series, some: Ints, y: Labels1d, task: Task) -> bool:
    part = column[some]
    if part.n_unique() * _ROWS_EACH > len(part) and column.n_unique() * _ROWS_EACH <= len(column):
        return True  # its values repeat among all rows only
    filled = _by_value(part.is_null().cast(pl.Float64), y[some], task)
    return max(_knowledge(part, y[some], task), filled) >= STRONG - _SCREENING_ROOM


def _column(field: Field, column: pl.Series) -> Column:
    missing = column.null_count() / max(len(column), 1)
    distinct = column.drop_nulls().n_unique()
    return Column(field.name, field.kind, field.role, missing, distinct, field.example, field.reason)


def _leak(field: Field, column: pl.Series, y: Labels1d, task: Task) -> Event | None:
    said = f"`{field.name}` alone"
    known, filled = _knowledge(column, y, task), _by_value(column.is_null().cast(pl.Float64), y, task)
    simple = column.n_unique() == 2
    if known < CERTAIN and filled >= STRONG:
        known, simple, said = filled, True, f"whether `{field.name}` has a value"
    facts: dict[str, object] = {"column": field.name, "score": round(known, 6)}
    measure = "R²" if task.type == "regression" else "AUC"
    if known >= CERTAIN or (simple and known >= STRONG):
        gives = "gives" if known >= CERTAIN else "nearly gives"
        message = f"{said} {gives} `{task.target}` ({measure} {known:.4f}), so it may be a leak: {_MEND}"
        return Event("data.leak", message, "warning", facts)
    if known >= STRONG:
        message = f"{said} nearly gives `{task.target}` ({measure} {known:.3f}): {_MEND}"
        return Event("data.leak-hint", message, "debug", facts)
    return None


def _knowledge(column: pl.Series, y: Labels1d, task: Task) -> float:
    """How well the column alone gives the target: the worst class's AUC, or R²; 0 when it cannot be said."""
    if column.dtype == pl.Float64:
        values = column.to_numpy()
        return max(_by_order(values, y, task), _by_value(column, y, task))
    return _by_value(column, y, task)


def _by_order(values: Floats, y: Labels1d, task: Task) -> float:
    """For numbers: AUC of their order, missing first; or R² of the straight line."""
    if task.type == "regression":
        good = np.isfinite(values)
        if good.sum() < 0.9 * len(values) or (values[good] == values[good][0]).all() or np.ptp(y[good]) == 0:
            return 0.0
        own = values[good] / np.abs(values[good]).max()  # the square of an enormous number is none
        return float(np.corrcoef(own, y[good])[0, 1] ** 2)
    filled = np.where(np.isnan(values), -np.inf, values)
    ranks = _ranks(filled)
    return min(max(auc, 1 - auc) for auc in (_auc(ranks, y == code) for code in np.unique(y)))


def _by_value(column: pl.Series, y: Labels1d, task: Task) -> float:
    """For values that repeat: how well the mean answer of each value gives the target."""
    codes = column.to_numpy() if column.dtype == pl.Float64 else column.rank("dense").fill_null(0)
    _, value = np.unique(np.asarray(codes), return_inverse=True)
    counts = np.bincount(value)
    if len(counts) < 2 or len(counts) * _ROWS_EACH > len(y):
        return 0.0
    if task.type == "regression":
        mean = np.bincount(value, weights=y) / counts
        spread = float(np.var(y))
        return 0.0 if spread == 0 else 1 - float(np.mean((y - mean[value]) ** 2)) / spread
    worst = 1.0
    for code in np.unique(y):
        share = np.bincount(value, weights=y == code) / counts
        worst = min(worst, _auc(_shared_ranks(share, counts)[value], y == code))
    return worst


def _ranks(values: Floats) -> Floats:
    """Ranks from 1, equal values sharing their mean rank."""  # (rows,)
    different, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return _shared_ranks(different, counts)[inverse]


def _shared_ranks(values: Floats, counts: Ints) -> Floats:
    """The mean rank of each value when it stands `counts` times."""  # (values,)
    _, inverse = np.unique(values, return_inverse=True)
    rows = np.bincount(inverse, weights=counts)
    mean: Floats = (np.cumsum(rows) - (rows - 1) / 2)[inverse]
    return mean


def _auc(ranks: Floats, positive: Flags) -> float:
    """Mann and Whitney's U over the pairs."""
    ones = int(positive.sum())
    zeros = len(positive) - ones
    if not ones or not zeros:
        return 0.5
    return float((ranks[positive].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def _sums(dataset: Dataset, y: Labels1d, task: Task) -> Iterator[Event]:
    """Pairs of columns whose sum or difference is the target."""
    if task.type != "regression" or dataset.rows < _ROWS_MIN:
        return
    names = [field.name for field in dataset.schema.inputs if field.kind == "number"][:_SUM_COLUMNS_MAX]
    some = evenly(dataset.rows, _SUM_ROWS)
    columns = {name: np.asarray(dataset.values(name), np.float64) for name in names}
    sampled = np.array([columns[name][some] for name in names])  # (columns, rows)
    for place, name in enumerate(names):
        for sign, word in ((1.0, "+"), (-1.0, "-")):
            rest = np.abs(y[some] - (sampled[place] + sign * sampled))  # (columns, rows)
            for other in np.flatnonzero((rest <= 1e-6 * (1 + np.abs(y[some]))).mean(axis=1) >= CERTAIN).tolist():
                same = np.isclose(columns[name] + sign * columns[names[other]], y, rtol=1e-6)
                ordered = other > place or (sign < 0 and other != place)
                trivial = not np.ptp(sampled[place]) or not np.ptp(sampled[other])
                if ordered and not trivial and same.mean() >= CERTAIN:
                    message = f"`{name}` {word} `{names[other]}` is `{task.target}`, so they may be a leak: {_MEND}"
                    yield Event("data.leak", message, "warning", {"columns": [name, names[other]]})


def _copies(dataset: Dataset, y: Labels1d, task: Task) -> Iterator[Event]:
    keys = keys_of(dataset)
    if keys is None:
        return
    seen = (
        pl.DataFrame([keys.alias("row"), pl.Series("y", y)])
        .group_by("row")
        .agg(pl.len(), pl.col("y").n_unique().alias("answers"))
    )
    copies = dataset.rows - seen.height
    if not copies:
        return
    share, chance = copies / dataset.rows, alike_by_chance(dataset)
    rows_have = "1 row has" if copies == 1 else f"{copies:,} rows ({share:.1%}) have"
    treated = "as chance has it with columns of so few values" if chance else "copies never straddle a split"
    message = f"{rows_have} the same inputs as an earlier row{',' if chance else ';'} {treated}"
    yield Event("data.copies", message, "info", {"rows": copies, "chance": chance})
    against = seen.filter(pl.col("answers") > 1)
    if against.height and not (chance and task.type == "regression"):  # amounts differ, whatever the columns
        rows = int(against["len"].sum())
        message = (
            f"{rows:,} rows with the same inputs as others have different values of `{task.target}`:"
            " no model can be right on all of them; is a column missing?"
        )
        serious = rows > RARE_SHARE * len(y) and not chance
        yield Event("data.contradictions", message, "warning" if serious else "info", {"rows": rows})


def _imbalance(y: Labels1d, task: Task) -> Iterator[Event]:
    if task.type == "regression":
        return
    counts = np.bincount(y.astype(np.int64), minlength=len(task.classes))
    few = min(RARE_SHARE, RARE_OF_FAIR_SHARE / len(task.classes)) * len(y)
    rare = [
        (task.classes[code], int(count)) for code, count in enumerate(counts) if 1 < count < few
    ]  # one alone is told of already
    if rare:
        named = ", ".join(f"`{label}` ({count:,} row{'s' if count != 1 else ''})" for label, count in rare[:5])
        which = "1 label is" if len(rare) == 1 else f"{len(rare)} labels are"
        message = f"{which} rare: {named}. Accuracy says little here; look at each label"
        yield Event("data.imbalance", message, "warning", {"labels": [label for label, _ in rare]})
