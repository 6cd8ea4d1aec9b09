"""The child of `sandbox.py`: foreign files are parsed here and nowhere else. Frames on standard input and output.

Memory, processor time and the size of what is written are bounded before anything is read.
"""

import math
import os
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec
import numpy as np

from aias.core.catalog import member
from aias.core.errors import AiasError
from aias.core.frames import read_frame, write_frame
from aias.importing.formats.contract import Foreign, Plan, UnfitModel, UnreadableModel, UnsafeModel, said

MEMORY_BYTES_MAX: Final = 8 << 30
"""Of addresses, of which libraries reserve far more than they use: CatBoost 2 GB with nothing loaded."""

DATA_BYTES_MAX: Final = 4 << 30
"""Of what is really written to. A file of 1 GB is read, parsed, written again and run in it."""

PROCESSOR_SECONDS_MAX: Final = 300

READ_SECONDS_MAX: Final = 30, 100
"""Of the processor, to read a file and to ask it for two rows: of any, and more for each GB beside it. What makes much
of few bytes is ended then; whole files of 1 GB take some 20 s."""

TRIED_ROWS: Final = (1, 3, 64, 4_096)
"""One, a few, what tells how long many take, and as many as go into a graph at once."""

MANY_ROWS: Final = 64
"""Of so many, a row takes as long as of more."""

TRIED_SECONDS_MAX: Final = 100.0
"""For as many, by what fewer took: the parent waits a little longer."""

WRITTEN_BYTES_MAX: Final = 1 << 30
"""CatBoost tells its trees through a file."""

HIDDEN: Final = (
    "sklearn", "pandas", "pyarrow", "matplotlib", "graphviz", "dask", "joblib", "psutil", "plotly", "IPython",
)  # fmt: skip
"""What these libraries import when it is there and do not need here: two seconds, and more code for a forged file."""

BY_ROWS: Final[dict[str, tuple[str, ...]]] = {"catboost": ("pandas",), "xgboost": ()}
"""Formats whose files do not hold the values of all categories, and are told those in the rows; and what their
libraries import for such rows all the same."""


def main() -> None:
    """Answer until the parent closes its end."""
    bound()
    sys.modules.update(dict.fromkeys(HIDDEN))  # type: ignore[arg-type]
    questions, words = sys.stdin.buffer, _own_output()
    foreign: Foreign | None = None
    while (frame := read_frame(questions)) is not None:
        verb, arguments = msgspec.msgpack.decode(frame)
        fault, found = {}, None
        try:
            if verb == "read":
                form, path, shown = arguments
                for name in BY_ROWS.get(form, ()):
                    sys.modules.pop(name, None)
                with _at_most(Path(path)):
                    foreign = member("importing.formats", form).read(Path(path), *([shown] if form in BY_ROWS else []))
                found = foreign.description
            else:
                assert foreign is not None, "a model is read before it is asked"
                found = _asked(foreign, verb, arguments)
        except MemoryError:
            message = f"it takes more than {DATA_BYTES_MAX >> 30} GB of memory"
            fault = UnsafeModel(message, hint="import a smaller one").as_dict()
        except AiasError as known:
            fault = known.as_dict()
        except Exception as unknown:  # noqa: BLE001  a library that reads a damaged file may raise anything
            message = f"it cannot be read: {type(unknown).__name__}: {unknown}"[:300]
            fault = UnreadableModel(message, hint="write it again from the library that made it").as_dict()
        write_frame(words, msgspec.msgpack.encode((fault, found)))


def bound() -> None:
    """From here on there are limits; who breaks them ends, and the parent says so."""
    for what, most in (
        (resource.RLIMIT_AS, MEMORY_BYTES_MAX), (resource.RLIMIT_DATA, DATA_BYTES_MAX),
        (resource.RLIMIT_CPU, PROCESSOR_SECONDS_MAX), (resource.RLIMIT_FSIZE, WRITTEN_BYTES_MAX),
        (resource.RLIMIT_CORE, 0),
    ):  # fmt: skip
        resource.setrlimit(what, (most, most))


@contextmanager
def _at_most(path: Path) -> Iterator[None]:
    """What takes more of the processor than such a file may ends here (`SIGXCPU`)."""
    least, more = READ_SECONDS_MAX
    try:
        held = sum(each.stat().st_size for each in path.parent.iterdir() if each.is_file())
    except OSError:  # a folder that may not be listed
        held = path.stat().st_size
    seconds = least + more * held / (1 << 30)
    soft, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (min(math.ceil(time.process_time() + seconds), hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def _asked(foreign: Foreign, verb: str, arguments: Any) -> Any:
    plan = msgspec.convert(arguments[0], Plan)
    if verb == "write":
        return _tried(foreign.write(plan), len(foreign.description.inputs))
    values = [each if isinstance(each, list) else np.frombuffer(each, "<f8") for each in arguments[1]]
    return said(*foreign.answer(values, plan))


def _tried(graph: bytes, width: int) -> bytes:
    """It is run here first: what takes too much for many rows takes it of this process. Raises `UnfitModel`."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    row_seconds = 0.0
    for rows in TRIED_ROWS:
        if (seconds := rows * row_seconds) > TRIED_SECONDS_MAX:
            raise UnfitModel(
                f"a row takes {row_seconds:.2g} s, {rows:,} at once would take {seconds:,.0f} s",
                hint="import a smaller one",
            )
        try:
            session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
            began = time.process_time()
            session.run(None, {"columns": np.zeros((rows, width))})
            # Of few rows each takes longer than of many.
            row_seconds = (time.process_time() - began) / rows if rows >= MANY_ROWS else 0.0
        except Exception as fault:  # noqa: BLE001  ONNX Runtime has no public base for its errors
            raise UnfitModel(
                f"what was made of it does not answer {rows} rows at once: {fault}"[:300],
                hint="export it with a free batch dimension, in inference mode",
            ) from None
    return graph


def _own_output() -> BinaryIO:
    """Standard output for frames alone: what libraries print there goes to standard error."""
    own = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return own


if __name__ == "__main__":
    main()
