"""What columns are called that have no name of their own."""

from collections.abc import Sequence

from aias.core.events import Event
from aias.data.readers.contract import noted


def unique_names(raw: Sequence[str], where: str) -> tuple[list[str], tuple[Event, ...]]:
    """Empty names become `c<position>`, repeated ones get a number; both are noted, with `where` they are."""
    taken = {name for name in raw if name}
    seen: set[str] = set()
    names: list[str] = []
    notes: list[Event] = []
    for position, name in enumerate(raw):
        given = name or f"c{position}"
        number = 2
        while given in seen or (not name and given in taken):
            given, number = f"{name or f'c{position}'}_{number}", number + 1
        if given != name:
            was = f"a second column called `{name}`" if name else f"column {position + 1} has no name; it"
            notes.append(noted(f"{where}: {was} is now called `{given}`"))
        seen.add(given)
        names.append(given)
    return names, tuple(notes)
