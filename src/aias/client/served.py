"""A version as this host would serve it, to be timed."""

from copy import copy
from functools import partial
from typing import TYPE_CHECKING

from aias.core.events import Watch

if TYPE_CHECKING:
    from aias.client.model import Model
    from aias.runtimes.onnxruntime import OnnxRuntime


def as_served(model: "Model", *, watch: Watch) -> "OnnxRuntime":
    """Answered by the engine that answers for it when it is served here; the model's own runtime stays as it is, and
    may have had another engine already. Raises `Damaged`."""
    from aias.runtimes.engine_choice import CACHE, OURS, choose
    from aias.runtimes.onnxruntime import OnnxRuntime, sealed_graph

    fresh = model.runtime.session.engine == OURS
    runtime = copy(model.runtime) if fresh else OnnxRuntime.load(model.folder, model.manifest)
    runtime.manifest = model.manifest  # as sealed, by which a choice is kept
    graph = partial(sealed_graph, model.folder, model.manifest)
    choose(runtime, graph, cache=model.registry.home / CACHE, watch=watch)
    return runtime
