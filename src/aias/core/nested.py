"""Objects within a row → fields of their own, `address.city`: the same of files and of requests."""

from collections.abc import Iterable, Mapping
from typing import Final

from aias.core.errors import BadValue

LEVELS_MAX: Final = 4
"""Of objects within each other, with the row: `a.b.c.d`. What stands deeper is no value of a table."""

JOINT: Final = "."


def is_nested(row: Mapping[str, object]) -> bool:
    return any(isinstance(value, dict) for value in row.values())


def flat(row: Mapping[str, object], absent: frozenset[str] = frozenset()) -> dict[str, object]:
    """The row without objects, but for empty ones and those below `LEVELS_MAX`. What is null or empty and of a name of
    `absent` is an object that is not there, and is left out. Raises `BadValue` where two values have one name."""
    found: dict[str, object] = {}
    _put(row, "", LEVELS_MAX, found)
    return {name: value for name, value in found.items() if name not in absent or not is_nothing(value)}


def is_nothing(value: object) -> bool:
    """Null, or an empty object."""
    return value is None or (isinstance(value, dict) and not value)


def parents(names: Iterable[str]) -> frozenset[str]:
    """Whatever would be an object in a row that had fields of these names: `address` of `address.city`."""
    return frozenset(name[:at] for name in names for at, char in enumerate(name) if char == JOINT)


def _put(row: Mapping[str, object], before: str, levels: int, found: dict[str, object]) -> None:
    for own, value in row.items():
        name = f"{before}{own}"
        if isinstance(value, dict) and value and levels > 1:
            _put(value, f"{name}{JOINT}", levels - 1, found)
        elif name in found:
            raise BadValue("it comes twice, by itself and within an object", field=name, hint="give it once")
        else:
            found[name] = value
