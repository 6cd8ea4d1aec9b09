"""A linear pipeline says in its graph what it says in Python, in few nodes."""

from dataclasses import replace

import numpy as np
import onnx
import pytest

from aias.core.schema import Field
from aias.encoders.rows import Encoded, RowEncoder
from aias.features.numbers import Numbers
from aias.features.sentences import Sentences
from aias.features.terms import Terms
from aias.graph.compile import compile_graph
from aias.graph.windows import Windows
from aias.learners.linear import LinearModel
from aias.runtimes.onnxruntime import Session
from aias.training.pipeline import LinearPipeline

NOTES = ["free entry to win", "see you at home", "win a free home", "", "zzz", "seeing you there"]
AGES = [39.0, None, 21.5, -3.0, 7.0, 1.0]
WINDOWS = Windows(np.random.default_rng(2).normal(size=(30, 3 * 8)).astype(np.float32), 16)

TEXT = (Field("note", "text"),)
TABLE = (Field("age", "number"), *TEXT)
TWO_TEXTS = (*TEXT, Field("title", "text"))


def encoded_of(fields: tuple[Field, ...]) -> tuple[RowEncoder, Encoded]:
    values = {"note": NOTES, "title": NOTES[::-1], "age": AGES}
    held = {field.name: values[field.name] for field in fields}
    encoder = RowEncoder.fit(fields, {name: each * 3 for name, each in held.items()})
    return encoder, encoder.columns(held, len(NOTES))


def pipeline_of(features: list, classes: int) -> LinearPipeline:
    rng, outputs = np.random.default_rng(0), {0: 1, 2: 1}.get(classes, classes)
    width = sum(feature.width for feature in features)
    model = LinearModel(rng.normal(size=(width, outputs)), rng.normal(size=outputs), classes=classes, settings={})
    return LinearPipeline(features, model)


@pytest.mark.parametrize("classes", [0, 2, 3])
@pytest.mark.parametrize("fields", [TEXT, TABLE, TWO_TEXTS], ids=["a text", "a table", "two texts"])
def test_the_graph_of_words_says_what_python_says_though_a_text_has_no_known_one(fields, classes):
    encoder, encoded = encoded_of(fields)
    found = [each.fit(encoded, encoder) for each in (Numbers, Terms)]
    pipeline = pipeline_of([each for each in found if each is not None], classes)
    names = [str(i) for i in range(classes)]
    graph = compile_graph(pipeline, encoder.layout, classes=names)
    session, expected = Session(graph, output="probabilities" if classes else "prediction"), pipeline.scores(encoded)
    together = session.run(encoded).reshape(expected.shape)
    np.testing.assert_allclose(together, expected, atol=1e-6)
    for row in range(len(NOTES)):
        np.testing.assert_array_equal(session.run(encoded.take(np.array([row]))).ravel(), together[row])


@pytest.mark.parametrize(("classes", "most"), [(2, 25), (3, 24)])
def test_windows_and_words_answer_in_few_nodes(classes, most):
    """On a single row a node takes .6 µs whatever it does, and so they are counted; and they say what Python says."""
    encoder, encoded = encoded_of(TEXT)
    tokens = np.arange(24).reshape(6, 4)
    encoded = replace(encoded, tokens=tokens, token_mask=tokens % 4 < np.arange(6)[:, None] % 4 + 1)
    vectors = _windows(encoded)
    terms, sentences = Terms.fit(encoded, encoder), Sentences(vectors.mean(axis=0).astype(np.float64), 2.0)
    pipeline = pipeline_of([sentences, terms], classes)
    names = [str(i) for i in range(classes)]
    graph = compile_graph(
        pipeline, encoder.layout, classes=names, sentences=lambda graph: WINDOWS.write(graph, texts=1)
    )
    expected = pipeline.scores(replace(encoded, vectors=vectors))
    np.testing.assert_allclose(Session(graph, output="probabilities").run(encoded), expected, atol=1e-6)
    nodes = onnx.load_from_string(graph).graph.node
    assert len(nodes) <= most


def _windows(encoded: Encoded) -> np.ndarray:
    """By the formula at the head of `graph.windows`; its tables are rounded, so are these."""
    from aias.graph.int8 import rounded

    held, scale = rounded(WINDOWS.table.reshape(-1, 8), axis=0)
    tables = held.reshape(30, 3, 8).astype(np.float64)
    found = []
    for tokens, mask in zip(encoded.tokens, encoded.token_mask, strict=True):
        there = tokens[mask]
        sums = np.zeros((len(there) + 2, 8))
        for place in range(3):
            sums[2 - place : 2 - place + len(there)] += tables[there, place]
        found.append(np.maximum(sums.max(axis=0), 0) * scale[0])
    return np.array(found, np.float32)
