"""The parent of `process.py`: a foreign file is read by a process that may die of it.

with Sandbox() as box:
    description = box.read("lightgbm", path)
    graph = box.write(plan)
    scores, labels = box.answer(values, plan)
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec
import numpy as np

from aias.core.arrays import Floats
from aias.core.errors import AiasError, UserError
from aias.core.frames import TimeUp, TooLong, end, give_frame, take_frame
from aias.importing.formats.contract import (
    Description,
    Plan,
    Said,
    Shown,
    UnfitModel,
    UnreadableModel,
    UnsafeModel,
    Values,
)

SECONDS_MAX: Final = 120.0
"""For one question. A file of 1 GB is read in some 20 s; what takes longer never ends."""

PASSED_ON: Final = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "TMPDIR")
"""Of the environment: no key and no home."""

ANSWER_BYTES_MAX: Final = 2 << 30
"""A graph is one protobuf, and these hold 2 GB."""

KINDS: Final = {kind.code: kind for kind in (UnreadableModel, UnsafeModel, UnfitModel, UserError)}


class Sandbox:
    """One process for one file."""

    def __init__(self, *, seconds: float = SECONDS_MAX) -> None:
        self.seconds = seconds

    def __enter__(self) -> Self:
        kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "aias.importing.process"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, env=kept | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            start_new_session=True, bufsize=0,
        )  # fmt: skip
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        end(self._process)

    def read(self, form: str, path: Path, shown: Shown = ()) -> Description:
        """`shown`: what stands in the columns of the rows, for formats that keep no values of categories."""
        return msgspec.convert(self._ask("read", form, str(path.resolve()), shown), Description)

    def write(self, plan: Plan) -> bytes:
        found: bytes = self._ask("write", plan)
        return found

    def answer(self, values: Sequence[Values], plan: Plan) -> tuple[Floats, list[str] | None]:
        """(rows, outputs), and labels where the file tells any."""
        sent = [each if isinstance(each, list) else np.ascontiguousarray(each, "<f8").tobytes() for each in values]
        found = msgspec.convert(self._ask("answer", plan, sent), Said)
        rows = len(values[0]) if values else 0
        return np.frombuffer(found.scores, "<f8").reshape(rows, -1), found.labels

    def _ask(self, verb: str, *arguments: object) -> Any:
        until = time.monotonic() + self.seconds
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        answer = None
        try:
            with contextlib.suppress(OSError):
                give_frame(self._process.stdin, msgspec.msgpack.encode((verb, arguments)), until=until)
                answer = take_frame(self._process.stdout, until=until, bytes_max=ANSWER_BYTES_MAX)
        except TimeUp:
            raise UnsafeModel(
                f"it was not done after {self.seconds:g} s",
                hint="what takes so long for some rows cannot be served: export it without loops",
            ) from None
        except TooLong as long:
            raise UnsafeModel(f"it becomes {long.size:,} bytes", hint=f"{ANSWER_BYTES_MAX:,} are the most") from None
        if answer is None:
            raise self._died()
        fault, found = msgspec.msgpack.decode(answer)
        if fault:
            kind = KINDS.get(fault["code"], UserError)
            raise kind(fault["message"], hint=fault.get("hint", ""))
        return found

    def _died(self) -> AiasError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(2)
        status = self._process.poll()
        if status == -signal.SIGXCPU:
            return UnsafeModel(
                "reading it takes far longer than a file of its size should",
                hint="export it again, with its constants folded",
            )
        why = f"signal {-status}" if status is not None and status < 0 else f"status {status}"
        return UnsafeModel(
            f"the process that read it ended ({why}): it is damaged, forged, or takes too much memory",
            hint="write the file again from the library that made it",
        )
