"""Files that nobody should have sent: each is refused in words, and nothing is published."""

import bz2
import gzip
import io
import lzma
import os
import signal
import subprocess
import sys
import tracemalloc
import zipfile
import zlib
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import aias
from aias.core.errors import AiasError
from aias.graph.builder import Builder
from aias.importing import process
from aias.importing.formats.contract import UnfitModel, UnreadableModel, UnsafeModel
from aias.importing.safety import loaded
from aias.importing.sandbox import Sandbox
from foreign import WEIGHTS, rows, saved, softmax_model, tensor, value

MODELS = Path(__file__).resolve().parents[3] / "shared" / "data" / "models"


def refused(path: Path, home: Path, kind: type[AiasError] = UnreadableModel) -> AiasError:
    with pytest.raises(kind) as fault:
        aias.import_model(path, like=rows(4), home=home)
    assert fault.value.hint and not aias.models(home=home)
    return fault.value


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.onnx", b""), ("zeros.onnx", b"\0" * 64), ("words.onnx", b"hello, I am a model"),
        ("model.onnx", b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00."), ("model.txt", b"\x80\x05K\x01."),
        ("packed.json", b"\x1f\x8b\x08\x00"), ("net.pt", b"PK\x03\x04data.pkl"), ("net.h5", b"\x89HDF\r\n\x1a\n"),
        ("net.pmml", b"<?xml version='1.0'?><PMML/>"), ("net.bin", b"\x00\x01\x02"), ("m.pkl", b"cos\nsystem\n"),
    ],
)  # fmt: skip
def test_what_is_no_model_or_could_run_code_is_never_opened(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)

    refused(tmp_path / name, tmp_path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"\x80\x04\x95\x8c\x10lightgbm.sklearn\x94\x8c", "booster_.save_model"),
        (b"clightgbm.basic\nBooster\n", "booster_"),
        (b"\x80\x05\x95xgboost.sklearn\x94", "model.save_model('model.ubj')"),
        (b"\x80\x05\x95catboost.core\x94", "model.save_model('model.cbm')"),
        (b"\x80\x05\x95sklearn.pipeline\x94 ... lightgbm.sklearn", "skl2onnx"),
    ],
)  # fmt: skip
def test_a_pickled_booster_is_told_how_to_be_saved_natively(content: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(content)

    assert told in refused(tmp_path / "model.pkl", tmp_path).hint


def zipped(name: str) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr(name, b"...")
    return held.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "message", "hint"),
    [
        ("m.skops", zipped("1.npy"), "of skops, which is not read", "skl2onnx"),
        ("m.npz", zipped("weights.npy"), "of NumPy, which is not read", "arrays"),
        ("m.zip", zipped("model.txt"), "is packed", "unpack it"),
        ("m.bin", zipped("archive/data.pkl"), "of PyTorch, which is never opened", "torch.onnx.export"),
        ("m.pt", zipped("code/model.py"), "of PyTorch, which is never opened", "torch.onnx.export"),
        ("m.keras", zipped("metadata.json"), "of Keras, which is never opened", "model.export"),
        ("net.xml", b'<?xml version="1.0"?>\n<net name="n" version="11">', "of OpenVINO, which is not read", "ONNX"),
        ("net.xml", b"<?xml version='1.0'?><PMML/>", "of PMML, which is not read", "ONNX"),
        ("page.xml", b"<?xml version='1.0'?><html/>", "is no model that can be imported", "CatBoost"),
        ("model.txt.gz", gzip.compress(b"tree\nversion=v4", mtime=0), "is packed", "unpack it"),
        ("m.onnx.gz", gzip.compress(b"\x08\x08", mtime=0), "is packed", "unpack it"),
        ("m.json.bz2", bz2.compress(b"{}"), "is packed", "unpack it"),
        ("m", lzma.compress(b"{}"), "is packed", "unpack it"),
        ("m.cut.gz", b"\x1f\x8b\x08\x00", "is packed", "unpack it"),
        ("m.gz", gzip.compress(b"\x80\x04\x95sklearn.svm", mtime=0), "of scikit-learn or joblib", "skl2onnx"),
        ("m.z", zlib.compress(b"\x80\x04\x95lightgbm.sklearn"), "of LightGBM, pickled", "booster_"),
        ("forest.rds", gzip.compress(b"X\n\0\0\0\x03", mtime=0), "of R, which is not read", "xgb.save"),
        ("old.pkl.csv", b"a,b\n1,2\n", "is no model that can be imported", "CatBoost"),
        ("m.pkl.xz", lzma.compress(b"cos\nsystem\n"), "of scikit-learn or joblib", "skl2onnx"),
    ],
)  # fmt: skip
def test_what_is_not_read_is_told_for_what_it_is(
    name: str, content: bytes, message: str, hint: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)

    found = refused(tmp_path / name, tmp_path)

    assert message in found.message and hint in found.hint


