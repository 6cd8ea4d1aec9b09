from dataclasses import replace

import numpy as np
import pytest

from aias.core.forest import LESS, LESS_OR_EQUAL, MEMBER, Forest
from aias.encoders.rows import Encoded
from aias.graph.builder import Builder
from aias.runtimes.onnxruntime import Session, _session
from aias.runtimes.tree_nodes import taken
from unit.core.test_bit_vectors import forest_of
from unit.core.test_forest import odd_rows

NOTHING = np.zeros(0, np.int64)


def graph_of(*forests: Forest) -> bytes:
    """The shares of three classes, by the sums of all."""
    builder = Builder(width=4, texts=0)
    sums = [each.write(builder, builder.columns) for each in forests]
    total = builder.op("Sum", *sums) if len(sums) > 1 else sums[0]
    return builder.finish(builder.op("Softmax", total, axis=1), classes=["a", "b", "c"])


def encoded(x: np.ndarray) -> Encoded:
    return Encoded(x, NOTHING, NOTHING[:, None], 0)


def by_onnx_runtime(model: bytes, x: np.ndarray) -> np.ndarray:
    return _session(model).run(["probabilities"], {"columns": x})[0]


@pytest.mark.parametrize(
    "forests",
    [[forest_of(modes=(LESS_OR_EQUAL, LESS, MEMBER))], [forest_of(trees=400), forest_of(trees=300, leaves=40)]],
    ids=["one", "two"],
)
def test_a_graph_answers_as_before_to_the_last_bit_alone_and_in_a_batch(forests: list[Forest]) -> None:
    model, x = graph_of(*forests), odd_rows()
    expected = by_onnx_runtime(model, x)

    assert (found := taken(model)) is not None
    session = Session(model, output="probabilities")

    assert b"TreeEnsemble" not in found.rest
    np.testing.assert_array_equal(expected, session.run(encoded(x)))
    assert session.run(encoded(x[:0])).shape == (0, 3)
    for place in range(0, len(x), 97):
        np.testing.assert_array_equal(expected[place : place + 1], session.run(encoded(x[place : place + 1])))


def test_large_trees_stay_in_the_graph_beside_small_ones() -> None:
    model, x = graph_of(forest_of(), forest_of(trees=30, leaves=300)), odd_rows()

    assert (found := taken(model)) is not None
    assert found.rest.count(b"TreeEnsemble") == 1
    np.testing.assert_array_equal(by_onnx_runtime(model, x), Session(model, output="probabilities").run(encoded(x)))


def test_small_forests_and_those_in_single_precision_stay_in_the_graph() -> None:
    small, large = forest_of(trees=500), forest_of(own=True)
    threshold, value = (each.astype(np.float32).astype(float) for each in (large.threshold, large.leaf_value))
    rounded = replace(large, single=True, threshold=threshold, leaf_value=value)

    assert taken(graph_of(small)) is None
    assert taken(graph_of(rounded)) is None


def test_bytes_that_are_no_graph_are_left_to_onnx_runtime() -> None:
    model = graph_of(forest_of())

    renamed = model.replace(b"leaf_weights", b"leaf_wrights")
    for bad in (model[:-1], model[: len(model) // 2], b"TreeEnsemble" * 5_000, renamed):
        assert taken(bad) is None
