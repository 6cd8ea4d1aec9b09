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
        whole = data and all(len(row) == len(names) for row in data)
        rows = [dict(zip(map(str, names), row, strict=True)) for row in data] if whole else []
        return (rows, "`columns` and their `data`") if rows else None
    lists = {name: value for name, value in found.items() if isinstance(value, list) and value}
    tables = {name: value for name, value in lists.items() if all(isinstance(each, dict) for each in value)}
    if len(tables) == 1:
        ((name, rows),) = tables.items()
        if len(rows) < 2 or not (name in {"data", "features"} or len(lists) == 1):
            return None
        return [{str(key): value for key, value in row.items()} for row in rows], f"the rows of `{name}`"
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
    inner = [each for each in found.values() if isinstance(each, dict)]
    if len(inner) < max(2, len(found)) or not inner[0] or any(each.keys() != inner[0].keys() for each in inner):
        return None
    if any(isinstance(value, dict | list) for each in inner for value in each.values()):
        return None
    keys = list(inner[0])
    counts_rows, counts_values = (all(str(key).isdecimal() for key in some) for some in (found, keys))
    if not counts_rows and not counts_values and max(len(found), len(keys)) < _ROWS_SURE:
        return None
    if (counts_rows and not counts_values) or (counts_rows == counts_values and len(found) > len(keys)):
        return [dict(each) for each in inner], "rows by their names"
    return [{name: each[key] for name, each in zip(found, inner, strict=True)} for key in keys], (
        "columns by the names of rows"
    )
