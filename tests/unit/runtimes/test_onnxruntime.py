from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import aias
from aias.core.errors import Damaged
from aias.encoders.rows import Encoded
from aias.runtimes.onnxruntime import OnnxRuntime

ROWS = {"n": [float(i % 17) for i in range(80)], "y": ["high" if i % 17 > 8 else "low" for i in range(80)]}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> aias.Model:
    home = tmp_path_factory.mktemp("home")
    return aias.train(ROWS, target="y", name="m", time=600, learners=("linear",), home=home, inline=True)


def test_a_version_answers_as_the_model_that_was_trained(model: aias.Model) -> None:
    loaded = OnnxRuntime.load(model.folder, model.manifest)

    assert loaded.predict([{"n": 3}, {"n": 15}]).predictions == ["low", "high"]


def test_no_interval_of_amounts_that_are_never_negative_goes_below_zero(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    n = rng.random(120)
    rows = {"n": n.tolist(), "y": np.maximum(n + rng.normal(size=120), 0).tolist()}
    model = aias.train(rows, target="y", name="amount", time=600, learners=("linear",), home=tmp_path, inline=True)

    loaded, rows = OnnxRuntime.load(model.folder, model.manifest), [{"n": each} for each in (-5.0, 0.0, 0.5)]
    answers = loaded.predict(rows)

    assert [loaded.predict([row]).intervals for row in rows] == [[each] for each in answers.intervals or ()]
    assert answers.intervals is not None
    assert model.manifest.intervals is not None and model.manifest.intervals["floor"] == 0.0
    assert min(low for low, _ in answers.intervals) == 0.0
    assert all(low <= high for low, high in answers.intervals)


def test_rows_of_several_callers_answered_together_get_what_each_gets_alone(model: aias.Model) -> None:
    loaded = OnnxRuntime.load(model.folder, model.manifest)
    callers = [[{"n": float(at), "y": None}] * (1 + at % 3) for at in range(9)]

    found = loaded.answer(Encoded.join([loaded.encode(rows) for rows in callers]))

    at = 0
    for rows in callers:
        alone, part = loaded.predict(rows), found.part(at, at + len(rows))
        assert part.predictions == alone.predictions
        np.testing.assert_array_equal(part.probabilities, alone.probabilities)
        at += len(rows)
    assert len(found.predictions) == at


def test_a_file_that_changed_after_it_was_verified_is_refused_by_name(model: aias.Model, tmp_path: Path) -> None:
    for entry in model.manifest.files:
        held = (model.folder / entry.path).read_bytes()
        (tmp_path / entry.path).parent.mkdir(exist_ok=True)
        (tmp_path / entry.path).write_bytes(held)
    graph = bytearray((tmp_path / "model.onnx").read_bytes())
    graph[len(graph) // 2] ^= 1
    (tmp_path / "model.onnx").write_bytes(graph)

    with pytest.raises(Damaged, match=r"model\.onnx"):
        OnnxRuntime.load(tmp_path, model.manifest)


def test_files_that_do_not_fit_together_are_damaged(model: aias.Model) -> None:
    files = {entry.path: (model.folder / entry.path).read_bytes() for entry in model.manifest.files}

    with pytest.raises(Damaged, match="does not fit together"):
        OnnxRuntime.from_files({path: held for path, held in files.items() if path != "model.onnx"}, model.manifest)
    with pytest.raises(Damaged, match="not a graph"):
        OnnxRuntime.from_files(files | {"model.onnx": b"nothing"}, model.manifest)


def test_times_that_the_encoder_before_read_are_read_alike(tmp_path: Path) -> None:
    rows = {"day": [f"2024-{1 + i % 12:02}-03" for i in range(60)], "y": [float(i % 12) for i in range(60)]}
    model = aias.train(rows, target="y", name="m", time=600, learners=["linear"], home=tmp_path, inline=True)
    files = {entry.path: (model.folder / entry.path).read_bytes() for entry in model.manifest.files}
    before = tuple(replace(entry, version=2) for entry in model.manifest.encoders)

    found = OnnxRuntime.from_files(files, replace(model.manifest, encoders=before))

    assert [entry.version for entry in model.manifest.encoders] == [3]
    row = {"day": "2024-05-01"}
    assert found.run(found.encoder.one(row)) == model.runtime.run(model.runtime.encoder.one(row))


def test_what_another_version_of_an_encoder_read_is_not_served(model: aias.Model) -> None:
    files = {entry.path: (model.folder / entry.path).read_bytes() for entry in model.manifest.files}
    older = tuple(replace(entry, version=entry.version - 1) for entry in model.manifest.encoders)

    with pytest.raises(Damaged, match="`n` was read by version 0 of the number encoder; here is 1"):
        OnnxRuntime.from_files(files, replace(model.manifest, encoders=older))
