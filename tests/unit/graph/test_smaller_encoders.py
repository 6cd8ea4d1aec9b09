"""Sentence encoders made smaller: their vectors stay near, and hang on nothing but the text itself."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from aias.graph.builder import Builder
from aias.graph.int8 import Int8, rounded
from aias.graph.sentences import SentenceEncoder, Texts
from aias.graph.static import StaticVectors
from tiny_encoder import encoder_into


@pytest.fixture(params=["bert", "roberta", "distilbert"])
def sentences(request, tmp_path: Path) -> SentenceEncoder:
    encoder_into(tmp_path, request.param)
    return SentenceEncoder.read(str(tmp_path), texts=1)


def texts(*lengths: int) -> Texts:
    rng = np.random.default_rng(0)
    tokens, mask = rng.integers(4, 16, (len(lengths), max(lengths))), np.arange(max(lengths)) < np.c_[list(lengths)]
    return Texts(np.where(mask, tokens, 1), mask, np.zeros((0, 1), np.int64))


def smaller(sentences: SentenceEncoder) -> list[SentenceEncoder]:
    whole = sentences.whole
    forms = [Int8(whole), Int8(replace(whole, layers=whole.layers[:1])), StaticVectors(whole.words, whole.length_max)]
    return [replace(sentences, transformer=each) for each in forms]


def test_in_int8_a_text_lies_where_it_lay(sentences):
    asked = texts(9, 5, 2, 1)
    before, after = sentences.vectors(asked), smaller(sentences)[0].vectors(asked)
    near = (before * after).sum(axis=1) / np.linalg.norm(before, axis=1) / np.linalg.norm(after, axis=1)
    assert near.min() > 0.99
    assert not np.array_equal(before, after)


def test_a_text_alone_has_the_vector_that_it_has_in_a_batch(sentences):
    asked = texts(9, 5, 2, 1)
    for each in smaller(sentences):
        together = each.vectors(asked)
        for place in range(4):
            alone = each.vectors(asked.part(slice(place, place + 1)))
            np.testing.assert_allclose(alone[0], together[place], atol=2e-6)


def test_the_graph_in_int8_holds_no_matrix_of_floats(sentences):
    graph = Builder(width=0, texts=0, sentences=lambda graph: Int8(sentences.whole).write(graph, texts=1))
    model = onnx.load_from_string(graph.finish_vectors(graph.vectors))
    matrices = [each for each in model.graph.initializer if len(each.dims) == 2 and min(each.dims) > 1]
    kinds = {(tuple(each.dims), each.data_type) for each in matrices}
    positions = sentences.whole.positions.shape
    assert {kind for dims, kind in kinds if dims != positions} == {onnx.TensorProto.INT8}


def test_a_static_vector_is_the_mean_of_its_tokens_rows(sentences):
    table = sentences.whole.words
    asked = texts(3)
    found = replace(sentences, transformer=StaticVectors(table, 32)).vectors(asked)[0]
    mean = table[asked.tokens[0]].mean(axis=0)
    np.testing.assert_allclose(found, mean / np.linalg.norm(mean), atol=0.01)


def test_rounding_keeps_every_weight_within_half_a_step():
    weights = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    weights[:, 2] = 0
    held, scale = rounded(weights, axis=0)
    assert np.abs(held * scale - weights).max() <= scale.max() / 2 * 1.001
    assert held.dtype == np.int8
    assert not held[:, 2].any()
