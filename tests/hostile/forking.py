"""Forks a child for each line on standard input, and says what becomes of it."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from aias.core import failpoints


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def fork_for_each_line(work: Callable[[Path, int, int], None]) -> None:
    """A line is `home failpoint first-seed rounds`; `-` arms no step."""
    for line in sys.stdin:
        home, step, seed, rounds = line.split()
        child = os.fork()
        if child == 0:
            failpoints.arm("" if step == "-" else step)
            try:
                say("pid", os.getpid())
                work(Path(home), int(seed), int(rounds))
            except BaseException as fault:
                say("fault", type(fault).__name__, fault)
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        say("gone", os.waitstatus_to_exitcode(status))
