"""The child of `sandbox.py`: foreign files are parsed here and nowhere else. Frames on standard input and output.

Memory, processor time and the size of what is written are bounded before anything is read.
"""

import os
import resource
import sys
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec
import numpy as np

from aias.core.catalog import member
from aias.core.errors import AiasError
from aias.importing.formats.contract import Foreign, Plan, UnfitModel, UnreadableModel, UnsafeModel, said

MEMORY_BYTES_MAX: Final = 8 << 30
"""Of addresses, of which libraries reserve far more than they use: CatBoost 2 GB with nothing loaded."""

DATA_BYTES_MAX: Final = 4 << 30
"""Of what is really written to. A file of 1 GB is read, parsed, written again and run in it."""

PROCESSOR_SECONDS_MAX: Final = 300

TRIED_ROWS: Final = (1, 3, 4_096)
"""One, a few, and as many as go into a graph at once."""

WRITTEN_BYTES_MAX: Final = 1 << 30
"""CatBoost tells its trees through a file."""

HIDDEN: Final = (
    "sklearn", "pandas", "pyarrow", "matplotlib", "graphviz", "dask", "joblib", "psutil", "plotly", "IPython",
)  # fmt: skip
"""What these libraries import when it is there and do not need here: two seconds, and more code for a forged file."""

BY_ROWS: Final[dict[str, tuple[str, ...]]] = {"catboost": ("pandas",), "xgboost": ()}
"""Formats whose files do not hold the values of all categories, and are told those in the rows; and what their
libraries import for such rows all the same."""

FRAME: Final = 8
"""Bytes that say how long a frame is."""


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
    for rows in TRIED_ROWS:
        try:
            session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
            session.run(None, {"columns": np.zeros((rows, width))})
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


def read_frame(stream: BinaryIO) -> bytes | None:
    """One frame, or None at the end of the stream."""
    head = stream.read(FRAME)
    if len(head) < FRAME:
        return None
    return stream.read(int.from_bytes(head, "little"))


def write_frame(stream: BinaryIO, body: bytes) -> None:
    stream.write(len(body).to_bytes(FRAME, "little") + body)
    stream.flush()


if __name__ == "__main__":
    main()
