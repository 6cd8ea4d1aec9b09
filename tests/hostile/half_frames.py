"""The other end of `IsolatedRuntime` that stops, or ends, at a bad moment; the one after it answers as it should."""

import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

from aias.core.frames import framed, read_frame, write_frame
from aias.runtimes.contract import Answers
from aias.serving.survival.isolated_runtime import write_answers

STOPS, ENDS, DEAF, STARTS = "stops", "ends", "deaf", "starts"
"""Amid its answer; the same; before it reads; before it is ready."""


def main(how: str, mark: Path) -> None:
    questions, answers, first = sys.stdin.buffer, sys.stdout.buffer, not mark.exists()
    mark.touch()
    if first and how == STARTS:
        os.kill(os.getpid(), signal.SIGSTOP)
    write_frame(answers, b"ready")
    if first and how == DEAF:
        os.kill(os.getpid(), signal.SIGSTOP)
    while read_frame(questions) is not None:
        answer = write_answers(Answers(["yes"], None))
        if first and how in (STOPS, ENDS):
            answers.write(framed(answer)[: -len(answer) // 2])
            answers.flush()
            stop(ends=how == ENDS)
        write_frame(answers, answer)


def stop(*, ends: bool) -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL if ends else signal.SIGSTOP)
    raise AssertionError


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
