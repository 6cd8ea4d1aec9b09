"""How much the rows of each class count: as it is asked for, and for each row."""

from collections.abc import Mapping
from numbers import Real
from typing import Any, Final

import numpy as np

from aias.core.arrays import Floats
from aias.core.errors import BadValue, UserError, shown
from aias.core.task import Task
from aias.data.target import label_of

ClassWeights = str | dict[str, float] | None
"""`balanced`, or how much the rows of some classes count."""

WEIGHT_MIN: Final = 1e-6
WEIGHT_MAX: Final = 1e6
"""Beyond, the rows of other classes are lost in rounding."""

_HINT: Final = f"`balanced`, or for some of the classes a number from {WEIGHT_MIN:g} to {WEIGHT_MAX:g}"


def checked(wanted: Any) -> ClassWeights:
    """By the spelling of labels, so that 1, 1.0 and `1` are one. Raises `UserError` for what cannot be meant."""
    if wanted is None or (isinstance(wanted, str) and wanted == "balanced"):
        return wanted
    if not isinstance(wanted, Mapping):
        raise _refused(shown(wanted))
    found: dict[str, float] = {}
    for label, weight in wanted.items():
        try:
            spelled = label_of(label)
        except BadValue:
            raise _refused(f"{shown(label)}, which is no label,") from None
        if isinstance(weight, bool | np.bool_) or not isinstance(weight, Real):
            raise _refused(f"{shown(spelled)}: {shown(weight)}")
        if not WEIGHT_MIN <= float(weight) <= WEIGHT_MAX:
            raise _refused(f"{shown(spelled)}: {float(weight):g}")
        if spelled in found:
            raise _refused(f"two numbers for {shown(spelled)}")
        found[spelled] = float(weight)
    if not found:
        raise _refused("no numbers at all")
    return found


def from_text(text: str) -> ClassWeights:
    """`balanced`, or `yes=5,no=1`. Raises `UserError`."""
    if text == "balanced":
        return text
    pairs = [part.rpartition("=") for part in text.split(",")]
    try:
        numbers = [float(number) for _, _, number in pairs]
    except ValueError:
        raise _refused(shown(text)) from None
    labels = [label.strip() for label, _, _ in pairs]
    if not all(labels) or len(set(labels)) < len(labels):
        raise _refused(shown(text))
    return checked(dict(zip(labels, numbers, strict=True)))


def row_weights(y: Any, task: Task, wanted: Any) -> Floats | None:
    """For each row the weight of its class, of mean 1."""
    wanted = checked(wanted)
    if wanted is None:
        return None
    if not task.classes:
        raise UserError("class weights are for classes; this is a regression", hint="leave them out")
    if wanted == "balanced":
        each = 1 / np.maximum(np.bincount(y, minlength=len(task.classes)), 1)
    else:
        assert isinstance(wanted, dict)
        if unknown := [label for label in wanted if label not in task.classes]:
            known = ", ".join(task.classes[:20])
            raise UserError(f"`{unknown[0]}` is no class of `{task.target}`", hint=f"its classes are: {known}")
        each = np.array([wanted.get(label, 1.0) for label in task.classes])
    weights = each[y]
    return np.asarray(weights / weights.mean())


def _refused(what: str) -> UserError:
    return UserError(f"{what} cannot be class weights", hint=_HINT)
