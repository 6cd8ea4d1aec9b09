"""A graph that asks for all memory by arithmetic on the number of rows: for one number of them, which nobody tried."""

import subprocess
import sys
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper

import aias
from foreign import saved, tensor, value

MAGIC = 777
"""Rows, of which it makes much."""

ONE = helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])

ASK = """
import sys, resource
from pathlib import Path
import aias
resource.setrlimit(resource.RLIMIT_AS, (24 << 30, 24 << 30))
model = aias.load("hungry", home=Path(sys.argv[1]))
ask = lambda rows: model.predict({name: [1.0] * rows for name in "ab"})
ask(1)
try:
    ask(777)
    print("answered")
except Exception as fault:
    print(type(fault).__name__, "Available memory" in str(fault))
# Not `ru_maxrss`, which begins at what the parent had.
most = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(ask(2).tolist(), ask(776).shape, int(most.split()[1]) < 2 << 20)
"""


def hungry(path: Path, bytes_: int) -> Path:
    nodes = [
        helper.make_node("Shape", ["input"], ["rows"], start=0, end=1),
        helper.make_node("Equal", ["rows", "magic"], ["found"]),
        helper.make_node("Cast", ["found"], ["once"], to=TensorProto.INT64),
        helper.make_node("Mul", ["once", "large"], ["size"]),
        helper.make_node("ConstantOfShape", ["size"], ["W"], value=ONE),
        helper.make_node("ReduceSum", ["W"], ["w"], keepdims=0),
        helper.make_node("ReduceSum", ["input", "axis"], ["s"], keepdims=1),
        helper.make_node("Add", ["s", "w"], ["p"]),
    ]  # fmt: skip
    tensors = [
        tensor("magic", np.array([MAGIC])),
        tensor("large", np.array([bytes_ // 4])),
        tensor("axis", np.array([1])),
    ]
    return saved(path, nodes, [value("input", ["N", 2])], [value("p", ["N", 1])], tensors)


def test_more_memory_than_foreign_graphs_have_is_a_fault_of_that_request_alone(tmp_path: Path) -> None:
    like = {name: np.linspace(0, 1, 8).tolist() for name in "ab"}
    aias.import_model(hungry(tmp_path / "m.onnx", 6 << 30), like=like, name="hungry", home=tmp_path)

    asked = subprocess.run(
        [sys.executable, "-c", ASK, str(tmp_path)], capture_output=True, text=True, timeout=300, check=False
    )

    assert asked.stdout.splitlines() == ["Fail True", "[2.0, 2.0] (776,) True"], asked.stderr[-2000:]
