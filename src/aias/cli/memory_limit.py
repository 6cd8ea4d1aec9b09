"""Where `ulimit -v` bounds memory, a library that gets none ends its process there and then: a parent that needs hardly
any lives to tell of it."""

import ctypes
import errno
import os
import resource
import signal
from collections.abc import Callable
from typing import Final

from aias.core.errors import OutOfMemory

_PR_SET_PDEATHSIG: Final = 1
"""Of `prctl(2)`: the signal that comes when the parent is gone."""

_ENDS: Final = (-signal.SIGABRT, -signal.SIGSEGV, -signal.SIGTRAP)
"""How processes end that got no memory: Rust aborts, others write where nothing is."""

_PASSED: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What is sent to the parent is meant for its child."""

_SAID: Final = ("can't start new thread", "failed to map segment", "Cannot allocate memory", "bad_alloc")


def out_of_memory() -> OutOfMemory:
    return OutOfMemory(
        "there was not enough memory",
        hint="give fewer rows or columns, or allow more: `ulimit -v`, the container's",
    )


def is_short_of_memory(fault: Exception) -> bool:
    """Libraries say it in many ways."""
    said = f"{fault}"
    return (
        isinstance(fault, MemoryError)
        or getattr(fault, "errno", None) == errno.ENOMEM
        or any(each in said for each in _SAID)
    )


def in_child(run: Callable[[], int]) -> int:
    """The status of `run`, in a child process if memory is bounded. Raises `OutOfMemory` when that was its end."""
    if resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY:
        return run()
    parent = os.getpid()
    signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED)  # until it is clear whose they are
    child = os.fork()
    if not child:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED)
        os.setpgid(0, 0)  # Ctrl-C comes once, by the parent
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        os.environ.setdefault("RUST_BACKTRACE", "0")
        return run() if os.getppid() == parent else 1
    for each in _PASSED:
        signal.signal(each, lambda number, _frame: os.kill(child, number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status in _ENDS:
        raise out_of_memory()
    return status if status >= 0 else 128 - status
