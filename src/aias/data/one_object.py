"""One JSON object that is a table, as programs write them that have all of it at once: columns, or rows by a name."""

from collections.abc import Mapping
from typing import Final

Row = dict[str, object]

_ROWS_SURE: Final = 10
"""So many objects of the same names are rows, or values of a column, even if nothing counts them."""


def rows_of(found: Mapping[str, object]) -> tuple[list[Row], str] | None:
    """The rows that the object holds, and how; None where it is a row itself.

    Known is what pandas' `to_json` writes (`columns`, `index`, `split`, `table`, `list`), one list of objects among
    other things, as in answers of services and in GeoJSON.
    """
    names, data = found.get("columns"), found.get("data")
    if isinstance(names, list) and isinstance(data, list) and all(isinstance(row, list) for row in data):
        if data and all(len(row) == len(names) for row in data):
            return [dict(zip(map(str, names), row, strict=True)) for row in data], "`columns` and their `data`"
        return None
    lists = {name: value for name, value in found.items() if isinstance(value, list) and value}
    tables = {name: value for name, value in lists.items() if all(isinstance(each, dict) for each in value)}
    if len(tables) == 1:
        (name,) = tables
        rows = tables[name]
        return (
            ([{str(key): value for key, value in row.items()} for row in rows], f"the rows of `{name}`")
            if (len(rows) > 1 and (name in {"data", "features"} or len(lists) == 1))
            else None
        )
    if lists and len(lists) == len(found):
        return _of_lists(lists)
    return _of_objects(found)


def _of_lists(lists: Mapping[str, list[object]]) -> tuple[list[Row], str] | None:
    heights = {len(column) for column in lists.values()}
    plain = not any(isinstance(value, dict | list) for column in lists.values() for value in column)
    if len(heights) != 1 or heights == {1} or not plain:
        return None
    return [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)], "lists of columns"


def _of_objects(found: Mapping[str, object]) -> tuple[list[Row], str] | None:
    """Objects of the same names: each a row, or each a column."""
    inner = list(found.values())
    first = inner[0] if inner else None
    if not isinstance(first, dict) or len(first) * len(inner) < 2 * max(len(first), 1):
        return None
    if not all(isinstance(each, dict) and each.keys() == first.keys() for each in inner):
        return None
    if any(isinstance(value, dict | list) for each in inner if isinstance(each, dict) for value in each.values()):
        return None
    counts_rows, counts_values = (all(str(key).isdecimal() for key in keys) for keys in (found, first))
    if not counts_rows and not counts_values and max(len(found), len(first)) < _ROWS_SURE:
        return None
    if (counts_rows and not counts_values) or (counts_rows == counts_values and len(found) > len(first)):
        return [dict(each) for each in inner if isinstance(each, dict)], "rows by their names"
    columns = {name: each for name, each in found.items() if isinstance(each, dict)}
    return [{name: each[key] for name, each in columns.items()} for key in first], "columns by the names of rows"
