"""Vectors become columns beside the words, and the graph weighs them as Python does."""

from dataclasses import replace

import numpy as np
import pytest

from aias.core.arrays import Floats
from aias.core.graph import GraphWriter
from aias.core.schema import Field
from aias.encoders.rows import Encoded, RowEncoder
from aias.features.sentences import LENGTH, Sentences
from aias.graph.builder import Builder
from aias.graph.compile import compile_graph
from aias.runtimes.onnxruntime import Session

TEXTS = ["free entry", "see you", "", "win a home"] * 5
VECTORS = np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32) + 3
WEIGHTS = np.random.default_rng(1).normal(size=(6, 1))
ENCODER = RowEncoder.fit((Field("note", "text"),), {"note": TEXTS})
ENCODED = replace(ENCODER.columns({"note": TEXTS}, 20), vectors=VECTORS)


def fitted(encoded: Encoded = ENCODED) -> Sentences:
    found = Sentences.fit(encoded, ENCODER)
    assert found is not None
    return found


def test_columns_are_centred_and_as_long_as_they_should_be() -> None:
    columns = fitted().columns(ENCODED)
    np.testing.assert_allclose(columns.mean(axis=0), 0, atol=1e-7)
    assert np.sqrt((columns**2).sum(axis=1).mean()) == pytest.approx(LENGTH)


def test_a_projection_is_the_matrix_times_the_weights() -> None:
    feature = fitted()
    matrix = feature.matrix(ENCODED)
    assert matrix.shape == (20, feature.width)
    np.testing.assert_allclose(feature.project(ENCODED, WEIGHTS), matrix @ WEIGHTS, atol=1e-6)


def test_rows_that_nobody_has_embedded_have_no_such_feature() -> None:
    assert Sentences.fit(replace(ENCODED, vectors=None), ENCODER) is None


def test_vectors_that_are_all_alike_say_nothing() -> None:
    alike = replace(ENCODED, vectors=np.ones((20, 6), np.float32))
    np.testing.assert_array_equal(fitted(alike).columns(alike), np.zeros((20, 6)))


def test_taken_rows_keep_their_vectors() -> None:
    taken = ENCODED.take(np.array([3, 1]))
    np.testing.assert_array_equal(taken.vectors, VECTORS[[3, 1]])


class Weighed:
    """Stands for a linear pipeline; `by_columns` for one that reads the columns themselves."""

    def __init__(self, *, by_columns: bool) -> None:
        self.by_columns = by_columns

    def export(self, graph: GraphWriter) -> str:
        if self.by_columns:
            return graph.op("MatMul", fitted().export_columns(graph), graph.constant(WEIGHTS))
        return fitted().export(graph, WEIGHTS)


def stand_in(graph: GraphWriter) -> str:
    """A sentence encoder of one token a text, whose vector is its row of a table."""
    vectors = graph.op("Gather", graph.constant(VECTORS), graph.tokens)
    return graph.op("Squeeze", vectors, graph.constant(np.array([1])))


@pytest.mark.parametrize("by_columns", [True, False])
def test_the_graph_weighs_the_vectors_as_python_does(by_columns: bool) -> None:
    graph = compile_graph(Weighed(by_columns=by_columns), ENCODER.layout, classes=(), sentences=stand_in)
    tokens: Floats = np.arange(20)[:, None]
    found = Session(graph, output="prediction").run(replace(ENCODED, tokens=tokens, token_mask=tokens >= 0))
    np.testing.assert_allclose(found, fitted().project(ENCODED, WEIGHTS)[:, 0], atol=1e-6)


def test_a_sentence_encoder_is_written_once_however_many_ask_for_it() -> None:
    written: list[str] = []

    def write(graph: GraphWriter) -> str:
        written.append(stand_in(graph))
        return written[-1]

    graph = Builder(width=0, texts=1, sentences=write)
    for _ in range(5):
        fitted().export(graph, WEIGHTS)
    assert len(written) == 1
