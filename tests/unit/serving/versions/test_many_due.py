"""Of thousands of endpoints few are loaded at the start, and the others put off in one step."""

from typing import Any

from aias.core.events import nobody
from aias.serving.observability.metrics import Metrics
from aias.serving.versions.residency import AT_START_MAX
from aias.serving.versions.router import Router
from clock import Clock
from live_server import Rule, Shelf


def test_thousands_are_put_in_order_once_and_what_is_due_of_them_is_never_changed_by_two_at_once() -> None:
    ranked, unlocked = list[str](), list[frozenset[str]]()

    class Watched(Router):
        def _rank(self, name: str) -> tuple[bool, int, float]:
            ranked.append(name)
            return super()._rank(name)

        def __setattr__(self, name: str, value: Any) -> None:
            if name == "due" and hasattr(self, "_changing") and not self._changing._is_owned():  # type: ignore[attr-defined]
                unlocked.append(value)
            super().__setattr__(name, value)

    shelf, steps = Shelf(), 0
    for number in range(1_000):
        shelf.deploy(f"e{number}", number + 1, Rule())
    table = Watched(shelf, shelf.load, metrics=Metrics(), watch=nobody, clock=Clock())
    table.follow()
    table._at_start = {*table.due}
    while table.load_next():
        steps += 1

    assert (len(table.loaded()), steps, table.due, unlocked) == (AT_START_MAX, AT_START_MAX + 1, frozenset(), [])
    assert len(ranked) <= 2 * 1_000
