"""Which versions run apart, or not at all: what is decided, what is said of it, and that everybody is told."""

import time
from collections.abc import Callable

from aias.core.events import Event, Watch
from aias.serving.survival.crash_record import CrashRecord


class IsolationPolicy:
    """`tell` is called when something has changed."""

    def __init__(self, announce: Watch, *, tell: Callable[[], None]) -> None:
        self.crashes = CrashRecord()
        self._announce, self._tell = announce, tell

    def died(self, suspects: dict[str, float]) -> None:
        """Versions in whose runs a process has ended, and how much each is to blame."""
        apart, quarantined = self.crashes.apart, self.crashes.quarantined
        if not self.crashes.add(suspects, time.monotonic()):
            return
        self._tell()
        for version in sorted(self.crashes.quarantined - quarantined):
            said = f"{version} has ended its process several times, and is not run any more until it is released"
            self._announce(Event("serve.quarantined", said, "warning", {"version": version}))
        for version in sorted(self.crashes.apart - apart - self.crashes.quarantined):
            said = f"{version} has ended its process, and runs in one of its own until it is released"
            self._announce(Event("serve.apart", said, "warning", {"version": version}))

    def move(self, version: str, why: str) -> None:
        """A worker has measured that a version needs a process of its own."""
        if self.crashes.move(version):
            self._tell()
            said = f"{version} runs in a process of its own: {why}"
            self._announce(Event("serve.apart", said, "warning", {"version": version, "why": why}))

    def release(self, version: str) -> bool:
        """Somebody vouches for a version: one step back."""
        if not self.crashes.release(version, time.monotonic()):
            return False
        self._tell()
        how = "in a process of its own" if version in self.crashes.apart else "beside the others"
        said = f"{version} is released: it runs again, {how}"
        self._announce(
            Event("serve.released", said, facts={"version": version, "apart": version in self.crashes.apart})
        )
        return True
