"""A version as this host would serve it, to be timed."""

from copy import copy
from typing import TYPE_CHECKING

from aias.core.events import Watch

if TYPE_CHECKING:
    from aias.client.model import Model
    from aias.runtimes.onnxruntime import OnnxRuntime


def as_served(model: "Model", *, watch: Watch) -> "OnnxRuntime":
    """Answered by the engine that answers for it when it is served here; the model's own runtime stays as it is, and
    may have had another engine already. Raises `Damaged`."""
    from aias.runtimes.engine_choice import OURS, choose_at
    from aias.runtimes.onnxruntime import OnnxRuntime

    fresh = model.runtime.session.engine == OURS
    runtime = copy(model.runtime) if fresh else OnnxRuntime.load(model.folder, model.manifest)
    runtime.manifest = model.manifest  # as sealed, by which a choice is kept
    choose_at(model.registry.home, runtime, model.folder, model.manifest, watch=watch)
    return runtime
