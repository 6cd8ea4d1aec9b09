"""The target column → a task and a label for each row."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final, cast
from unicodedata import normalize

import numpy as np
import polars as pl

from aias.core.arrays import Floats, Ints
from aias.core.errors import BadValue, shown
from aias.core.events import Event
from aias.core.limits import CLASSES_MAX
from aias.core.schema import Field
from aias.core.suggestions import choices
from aias.core.task import DEFAULT_METRIC, METRICS, Task, TaskType, instead_of, is_metric, tasks_of
from aias.data.dataset import Dataset
from aias.data.errors import BadTarget, NoInputs
from aias.encoders.category import text_of
from aias.encoders.number import Number

Labels1d = Ints | Floats

WHOLE_CLASSES_MAX: Final = 10
"""Whole numbers with more different values than this are amounts, not labels."""

WHOLE_MAX: Final = 2**53
"""From here on not every whole number is a float64."""

AMOUNT_MAX: Final = 1e100
"""The squares of larger errors, and their sums, come near what a float64 can hold."""

SPREAD_MIN: Final = 1e-100
"""The squares of smaller errors come near what it cannot tell from 0."""

ONE_SIDED: Final = {"f1": "f1_macro", "precision": "f1_macro", "recall": "balanced_accuracy", "pr_auc": "roc_auc"}
"""Metrics that judge how one of two labels is found, and one that judges both."""

MEANT_SHARE_MAX: Final = 0.8
"""A label of more of the rows is hardly the one that is looked for."""

_YES: Final = ("1", "t", "true", "y", "yes")
_NO: Final = ("0", "f", "false", "n", "no")
TRUTHS: Final = dict.fromkeys(_YES, "yes") | dict.fromkeys(_NO, "no")
"""Two labels and their spellings, where there are no others."""

_MAYBE_NONE: Final = frozenset({"na", "-", "--", "."})
"""Of `SPELLINGS` those that a label seldom is, though it may be."""

_UNIQUE_SHARE_MAX: Final = 0.5
_LONG: Final = re.compile(r"(-?[0-9]{16})\.0")
"""A label that category encoders, which never change, would have end in `.0`."""

ELSEWHERE: Final = " of the file to measure on"
"""Said of rows that are not learned from."""

_NOTHING_TO_LEARN: Final = "there is nothing to learn; is it the right column?"


@dataclass(frozen=True, eq=False)
class Labels:
    """`y`: for each kept row the index of its class (int64), or its value (float64). `kept`: the rows of the dataset
    that have a target."""

    task: Task
    y: Labels1d
    kept: Ints
    notes: tuple[Event, ...] = ()


def task_for(dataset: Dataset, target: str, metric: str | None = None) -> Labels:
    """Decide what kind of task predicting `target` is; `metric` can force it (`rmse` means regression).

    Rows without a target are left out with a note. Raises `BadTarget` when there is nothing to learn.
    """
    if metric is not None and not is_metric(metric):
        raise BadTarget(f"there is no metric `{metric}`", hint=instead_of(metric))
    field = dataset.schema[target]
    if field.kind == "time":
        hint = (
            "predict a number of days; or, if they are labels, set its kind to category in a schema "
            "(`aias data check FILE --save schema.yaml`)"
        )
        raise BadTarget(f"`{target}` holds times, which cannot be predicted", hint=hint)
    column = dataset.column(target)
    kept = np.flatnonzero(column.is_not_null().to_numpy())
    if not len(kept):
        raise BadTarget(f"`{target}` has no value in any row", hint="is it the right column?")
    kind, guessed = _type(field, column.drop_nulls(), metric)
    notes = _dropped_notes(target, dataset.rows - len(kept)) + guessed
    if kind == "regression":
        y = _amounts(column.drop_nulls(), field)
        _check_amounts(metric, y, target)
        return Labels(Task(target, kind, metric or DEFAULT_METRIC[kind]), y, kept, notes)
    _check_told_apart(column, target)
    texts, dots = _without_dots(_label_texts(column.drop_nulls().to_list()))
    classes = _classes(texts, target)
    kind = "binary" if len(classes) == 2 else "multiclass"
    _check_metric(metric, kind, target)
    task = Task(target, kind, metric or DEFAULT_METRIC[kind], classes)
    if dots:
        notes += (Event("data.labels", f"`{target}`: a dot at the end of {dots} labels was taken off", "warning"),)
    notes += (
        *_blank_notes(classes, target),
        *_alike_notes(classes, target),
        *_rare_notes(texts, target),
        *_positive_notes(texts, task),
    )
    return Labels(task, encode_labels(texts, task), kept, notes)


def _check_told_apart(column: pl.Series, target: str) -> None:
    """Raises `BadTarget` where neighbouring labels are one and the same number by now."""
    if column.dtype.is_numeric() and float(column.abs().max()) >= WHOLE_MAX:  # type: ignore[arg-type]
        raise BadTarget(
            f"`{target}` holds labels of {WHOLE_MAX:,} and more, and numbers that large are not all told apart",
            hint="write them as texts, such as with a letter before each; or, if they are amounts, ask for `rmse`",
        )


def check_inputs(dataset: Dataset, target: str) -> None:
    """Raises `NoInputs` where nothing is left to predict `target` from."""
    if dataset.schema.inputs:
        return
    others = [field for field in dataset.schema if field.name != target]
    if not others:
        raise NoInputs(
            f"`{target}` is the only column, and is not predicted from itself", hint="add columns to learn from"
        )
    named = ", ".join(f"`{field.name}` ({field.reason.partition('; ')[0]})" for field in others[:5])
    raise NoInputs(
        f"no column is left to learn from; set aside are {named}" + (", ..." if len(others) > 5 else ""),
        hint="add columns that tell rows apart, or set the role of one to input in the schema",
    )


def _check_amounts(metric: str | None, y: Labels1d, target: str, *, elsewhere: bool = False) -> None:
    """Raises `BadTarget` where the metric means nothing for some of the amounts. `elsewhere`: not of the rows that are
    learned from."""
    said, other, wrong = "", "", None
    if metric == "mape":
        said, other, wrong = f"`mape` divides by `{target}`, which is 0", "mae", y == 0
    elif metric == "rmsle":
        said, other, wrong = f"`rmsle` takes logarithms, and `{target}` is below 0", "rmse", y < 0
    if wrong is not None and wrong.any():
        of, hint = (ELSEWHERE, "leave those out, or train for ") if elsewhere else ("", "choose ")
        raise BadTarget(f"{said} in {int(wrong.sum()):,} rows{of}", hint=f"{hint}{other}")


def labels_for(dataset: Dataset, task: Task) -> Labels:
    """The labels of another file for a task that is already known. Rows without a target are left out with a note."""
    column = dataset.column(task.target) if task.target in dataset.schema else None
    if column is None or not column.len() - column.null_count():
        raise BadTarget(
            f"there are no values of `{task.target}` to compare with", hint="give a file that has the answers"
        )
    kept = np.flatnonzero(column.is_not_null().to_numpy())
    y = encode_labels(column.drop_nulls().to_list(), task)
    if task.type == "regression":
        _check_sizes(y, task.target, of=ELSEWHERE)
    _check_amounts(task.metric, y, task.target, elsewhere=True)
    return Labels(task, y, kept, notes=_dropped_notes(task.target, dataset.rows - len(kept)))


def encode_labels(values: Sequence[object], task: Task) -> Labels1d:
    """The labels of another file as this task's numbers. Raises `BadTarget` naming labels that the task has not.

    `<=50K.` is taken as `<=50K` when only that is known.
    """
    if task.type == "regression":
        try:
            amounts = Number(Field(task.target, "number")).column(values)[:, 0]
        except BadValue as bad:
            raise bad.at(field=task.target, row=bad.row) from None
        return amounts
    codes = {label: code for code, label in enumerate(_label_texts(task.classes))}
    codes = {f"{label}.": code for label, code in codes.items()} | codes
    texts = _label_texts(values)
    unknown = Counter(text for text in texts if text not in codes)
    if unknown:
        named = ", ".join(shown(text) for text, _ in unknown.most_common(5))
        known = ", ".join(task.classes[:10]) + (", ..." if len(task.classes) > 10 else "")
        raise BadTarget(
            f"`{task.target}` holds {len(unknown):,} label{'s' * (len(unknown) > 1)} that the model does not know, in "
            f"{sum(unknown.values()):,} of {len(texts):,} rows: {named}" + (", ..." if len(unknown) > 5 else ""),
            hint=f"it knows: {known}",
        )
    return np.array([codes[text] for text in texts], dtype=np.int64)


def label_of(value: object) -> str:
    """The spelling of a label: as that of a category, and whole to where floats are. Raises `BadValue`."""
    text = text_of(value)
    long = _LONG.fullmatch(text)
    return long[1] if long and abs(int(long[1])) < WHOLE_MAX else text


def _type(field: Field, present: pl.Series, metric: str | None) -> tuple[TaskType, tuple[Event, ...]]:
    judged = tasks_of(metric) if metric else ()
    if judged == ("regression",):
        if field.kind != "number":
            hint = f"leave the metric out, or set the kind of `{field.name}` to number in the schema"
            raise BadTarget(f"`{metric}` judges numbers, and `{field.name}` holds labels", hint=hint)
        return "regression", ()
    if field.kind != "number":
        return "multiclass", ()
    distinct = present.n_unique()
    if judged:
        if judged == ("binary",) and distinct > WHOLE_CLASSES_MAX:
            said = f"`{metric}` judges two labels, and `{field.name}` holds {distinct:,} different numbers"
            raise BadTarget(said, hint="leave the metric out, or choose one of amounts, such as rmse")
        return "multiclass", ()
    whole = bool((present == present.floor()).all())
    if distinct <= 2:
        return "multiclass", ()
    if whole and distinct <= WHOLE_CLASSES_MAX and distinct <= 0.5 * len(present):
        said = f"`{field.name}` has only {distinct} different numbers: they are taken for labels; if they are amounts, "
        advice = 'ask for a metric of amounts (`--metric rmse`, or `metric="rmse"`)'
        return "multiclass", (Event("data.task", said + advice, facts={"distinct": distinct}),)
    return "regression", ()


def _check_metric(metric: str | None, kind: TaskType, target: str) -> None:
    if metric is not None and kind not in tasks_of(metric):
        fitting = choices(metric, (name for name, (_, kinds) in METRICS.items() if kind in kinds))
        raise BadTarget(f"`{metric}` does not judge a {kind} task such as `{target}`", hint=fitting)


def _amounts(present: pl.Series, field: Field) -> Floats:
    y = present.to_numpy().astype(np.float64)
    _check_sizes(y, field.name)
    if len(np.unique(y)) < 2:
        raise BadTarget(
            f"`{field.name}` is {y[0]:g} in every row", hint="there is nothing to learn; is it the right column?"
        )
    if (spread := float(np.ptp(y))) < SPREAD_MIN:
        raise BadTarget(f"`{field.name}` spreads over no more than {spread:.3g}", hint="predict it in a smaller unit")
    return y


def _check_sizes(y: Labels1d, target: str, *, of: str = "") -> None:
    """Raises `BadTarget` where no error could be told of such amounts. `of`: the rows, if not those to learn from."""
    if endless := int((~np.isfinite(y)).sum()):
        raise BadTarget(f"`{target}` is infinite in {endless:,} rows{of}", hint="correct or remove those rows")
    if float(np.abs(y).max()) > AMOUNT_MAX:
        hint = "correct or remove those rows" if of else "predict it in a larger unit, or its logarithm"
        raise BadTarget(f"`{target}` reaches beyond {AMOUNT_MAX:g}{of}", hint=hint)


def _label_texts(values: Sequence[object]) -> list[str]:
    memo: dict[object, str] = {}
    out: list[str] = []
    for value in values:
        key = (type(value), value)
        text = memo.get(key)
        if text is None:
            text = memo[key] = label_of(value)
        out.append(text)
    return out


def _without_dots(texts: list[str]) -> tuple[list[str], int]:
    """adult-test.csv writes `<=50K.` where adult-train.csv writes `<=50K`; only where both stand they are one."""
    distinct = set(texts)
    dotted = {text for text in distinct if text.endswith(".") and text[:-1] in distinct}
    if not dotted:
        return texts, 0
    return [text[:-1] if text in dotted else text for text in texts], sum(text in dotted for text in texts)


def _classes(texts: list[str], target: str) -> tuple[str, ...]:
    distinct = set(texts)
    if len(distinct) < 2:
        only = shown(next(iter(distinct)))
        raise BadTarget(f"`{target}` is {only} in every row", hint=_NOTHING_TO_LEARN)
    own = len(distinct) > _UNIQUE_SHARE_MAX * len(texts) and len(distinct) > 2
    if len(distinct) > CLASSES_MAX or own:
        most = f"at most {CLASSES_MAX:,} can be told apart" if not own else "most must stand in several"
        hint = "predict a column of few labels, or of numbers; rare labels can be joined into one"
        raise BadTarget(f"`{target}` has {len(distinct):,} different labels in {len(texts):,} rows; {most}", hint=hint)
    try:
        return tuple(sorted(distinct, key=lambda text: (float(text), text)))
    except ValueError:
        return tuple(sorted(distinct))


def _dropped_notes(target: str, rows: int) -> tuple[Event, ...]:
    if not rows:
        return ()
    message = f"1 row has no `{target}` and is" if rows == 1 else f"{rows:,} rows have no `{target}` and are"
    return (Event("data.no-target", f"{message} left out", "warning", {"rows": rows}),)


def _blank_notes(classes: tuple[str, ...], target: str) -> tuple[Event, ...]:
    """Labels that may mean that there is none. Beside a single other one they are what it is told from, and beside a
    plus `-` is a minus."""
    found = [label for label in classes if label.lower() in _MAYBE_NONE]
    if not found or len(classes) - len(found) < 2 or "+" in classes:
        return ()
    message = f"`{target}`: {', '.join(map(shown, found))} is taken for a label; where it means that there is none, "
    facts: dict[str, object] = {"labels": cast("list[object]", found)}
    return (Event("data.label-or-none", f"{message}leave the cell empty, and its row is left out", "warning", facts),)


def _alike_notes(classes: tuple[str, ...], target: str) -> tuple[Event, ...]:
    """Labels that a person would take for one."""
    found: dict[str, list[str]] = {}
    spelled = {label: _spelled(label) for label in classes}
    either = set(spelled.values()) <= TRUTHS.keys()
    for label, key in spelled.items():
        found.setdefault(TRUTHS[key] if either else key, []).append(label)
    alike = [labels for labels in found.values() if len(labels) > 1]
    if not alike:
        return ()
    named = "; ".join(", ".join(map(_told_apart(labels), labels)) for labels in alike[:5])
    message = f"`{target}`: labels that differ in case, blanks or spelling only count as different classes: {named}"
    return (Event("data.labels-alike", message, "warning", {"labels": cast("list[object]", alike[:20])}),)


def _spelled(label: str) -> str:
    """As a person reads it: of a number its amount."""
    said = " ".join(normalize("NFKC", label).casefold().split())
    try:
        return str(Decimal(said).normalize()) if said[-1:].isdigit() else said
    except InvalidOperation:
        return said


def _told_apart(labels: list[str]) -> Callable[[str], str]:
    """How labels are shown: those that look alike on a screen by their code points."""
    return ascii if len({normalize("NFC", label) for label in labels}) < len(labels) else shown


def _positive_notes(texts: list[str], task: Task) -> tuple[Event, ...]:
    """Where a metric judges the second label, and the first is the rare one that is probably meant."""
    if task.metric not in ONE_SIDED:
        return ()
    first, second = task.classes
    rows = texts.count(second)
    if rows <= MEANT_SHARE_MAX * len(texts):
        return ()
    message = (
        f"`{task.metric}` judges how {shown(second)} is found, which {rows / len(texts):.1%} of the rows are, not "
        f"{shown(first)}: the second label in their order counts; rename them, or choose {ONE_SIDED[task.metric]}"
    )
    return (Event("data.positive", message, "warning", {"positive": second, "rows": rows}),)


def _rare_notes(texts: list[str], target: str) -> tuple[Event, ...]:
    single = sorted(text for text, count in Counter(texts).items() if count < 2)
    if not single:
        return ()
    named = ", ".join(shown(text) for text in single[:5])
    which = "1 label stands" if len(single) == 1 else f"{len(single)} labels stand"
    message = f"`{target}`: {which} in one row only: {named}"
    return (Event("data.rare-labels", message, "warning", {"labels": cast("list[object]", single[:20])}),)
