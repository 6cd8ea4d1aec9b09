"""OpenVINO on one thread: reads the sealed graph itself, and is faster than ONNX Runtime at some large ones.

An engine beside ONNX Runtime's, not instead of it: what it cannot read, or answers otherwise, stays where it was
(`runtimes.engine_choice`).
"""

import importlib.metadata
import importlib.util
from collections.abc import Mapping, Sequence
from queue import Empty, SimpleQueue
from typing import Any, ClassVar, Final

__all__ = ["OpenVino"]

OPTIONS: Final = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "ENABLE_CPU_PINNING": False}
"""No neighbour is disturbed."""

PRECISIONS: Final = {"": "f32", "bfloat16": "bf16"}
"""Said aloud: where a processor has bfloat16, OpenVINO would compute in it unasked."""


class OpenVino:
    """Safe to call from several threads, which take turns."""

    name: ClassVar[str] = "openvino"

    def __init__(self, model: bytes, *, output: str, precision: str = "") -> None:
        import openvino

        core = openvino.Core()
        read = core.read_model(model)
        for each in read.get_results():
            if output not in each.input_value(0).get_names():
                read.remove_result(each)
        self._compiled = core.compile_model(read, "CPU", OPTIONS | {"INFERENCE_PRECISION_HINT": PRECISIONS[precision]})
        # What the one output does not hang on is no input any more.
        self._read = frozenset(name for each in self._compiled.inputs for name in each.get_names())
        self._idle: SimpleQueue[Any] = SimpleQueue()

    @classmethod
    def version(cls) -> str:
        """Empty where it is not installed."""
        return importlib.metadata.version("openvino") if importlib.util.find_spec("openvino") else ""

    @classmethod
    def computes(cls, precision: str) -> bool:
        """Whether this processor gains by it."""
        import openvino

        capable = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        return PRECISIONS[precision].upper() in capable

    def run(self, _outputs: Sequence[str], feeds: Mapping[str, Any], _options: None = None) -> list[Any]:
        """As ONNX Runtime's sessions are called; the one output is that which it was made for."""
        try:
            request = self._idle.get_nowait()
        except Empty:
            request = self._compiled.create_infer_request()
        try:
            read = {name: value for name, value in feeds.items() if name in self._read}
            return [request.infer(read, share_inputs=True)[0]]
        finally:
            self._idle.put(request)
