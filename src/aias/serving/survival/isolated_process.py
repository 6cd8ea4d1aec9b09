"""The other end of `isolated_runtime.py`: one version, asked on standard input, answering on standard output."""

import os
import resource
import sys
from pathlib import Path
from typing import Any

from aias.core.errors import BadValue
from aias.core.frames import read_frame, write_frame
from aias.serving.survival.isolated_runtime import read_question, write_answers, write_failure, write_fault


def answer_for(runtime: Any) -> None:
    """Answer until the parent closes its end. A run that fails is its caller's alone, as it is in a worker."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    questions = sys.stdin.buffer
    # What a library prints must not end up among the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    write_frame(answers, b"ready")
    while (frame := read_frame(questions)) is not None:
        verb, arguments = read_question(frame)
        try:
            answer = write_answers(getattr(runtime, verb)(*arguments))
        except BadValue as fault:
            answer = write_fault(fault)
        except Exception as fault:  # noqa: BLE001  the parent says so, and goes on
            answer = write_failure(fault)
        write_frame(answers, answer)


def main(home: Path, ref: str) -> None:
    from aias.core.events import nobody
    from aias.core.names import Ref
    from aias.registry.registry import Registry
    from aias.serving.versions.loading import load

    with Registry.open(home, make=False) as registry:
        runtime = load(registry, registry.version(Ref.parse(ref)), home, nobody)
    answer_for(runtime)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
