"""What is deployed is followed: when somebody says that it has changed, and looked at every so often all the same.

One thread follows, and tells how trials fare: it waits for no load. Others load what is due by that.
"""

import contextlib
import threading
import time
from pathlib import Path
from typing import Final

from aias.core.events import Event, Watch
from aias.core.limits import LOADS_MAX
from aias.database.followers import ChangeListener, Waiter
from aias.serving.versions.router import Router

SETTLE_SECONDS: Final = 1.0
"""Small models are in memory by then. For a larger one, in whose run a worker has died, those wait that ask it, and
not by its neighbours' callers."""


class Following:
    """`router` follows every so many `seconds`, and at once when whoever changes a `home` says so, from `start` to
    `stop`. `open` it before the router looks for the first time: of what changes later it is told."""

    def __init__(self, router: Router, *, watch: Watch, seconds: float, home: Path | None = None) -> None:
        self._router, self._watch, self._seconds = router, watch, seconds
        self._listener = None if home is None else ChangeListener(home)
        self._asked: list[Waiter] = []
        self._is_to_stop, self._changing, self._told = False, threading.Lock(), ""
        self._wake, self._work = threading.Event(), threading.Event()
        self._threads = [threading.Thread(target=self._run, name="aias-router")]
        self._threads += [threading.Thread(target=self._load, name="aias-loads") for _ in range(LOADS_MAX)]
        self._first_loads = threading.Thread(target=self._load_first, name="aias-first-loads")

    def open(self) -> None:
        if self._listener is None:
            return
        try:
            self._listener.open()
        except OSError as fault:
            said = f"nobody can say that something has changed, which is seen within {self._seconds:g} s: {fault}"
            self._watch(Event("serve.deaf", said, "warning"))
            return
        self._threads.append(threading.Thread(target=self._listener.hear, args=(self._hear,), name="aias-changes"))

    def start(self) -> None:
        for each in self._threads:
            each.start()

    def begin(self, seconds: float) -> None:
        """The first look. What it loads is waited for so long, and goes on: it may never end. Raises whatever a
        database does."""
        self._router.follow()
        self._first_loads.start()
        self._first_loads.join(seconds)

    def settle(self) -> None:
        """Wait a moment for what the first look has left to be loaded, and no longer: that may never end."""
        end = time.monotonic() + SETTLE_SECONDS
        while self._router.due and time.monotonic() < end:
            time.sleep(0.005)

    def stop(self) -> None:
        """What is being loaded is waited for: a process that ends amid it is aborted."""
        self._is_to_stop = True
        self._wake.set()
        self._work.set()
        if self._listener is not None:
            self._listener.close()
        for each in (*self._threads, self._first_loads):
            if each.ident is not None:
                each.join()
        for asked in self._taken():
            asked.leave()

    def _hear(self, asked: Waiter) -> None:
        """Keys are known at once, also while a model is being loaded."""
        if asked.what == "keys":
            # Whatever the database does; who refreshes says so.
            with contextlib.suppress(Exception):
                self._router.look()
                return asked.tell()
        with self._changing:
            self._asked.append(asked)
        return self._wake.set()

    def _taken(self) -> list[Waiter]:
        with self._changing:
            taken, self._asked = self._asked, []
        return taken

    def _run(self) -> None:
        router = self._router
        while not self._is_to_stop:
            self._wake.wait(self._seconds)
            self._wake.clear()
            asked = self._taken()
            try:
                router.follow()
                if router.stage.report():
                    router.follow()
                due, waiting = router.due, asked
                asked = [each for each in waiting if each.name in due or (due and not each.name)]
                for each in waiting:
                    if each not in asked:
                        each.tell()
                self._told = ""
            except Exception as fault:  # noqa: BLE001  whatever a disk or a database does, what is loaded goes on
                self._tell(fault)
            # Who could not be told waits for the next time.
            with self._changing:
                self._asked = asked + self._asked
            self._work.set()

    def _load_first(self) -> None:
        try:
            self._router.refresh(stops=lambda: self._is_to_stop)
        except Exception as fault:  # noqa: BLE001  what is due stays so
            self._tell(fault)

    def _load(self) -> None:
        while not self._is_to_stop:
            # Before it looks: what becomes due meanwhile is looked at again.
            self._work.clear()
            try:
                more = self._router.load_next()
            except Exception as fault:  # noqa: BLE001  the same
                self._tell(fault)
                more = False
            if more:
                self._wake.set()
            else:
                self._work.wait(self._seconds)

    def _tell(self, fault: Exception) -> None:
        message = f"cannot see what is deployed: {fault}"
        # What stays broken over a weekend should not fill the disk with its log too.
        if message != self._told:
            self._watch(Event("serve.refresh-failed", message, "warning"))
        self._told = message
