"""NVIDIA Triton from the wheel of `nvidia-pytriton`: the server itself, with its Python backend, for the wheel has no
other. Writes its model repository down, and becomes it."""

import os
import sys
from pathlib import Path

import pytriton

CONFIG = """
name: "trees"
backend: "python"
max_batch_size: 0
input [{ name: "columns" data_type: TYPE_FP64 dims: [-1, 14] }]
output [{ name: "probabilities" data_type: TYPE_FP32 dims: [-1, 2] }]
instance_group [{ count: 1 kind: KIND_CPU }]
"""

MODEL = """
import sys
sys.path[:0] = {path!r}
import triton_python_backend_utils as triton
from graph import probabilities


class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(each) for each in requests]

    def answer(self, request):
        columns = triton.get_input_tensor_by_name(request, "columns").as_numpy()
        return triton.InferenceResponse([triton.Tensor("probabilities", probabilities(columns))])
"""


def main(port: str, folder: str) -> None:
    server = Path(pytriton.__file__).parent / "tritonserver"
    version = Path(folder, "repository", "trees", "1")
    version.mkdir(parents=True)
    (version.parent / "config.pbtxt").write_text(CONFIG)
    (version / "model.py").write_text(MODEL.format(path=[each for each in sys.path if each]))
    backends = Path(folder, "backends")
    backends.mkdir()
    python = backends / "python"
    python.mkdir()
    for each in (server / "backends" / "python").iterdir():
        (python / each.name).symlink_to(each)
    stub = server / "python_backend_stubs" / "3.11" / "triton_python_backend_stub"
    (python / stub.name).unlink(missing_ok=True)
    (python / stub.name).symlink_to(stub)
    command = [
        server / "bin" / "tritonserver", "--model-repository", version.parents[1], "--backend-directory", backends,
        "--http-address=127.0.0.1", f"--http-port={port}", "--allow-grpc=false", "--allow-metrics=false",
        "--log-verbose=0", "--http-thread-count=1",
    ]  # fmt: skip
    os.execv(command[0], [str(each) for each in command])


if __name__ == "__main__":
    main(*sys.argv[1:])