def test_what_is_packed_is_looked_into_no_further_than_its_head(tmp_path: Path) -> None:
    (tmp_path / "m.gz").write_bytes(gzip.compress(b"\0" * (1 << 24)) * 4)

    tracemalloc.start()
    found = refused(tmp_path / "m.gz", tmp_path)
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert "is packed" in found.message and used < 1 << 23


def test_a_pipe_and_a_folder_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")

    assert "regular file" in refused(tmp_path / "pipe.onnx", tmp_path).message
    assert "folder" in refused(tmp_path, tmp_path).message


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_graph_that_was_cut_is_refused(share: float, tmp_path: Path) -> None:
    raw = softmax_model(tmp_path / "whole.onnx").read_bytes()
    (tmp_path / "cut.onnx").write_bytes(raw[: int(share * len(raw))])

    with pytest.raises((UnreadableModel, UnsafeModel, UnfitModel)):
        loaded(tmp_path / "cut.onnx")


@pytest.mark.parametrize(
    "location",
    [
        "../../etc/passwd", "/etc/passwd", "..", "a/../../b", "weights\0", "", "link.bin", "inner/secret", "absent.bin",
        "pipe", ".", "./.",
    ],
)  # fmt: skip
def test_weights_come_from_beside_the_file_and_from_nowhere_else(location: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "secret").write_bytes(WEIGHTS.tobytes())
    (tmp_path / "folder" / "link.bin").symlink_to(tmp_path / "secret")
    (tmp_path / "folder" / "inner").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "folder" / "pipe")

    with pytest.raises(UnsafeModel, match=r"file|bytes"):
        loaded(outside(tmp_path / "folder" / "m.onnx", location))


def test_weights_beside_the_file_are_read_as_far_as_they_are_there(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"head" + WEIGHTS.tobytes())

    model = loaded(outside(tmp_path / "m.onnx", "weights.bin", offset=4))

    assert model.graph.initializer[0].raw_data == WEIGHTS.tobytes()
    for offset, length in ((5, None), (4, 1 << 40), (-4, None), (0, 3)):
        with pytest.raises(UnsafeModel, match="should hold"):
            loaded(outside(tmp_path / "m.onnx", "weights.bin", offset=offset, length=length))


def outside(path: Path, location: str, *, offset: int = 0, length: int | None = None) -> Path:
    model = onnx.load(softmax_model(path))
    weights = model.graph.initializer[0]
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    entries = {"location": location, "offset": str(offset), "length": str(WEIGHTS.nbytes if length is None else length)}
    for key, entry in entries.items():
        weights.external_data.add(key=key, value=entry)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("dims", [[1 << 31, 1 << 31], [3, 300], [-3, -3], [0, 3], [1 << 62]])
def test_a_shape_that_its_bytes_are_not_is_refused(dims: list[int], tmp_path: Path) -> None:
    model = onnx.load(softmax_model(tmp_path / "m.onnx"))
    model.graph.initializer[0].dims[:] = dims
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())

    with pytest.raises(UnsafeModel):
        loaded(tmp_path / "m.onnx")


def test_an_operator_of_somebody_is_refused_by_name(tmp_path: Path) -> None:
    nodes = [helper.make_node("Steal", ["input"], ["p"], domain="com.evil")]
    path = saved(tmp_path / "m.onnx", nodes, [value("input", ["N", 3])], [value("p", ["N", 3])])

    with pytest.raises(UnfitModel, match=r"`Steal` of `com\.evil`"):
        loaded(path)


def test_an_operator_set_of_the_future_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnfitModel, match=r"operator set of ai\.onnx is 99"):
        loaded(softmax_model(tmp_path / "m.onnx", opset=99))


