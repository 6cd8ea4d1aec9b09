"""Candidates are timed and judged by the engine that would answer for them where they are served."""

import time
from collections.abc import Mapping
from dataclasses import replace

from aias.compress.techniques.contract import Made
from aias.compress.trial import Trial
from aias.core.errors import UserError
from aias.core.events import Watch
from aias.runtimes.engine_choice import OURS, choose, installed
from aias.runtimes.onnxruntime import MODEL, OnnxRuntime


def as_served(trial: Trial, runtime: OnnxRuntime, files: Mapping[str, bytes], made: Made, *, watch: Watch) -> None:
    """Choose its engine, as loading it to be served does, and note which and how long that took. Nothing of it is kept
    on the disk: few candidates are published. Raises `UserError` where none computes in the precision it is made for.
    """
    began = time.monotonic()
    # Why an engine does not answer for one of many candidates is no warning: it is timed with ONNX Runtime.
    found = choose(runtime, lambda: files[MODEL], cache=None, watch=lambda event: watch(replace(event, level="debug")))
    trial.engine, trial.engine_seconds = other(runtime), time.monotonic() - began
    if made.precision and found.engine == OURS:
        raise UserError(f"no engine computes it in {made.precision}: {found.reason}")


def other(runtime: OnnxRuntime) -> str:
    """The engine that answers; empty for ONNX Runtime."""
    return "" if runtime.session.engine == OURS else runtime.session.engine


def engines(parent: OnnxRuntime) -> tuple[object, ...]:
    """What decides how fast candidates seem beside a parent: who answers for that, and who might for them."""
    return (other(parent), installed())
