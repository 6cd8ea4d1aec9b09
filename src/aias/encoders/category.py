"""Categories: 0 is missing, 1 is unseen or rare, 2 and up are known, most frequent first."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import NoneType
from typing import ClassVar, Final

import numpy as np

from aias.core.arrays import Floats
from aias.core.errors import BadValue, Damaged
from aias.core.limits import CATEGORIES_MAX
from aias.core.schema import Field, Kind

__all__ = ["Category"]

MISSING, OTHER, FIRST_KNOWN = 0.0, 1.0, 2

RARE_BELOW: Final = 2
"""A value seen once teaches nothing about itself; sharing a code, such values teach what an unseen one is like."""

RARE_FROM_ROWS: Final = 100
"""On fewer rows than this everything is rare, so nothing is."""

BOOLEANS: Final = (("true", "True", "TRUE"), ("false", "False", "FALSE"))

_WHOLE: Final = re.compile(r"([+-]?)0*([0-9]{1,15})\.0*")


class Category:
    """One category as the float of its code. `3`, `3.0`, `"3"` and `" 3.0 "` are the same category."""

    kind: ClassVar[Kind] = "category"
    version: ClassVar[int] = 1
    width = 1

    def __init__(self, field: Field, categories: Sequence[str]) -> None:
        self.categories = tuple(categories)
        self.size = FIRST_KNOWN + len(self.categories)
        self._missing = frozenset(field.missing) | {""}
        self._codes = {text: float(code) for code, text in enumerate(self.categories, FIRST_KNOWN)}
        for spelling in self._missing:
            self._codes[spelling] = MISSING
        self._true, self._false = (self._boolean(*spellings) for spellings in BOOLEANS)

    @classmethod
    def fit(cls, field: Field, values: Sequence[object]) -> "Category":
        missing = frozenset(field.missing) | {""}
        counts = Counter[str]()
        for value, count in _counted(values):
            if (text := text_of(value)) not in missing:
                counts[text] += count
        least = RARE_BELOW if len(values) >= RARE_FROM_ROWS else 1
        common = sorted((-count, text) for text, count in counts.items() if count >= least)
        return cls(field, [text for _, text in common[:CATEGORIES_MAX]])

    @classmethod
    def load(cls, field: Field, table: Mapping[str, object]) -> "Category":
        known = table.get("categories")
        good = isinstance(known, list) and all(isinstance(text, str) for text in known)
        if not good or not isinstance(known, list) or len(set(known)) != len(known) or len(known) > CATEGORIES_MAX:
            raise Damaged(f"the table of the category `{field.name}` should be a list of different texts")
        return cls(field, known)

    def table(self) -> dict[str, object]:
        return {"categories": list(self.categories)}

    def encode(self, value: object) -> float:
        if type(value) is str:
            code = self._codes.get(value)
            if code is not None:
                return code
        elif type(value) is bool:
            return self._true if value else self._false
        return self._codes.get(text_of(value), OTHER)

    def column(self, values: Sequence[object] | Floats) -> Floats:
        held: Sequence[object] = values.tolist() if isinstance(values, np.ndarray) else values
        if _of_texts(held):
            codes = {value: self.encode(value) for value in set(held)}
            return np.fromiter(map(codes.__getitem__, held), np.float64, len(held)).reshape(-1, 1)
        out = np.empty(len(held))  # (rows,)
        for row, value in enumerate(held):
            try:
                out[row] = self.encode(value)
            except BadValue as bad:
                raise BadValue(bad.message, row=row, hint=bad.hint) from None
        return out.reshape(-1, 1)  # (rows, 1)

    def _boolean(self, *spellings: str) -> float:
        """JSON's `true` is the category that a CSV may have spelt `True`, and the other way round."""
        code = next((self._codes[spelling] for spelling in spellings if spelling in self._codes), OTHER)
        self._codes |= {spelling: self._codes.get(spelling, code) for spelling in spellings}
        return code


def _counted(values: Sequence[object]) -> Iterable[tuple[object, int]]:
    """Different values, and how often each stands; one by one where `True`, `1` and `1.0` could be counted as one."""
    return Counter(values).items() if _of_texts(values) else ((value, 1) for value in values)


def _of_texts(values: Sequence[object]) -> bool:
    """Whether there is nothing but texts and missing values."""
    return set(map(type, values)) <= {str, NoneType}


def text_of(value: object) -> str:
    """The one spelling of a category; "" when the value is missing. Raises `BadValue` on lists and objects."""
    if isinstance(value, str):
        bare = value.strip()
        whole = _WHOLE.fullmatch(bare)
        return _whole(whole) if whole else bare
    if value is None:
        return ""
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float | np.floating):
        number = float(value)
        if number != number:  # NaN
            return ""
        return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)
    if isinstance(value, int | np.integer):
        if abs(int(value)) >= 10**300:  # Python itself refuses to print more than 4300 digits
            raise BadValue("a number of over 300 digits is not a category", hint="send a text, or null")
        return str(value)
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    raise BadValue(
        f"a value of type {type(value).__name__} is not a category",
        hint="send a text such as 'red', or null; of a list its JSON text",
    )


def _whole(parts: re.Match[str]) -> str:
    sign, digits = parts.groups()
    return f"-{digits}" if sign == "-" and digits != "0" else digits