def endless(path: Path) -> Path:
    """2^60 rounds in some hundred bytes; the checker of ONNX finds nothing wrong with it."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["go_on"]), helper.make_node("Identity", ["x_in"], ["x_out"])], "body",
        [value("i", [], TensorProto.INT64), value("go", [], TensorProto.BOOL), value("x_in", ["N", 3])],
        [value("go_on", [], TensorProto.BOOL), value("x_out", ["N", 3])],
    )  # fmt: skip
    nodes = [helper.make_node("Loop", ["times", "yes", "input"], ["p"], body=body)]
    tensors = [tensor("times", np.int64(1 << 60)), tensor("yes", np.bool_(True))]
    return saved(path, nodes, [value("input", ["N", 3])], [value("p", ["N", 3])], tensors)


def test_work_without_end_is_refused(tmp_path: Path) -> None:
    assert "`Loop`" in refused(endless(tmp_path / "m.onnx"), tmp_path, UnsafeModel).message


def test_a_row_must_not_decide_how_large_an_answer_becomes(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Cast", ["input"], ["size"], to=TensorProto.INT64),
        helper.make_node("ConstantOfShape", ["size"], ["p"]),
    ]
    path = saved(tmp_path / "m.onnx", nodes, [value("input", ["N"])], [value("p", ["N"])])

    with pytest.raises(UnsafeModel, match="decided by a row's values"):
        loaded(path)


def test_a_small_file_that_asks_for_all_memory_is_stopped(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["huge"]), helper.make_node("ReduceSum", ["huge"], ["sum"]),
        helper.make_node("Add", ["input", "sum"], ["p"]),
    ]  # fmt: skip
    tensors = [tensor("shape", np.array([1 << 36]))]
    path = saved(tmp_path / "m.onnx", nodes, [value("input", ["N", 1])], [value("p", ["N", 1])], tensors)

    with pytest.raises((UnsafeModel, UnfitModel, UnreadableModel)) as fault:
        aias.import_model(path, like={"a": [1.0, 2.0]}, home=tmp_path)
    assert not aias.models(home=tmp_path)
    assert "\n" not in fault.value.message and "/onnxruntime_src" not in fault.value.message


def test_whoever_takes_too_long_is_ended(tmp_path: Path) -> None:
    with Sandbox(seconds=0.001) as box, pytest.raises(UnsafeModel, match="not done after"):
        box.read("onnx", softmax_model(tmp_path / "m.onnx"))


def test_a_reader_that_dies_is_told_of(tmp_path: Path) -> None:
    with Sandbox() as box:
        box._process.kill()
        with pytest.raises(UnsafeModel, match="ended"):
            box.read("onnx", softmax_model(tmp_path / "m.onnx"))


def test_a_reader_that_takes_more_of_the_processor_than_its_file_may_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"few")
    lines = (
        "from aias.importing import process", "from pathlib import Path", "process.READ_SECONDS_MAX = 0, 1",
        "process.bound()", f"with process._at_most(Path({str(tmp_path / 'm.onnx')!r})):", "    while True: pass",
    )  # fmt: skip
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], check=False)
    assert done.returncode == -signal.SIGXCPU

    with Sandbox() as box:
        box._process.send_signal(signal.SIGXCPU)
        with pytest.raises(UnsafeModel, match="far longer than a file of its size"):
            box.read("onnx", softmax_model(tmp_path / "m.onnx"))


def test_what_would_take_minutes_for_many_rows_is_refused_by_few(monkeypatch: pytest.MonkeyPatch) -> None:
    builder, clock = Builder(width=3, texts=0), count()
    graph = builder.finish(builder.op("Gather", builder.columns, builder.constant(np.array([0])), axis=1), classes=())

    monkeypatch.setattr(process.time, "process_time", lambda: 0.6 * next(clock))
    assert process._tried(graph, 3) == graph
    monkeypatch.setattr(process.time, "process_time", lambda: 6.4 * next(clock))
    with pytest.raises(UnfitModel, match=r"a row takes 0.1 s, 4,096 at once would take 410 s"):
        process._tried(graph, 3)


def test_a_reader_has_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIAS_KEY", "canary")
    with Sandbox() as box:
        held = Path(f"/proc/{box._process.pid}/environ").read_bytes()

    assert b"canary" not in held


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("silero_vad_onnx/silero_vad.onnx", "sound"), ("ultralight_face_rfb320/version-RFB-320.onnx", "images"),
    ],
)  # fmt: skip
def test_what_is_no_table_is_refused_with_what_could_be_done(name: str, said: str) -> None:
    if not (MODELS / name).is_file():
        pytest.skip("../shared is not here")
    with pytest.raises(UnfitModel, match=said) as fault:
        loaded(MODELS / name)
    assert "columns" in fault.value.hint


def test_columns_of_one_name_are_matched_by_their_order(tmp_path: Path) -> None:
    lightgbm: Any = pytest.importorskip("lightgbm")
    x = np.random.default_rng(0).normal(size=(40, 2))
    settings = {"verbose": -1, "min_data_in_leaf": 3, "num_threads": 1}
    booster = lightgbm.train(settings, lightgbm.Dataset(x, x[:, 0], feature_name=["a", "b"]), 2)
    text = booster.model_to_string().replace("feature_names=a b", "feature_names=a a")
    (tmp_path / "m.txt").write_text(text)

    model = aias.import_model(tmp_path / "m.txt", like={"p": x[:, 0], "q": x[:, 1]}, home=tmp_path)

    assert [field.name for field in model.manifest.inputs] == ["p", "q"]
