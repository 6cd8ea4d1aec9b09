"""Who listens: what signals mean (at SIGHUP a terminal is gone, or the server is to be renewed, where it has none or
has it still), and whether a message can be left."""

import os
import select
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Literal


def is_heard(descriptor: int, seconds: float = 0.0) -> bool:
    """Whether what is written there need not wait for its reader, at the latest after so many seconds."""
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(1_000 * seconds))


@contextmanager
def signals(*, stop: Callable[[], None], renew: Callable[[], None]) -> Iterator[None]:
    """Hear them within the block; outside the main thread nobody can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    terminal = Terminal()
    tell: dict[str, Callable[[], None]] = {"renew": renew, "stop": stop, "nothing": lambda: None}
    before = {each: signal.signal(each, lambda *_: stop()) for each in (signal.SIGTERM, signal.SIGINT)}
    before[signal.SIGHUP] = signal.signal(signal.SIGHUP, lambda *_: tell[terminal.meaning()]())
    try:
        yield
    finally:
        terminal.close()
        for each, handler in before.items():
            signal.signal(each, handler)


class Terminal:
    """The terminal that this process was started from, if it was. Make one before SIGHUP gets its handler."""

    def __init__(self) -> None:
        self._may_go = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN  # `nohup`
        self._open: int | None = None
        with suppress(OSError):
            self._open = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)

    def meaning(self) -> Literal["renew", "stop", "nothing"]:
        """Of a SIGHUP that has come now. The kernel takes the terminal away first, and then tells of it."""
        if not self._has_gone():
            return "renew"
        self.close()
        return "nothing" if self._may_go else "stop"

    def close(self) -> None:
        held, self._open = self._open, None
        if held is not None:
            os.close(held)

    def _has_gone(self) -> bool:
        if self._open is None:
            return False
        poll = select.poll()
        poll.register(self._open, 0)
        return any(what & select.POLLHUP for _, what in poll.poll(0))
