"""A published version → a smaller or faster one, proved no worse than asked; or the word that none is worth it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event as Stop
from typing import TYPE_CHECKING, Any, Final

from aias.client.model import WORK, Model, publish_one
from aias.core.deadline import Deadline
from aias.core.errors import NotFound
from aias.core.events import Watch, nobody
from aias.core.quantities import bytes_of, seconds_of, share_of

if TYPE_CHECKING:
    from aias.compress.frontier import Frontier

FRONTIERS: Final = "frontiers"
"""Where in the home the last frontier of each version is kept."""


@dataclass(frozen=True, slots=True)
class Compressed:
    """`model`: the new version, or the old one where nothing was worth it; `frontier.verdict` says why."""

    model: Model
    better: bool
    frontier: "Frontier"


def compress(
    model: Model, *, max_loss: float | str = "0.5%", latency: float | str | None = None, size: int | str | None = None,
    time: float | str = 60.0, data: Any = None, techniques: Sequence[str] = (), inline: bool = False,
    stop: Stop | None = None, watch: Watch = nobody,
) -> Compressed:  # fmt: skip
    """`data`: the rows it was trained on, where they are no longer where they were. Raises `OtherRows`, `UserError`."""
    from aias.compress.compress import Wanted
    from aias.compress.compress import compress as search
    from aias.training.parent import Parent, rows_of

    wanted = Wanted(
        share_of(max_loss), None if latency is None else 1e6 * seconds_of(latency),
        None if size is None else bytes_of(size),
    )  # fmt: skip
    deadline = Deadline.after(seconds_of(time))
    parent = Parent(model.ref, model.manifest, model.runtime, model.folder)
    dataset, test = rows_of(parent, data, watch=watch)
    outcome = search(
        parent, dataset, wanted, deadline=deadline, test=test, work=model.registry.home / WORK / model.version.name,
        number=model.version.number, techniques=techniques, inline=inline, stop=stop, watch=watch,
    )  # fmt: skip
    _keep(model, outcome.frontier)
    if outcome.trained is None:
        return Compressed(model, False, outcome.frontier)
    return Compressed(publish_one(model.registry, outcome.trained, watch=watch), True, outcome.frontier)


def frontier_of(model: Model) -> "Frontier":
    """What compressing this version last came to or, of a compressed one, what it comes from. Raises `NotFound`."""
    from aias.compress.frontier import FRONTIER, read_frontier

    for path in (_place(model), model.folder / FRONTIER):
        if path.is_file():
            return read_frontier(path.read_bytes())
    raise NotFound(f"{model.ref} has not been compressed yet", hint=f"aias compress {model.ref}")


def _place(model: Model) -> Path:
    return model.registry.home / FRONTIERS / f"{model.ref}.json"


def _keep(model: Model, frontier: "Frontier") -> None:
    """Whole or not at all."""
    place = _place(model)
    place.parent.mkdir(parents=True, exist_ok=True)
    beside = place.with_suffix(f".{os.getpid()}")
    beside.write_bytes(frontier.as_bytes())
    beside.replace(place)
