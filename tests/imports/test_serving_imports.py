"""What a server does not load: nothing that trains, nothing that it has no use for, and no pickle."""

import subprocess
import sys

NEVER = {
    "polars",
    "pandas",
    "pyarrow",
    "sklearn",
    "scipy",
    "lightgbm",
    "onnx",
    "torch",
    "fastapi",
    "starlette",
    "pydantic",
    "joblib",
    "dill",
    "cloudpickle",
    "ray",
    "grpc",
    "google.protobuf",
    "opentelemetry",
    "rich",
    "aias.learners",
    "aias.features",
    "aias.training",
    "aias.graph",
    "aias.data",
}

SERVE_AND_ASK = """
import sys
from live_server import live_server
with live_server() as server:
    assert server.call("POST", "/predict/churn", [{"age": 50}]).status == 200
    assert server.call("POST", "/predict/churn", "age\\n50\\n", headers={"Content-Type": "text/csv"}).status == 200
    assert server.call("GET", "/metrics").status == 200
    import aias.runtimes.onnxruntime, aias.registry.registry
print("\\n".join(sys.modules))
"""


def test_a_server_that_has_answered_has_loaded_nothing_that_trains() -> None:
    path = [entry for entry in sys.path if entry]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {path!r}\n{SERVE_AND_ASK}"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert "aias.serving.gateway" in loaded
    assert not loaded & NEVER
