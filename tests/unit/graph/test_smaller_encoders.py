"""Sentence encoders made smaller: their vectors stay near, and hang on nothing but the text itself."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from aias.encoders.rows import Encoded
from aias.graph.activation_ranges import ActivationRange, activation_ranges
from aias.graph.builder import Builder
from aias.graph.int8 import Int8, again, rounded, shared
from aias.graph.sentences import SentenceEncoder, Texts
from aias.graph.static import StaticVectors
from aias.graph.transformer import Affine
from tiny_encoder import encoder_into


@pytest.fixture(params=["bert", "roberta", "distilbert"])
def sentences(request, tmp_path: Path) -> SentenceEncoder:
    encoder_into(tmp_path, request.param)
    return SentenceEncoder.read(str(tmp_path), texts=1)


def texts(*lengths: int) -> Texts:
    rng = np.random.default_rng(0)
    tokens, mask = rng.integers(4, 16, (len(lengths), max(lengths))), np.arange(max(lengths)) < np.c_[list(lengths)]
    return Texts(np.where(mask, tokens, 1), mask, np.zeros((0, 1), np.int64))


def in_int8(sentences: SentenceEncoder, shown: Texts) -> Int8:
    """With the reach that these texts show."""
    nothing = np.zeros(0, np.int64)
    encoded = Encoded(np.empty((len(shown.tokens), 0)), nothing, nothing[:, None], 1, shown.tokens, shown.mask)
    return Int8(sentences.whole, activation_ranges(sentences.whole, encoded))


def smaller(sentences: SentenceEncoder) -> list[SentenceEncoder]:
    whole, int8 = sentences.whole, in_int8(sentences, texts(8, 6, 3))
    forms = [int8, replace(int8, of=whole.lowest(1)), StaticVectors(whole.words, whole.length_max)]
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
    graph = Builder(width=0, texts=0, sentences=lambda graph: in_int8(sentences, texts(5)).write(graph, texts=1))
    model = onnx.load_from_string(graph.finish_vectors(graph.vectors))
    matrices = [each for each in model.graph.initializer if len(each.dims) == 2 and min(each.dims) > 1]
    kinds = {(tuple(each.dims), each.data_type) for each in matrices}
    positions = sentences.whole.positions.shape
    assert {kind for dims, kind in kinds if dims != positions} == {onnx.TensorProto.INT8}


def test_what_attention_gives_is_divided_by_the_values_that_it_adds_up(sentences):
    """Of a layer's four products the inputs of three are divided by a node of their own."""
    graph = Builder(width=0, texts=0, sentences=lambda graph: in_int8(sentences, texts(5)).write(graph, texts=1))
    nodes = onnx.load_from_string(graph.finish_vectors(graph.vectors)).graph.node
    divided = {node.output[0] for node in nodes if node.op_type == "Mul"}
    inputs = [node.input[0] in divided for node in nodes if node.op_type == "QuantizeLinear"]
    assert inputs == [True, False, True, True] * len(sentences.whole.layers)


def test_what_reaches_further_than_any_text_shown_is_cut(sentences):
    """Fixed scales: a text that was shown is read alike, whatever else was."""
    asked = texts(9, 5, 2, 1)
    near, far = in_int8(sentences, asked), in_int8(sentences, asked)
    far = replace(far, reach=[ActivationRange(each.low / 50, each.high / 50) for each in far.reach])
    before = sentences.vectors(asked)
    off = [np.abs(replace(sentences, transformer=each).vectors(asked) - before).max() for each in (near, far)]
    assert off[1] > 3 * off[0]


def test_one_number_that_reaches_far_behind_the_activation_does_not_make_all_others_coarse():
    """As one neuron of each of MiniLM's layers does, in one token of each text: it stands there several times."""
    rng = np.random.default_rng(0)
    affine = Affine(rng.normal(size=(96, 4)).astype(np.float32), np.ones(4, np.float32))
    x = rng.normal(size=(50, 96)).astype(np.float32)
    x[0, 7] = 60
    reach = ActivationRange(x.min(axis=0), x.max(axis=0))

    places, _ = again(affine, reach)
    more, reaches, each = shared(affine, reach)

    assert (len(places), list(places).count(7)) == (98, 3)
    np.testing.assert_allclose(x[:, places] @ more.weight + more.bias, x @ affine.weight + affine.bias, rtol=1e-4)
    once = each[list(places).index(7)] / 3
    assert (reaches.high / each).max() < 0.6 * reach.high[7] / once


def test_reach_is_the_lowest_and_the_highest_that_texts_show(sentences):
    """What the first product reads is the norm of words and positions."""
    whole, asked = sentences.whole, texts(4)
    x = whole.words[asked.tokens[0]] + whole.positions[:4]
    x = (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, keepdims=True) + whole.epsilon)
    x = x * whole.norm.scale + whole.norm.bias
    first = in_int8(sentences, asked).reach[0]
    np.testing.assert_allclose(first.low, np.minimum(x.min(axis=0), 0), atol=1e-5)
    np.testing.assert_allclose(first.high, np.maximum(x.max(axis=0), 0), atol=1e-5)


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
