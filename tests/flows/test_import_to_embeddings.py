"""A sentence encoder from its folder to the answers of a server of its own process, asked in every dialect."""

import json
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tokenizers", reason="the extra `text` is not installed")
pytest.importorskip("safetensors", reason="the extra `text` is not installed")

import aias
from aias.serving.processes.background import Background
from tiny_encoder import encoder_into

TEXTS = ["a b c", "d"]


def test_an_encoder_is_published_deployed_and_asked_in_every_dialect(tmp_path: Path) -> None:
    folder, home = tmp_path / "encoder", tmp_path / "home"
    folder.mkdir()
    encoder_into(folder, "bert")
    model = aias.publish_encoder(folder, name="tiny", home=home)
    model.deploy()
    expected = model.embed(TEXTS)

    with Background(home) as server:

        def ask(path: str, body: object) -> Any:
            sent = urllib.request.Request(server.url + path, json.dumps(body).encode(), method="POST")
            sent.add_header("Authorization", f"Bearer {server.first_key}")
            sent.add_header("Content-Type", "application/json")
            with urllib.request.urlopen(sent, timeout=600) as answer:
                return json.load(answer)

        native = ask("/predict/tiny", [{"text": text} for text in TEXTS])
        openai = ask("/v1/embeddings", {"model": "tiny", "input": TEXTS})
        mlflow = ask("/invocations", {"inputs": TEXTS})
        tensors = [{"name": "text", "datatype": "BYTES", "shape": [2], "data": TEXTS}]
        inference = ask("/v2/models/tiny/infer", {"inputs": tensors})

    found = {
        "native": [each["vector"] for each in native],
        "openai": [each["embedding"] for each in openai["data"]],
        "mlflow": mlflow["predictions"],
        "inference": np.reshape(inference["outputs"][0]["data"], (2, -1)),
    }
    for dialect, vectors in found.items():
        np.testing.assert_array_equal(np.array(vectors, np.float32), expected, dialect)
