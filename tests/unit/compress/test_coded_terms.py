import numpy as np
import onnxruntime
import pytest

from aias.compress.coded_terms import coded
from aias.core.schema import Field
from aias.encoders.rows import Encoded, RowEncoder
from aias.features.terms import Terms
from aias.graph.builder import Builder

WORDS = [f"w{i}" for i in range(160)]


def texts(rows: int, fields: int) -> tuple[RowEncoder, Encoded]:
    rng = np.random.default_rng(0)
    values = {f"t{i}": [" ".join(rng.choice(WORDS, rng.integers(0, 9))) for _ in range(rows)] for i in range(fields)}
    encoder = RowEncoder.fit([Field(name, "text") for name in values], values)
    return encoder, encoder.columns(values, rows)


@pytest.mark.parametrize(("outputs", "fields", "books"), [(1, 1, 1), (3, 1, 2), (2, 2, 3)])
def test_the_graph_adds_up_the_books_as_the_pipeline_does(outputs: int, fields: int, books: int) -> None:
    encoder, encoded = texts(300, fields)
    terms = Terms.fit(encoded, encoder)
    assert terms is not None
    weights = np.random.default_rng(1).normal(size=(terms.width, outputs))

    feature, held = coded(terms.table(weights), np.ones(terms.width), texts=fields, books=books, seed=0)
    graph = Builder(width=0, texts=fields)
    scores = graph.op("Identity", feature.export(graph, held))
    session = onnxruntime.InferenceSession(graph.finish(scores, classes=[f"c{i}" for i in range(max(2, outputs))]))
    feeds = {"columns": encoded.columns, "term_ids": encoded.term_ids, "term_segments": encoded.term_segments}
    found = session.run(["probabilities"], feeds)[0]

    assert held.shape == (feature.width, outputs)
    assert np.abs(found - feature.project(encoded, held)).max() < 1e-5
    assert (feature.squares[: feature.width // books] > 0).all()


@pytest.mark.parametrize("fields", [1, 2])
def test_terms_of_a_table_answer_as_those_that_the_table_is_of(fields: int) -> None:
    encoder, encoded = texts(300, fields)
    terms = Terms.fit(encoded, encoder)
    assert terms is not None
    weights = np.random.default_rng(1).normal(size=(terms.width, 2))

    same, held = Terms.of_table(terms.table(weights), texts=fields)

    assert np.abs(same.project(encoded, held) - terms.project(encoded, weights)).max() < 1e-6
    assert np.abs(same.matrix(encoded) @ held - terms.matrix(encoded) @ weights).max() < 1e-6


def test_each_book_leaves_less_than_the_one_before() -> None:
    encoder, encoded = texts(300, 1)
    terms = Terms.fit(encoded, encoder)
    assert terms is not None
    weights = np.random.default_rng(1).normal(size=(terms.width, 2))
    whole = terms.project(encoded, weights)

    gaps = []
    for books in (1, 2, 3):
        feature, held = coded(terms.table(weights), np.ones(terms.width), texts=1, books=books, seed=0)
        gaps.append(np.abs(feature.project(encoded, held) - whole).mean())

    assert gaps[2] < gaps[1] < gaps[0] < np.abs(whole).mean()


def test_terms_that_are_equal_share_a_row_and_lose_nothing() -> None:
    encoder, encoded = texts(300, 1)
    terms = Terms.fit(encoded, encoder)
    assert terms is not None
    table = terms.table(np.ones((terms.width, 1)))
    table[:, 0], table[:, 1] = np.arange(len(table)) % 5, 1 + np.arange(len(table)) % 5

    feature, held = coded(table, np.ones(len(table)), texts=1, books=1, seed=0)

    rebuilt = np.hstack([held, feature.squares[:, None]])[feature.codes[:, 0]]
    assert np.allclose(rebuilt, table)
