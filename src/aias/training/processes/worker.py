"""A child process that fits units: orders on one pipe, events and results on another.

A fit that hangs, grows too large or crashes takes this process with it and nothing else. `forkserver.py` forks it.
"""

import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from aias.core.deadline import Deadline
from aias.core.errors import AiasError
from aias.core.events import Event
from aias.core.frames import framed, read_frame
from aias.training.ledger import Ledger
from aias.training.selection.configuration import Configuration, Unit
from aias.training.table import Table
from aias.training.unit import UnitFitter

HIDDEN: Final = ("graphviz", "matplotlib", "plotly", "pyarrow", "rich")
"""What the learners' libraries import where it is installed, and no fit needs. CatBoost cannot do without pandas."""

PLACE: Final = re.compile(
    r"^(?:\[[\d:]+\] )?\S+\.(?:cc|cpp|cu|h):\d+: | at \S+\.(?:cc|cpp|cu|h), line \d+ \.|\nStack trace:.*", re.DOTALL
)
"""Where in its source a library failed, as boosters say it: nobody here can look there."""


class Order(msgspec.Struct, frozen=True):
    """Fit this unit within `seconds` from when a worker is ready, and before `ends_at`, on the monotonic clock that all
    processes of a machine share."""

    configuration: Configuration
    fold: int
    seed: int
    seconds: float
    ends_at: float
    threads: int

    @property
    def unit(self) -> Unit:
        return Unit(self.configuration, self.fold, self.seed)


class Word(msgspec.Struct, frozen=True):
    """What a worker says. `kind`: started, event, done or failed; `message` is the error, `facts` the event's."""

    kind: str
    name: str = ""
    message: str = ""
    level: str = "info"
    facts: dict[str, Any] = {}


def work(folder: Path, orders: int, words: int) -> None:
    """Fit what comes on the descriptor `orders` until the trainer closes its end; say how it goes on `words`."""
    with os.fdopen(orders, "rb") as told, os.fdopen(words, "wb", buffering=0) as say:
        _say(say, Word("started", facts={"pid": os.getpid()}))
        fitter = UnitFitter(Table.load(folder / "table"), Ledger(folder))
        while (frame := read_frame(told)) is not None:
            obey(fitter, msgspec.msgpack.decode(frame, type=Order), lambda word: _say(say, word))


def hide() -> None:
    """From here on this process is without what it does not need: nobody finds it. None in `sys.modules` would hide it
    too, but scikit-learn takes what stands there for the library."""
    sys.meta_path[:] = map(_Without, sys.meta_path)


class _Without:
    """A finder of modules that finds none of `HIDDEN`."""

    def __init__(self, finder: Any) -> None:
        self._finder = finder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._finder, name)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        return None if name in HIDDEN else self._finder.find_spec(name, path, target)


def obey(fitter: UnitFitter, order: Order, say: Callable[[Word], None]) -> None:
    """Fit what is ordered and say how it goes; whatever happens, the last word is done or failed."""

    def watch(event: Event) -> None:
        say(Word("event", event.name, event.message, event.level, event.facts))

    deadline = Deadline.until(min(order.ends_at, time.monotonic() + order.seconds))
    try:
        entry = fitter.fit(order.unit, deadline=deadline, threads=order.threads, watch=watch)
    except MemoryError:
        say(Word("failed", "memory", "there was not enough memory"))
    except AiasError as fault:
        say(Word("failed", fault.code, fault.message))
    except Exception as fault:  # noqa: BLE001  a learner's library may raise anything; the parent goes on without it
        say(Word("failed", type(fault).__name__, PLACE.sub("", f"{fault}").strip()[:500]))
    else:
        say(Word("done", facts={"seconds": entry.seconds, "cut": entry.cut, "settings": entry.settings}))


def _say(words: BinaryIO, word: Word) -> None:
    words.write(framed(msgspec.msgpack.encode(word, enc_hook=_plain)))


def _plain(value: object) -> object:
    """NumPy's scalars as Python's."""
    return value.item() if hasattr(value, "item") else str(value)
