"""`compress/rounding.py`: the graph holds fewer bits, and answers as the rounded pipeline does."""

import numpy as np
import pytest

from aias.compress.rounding import RoundedNetwork, rounded
from aias.core.schema import Field
from aias.core.task import Task
from aias.encoders.rows import Layout, RowEncoder
from aias.graph.compile import compile_graph
from aias.learners.linear import LinearModel
from aias.learners.mlp import FittedMlp
from aias.networks.design import design
from aias.networks.inputs import Inputs
from aias.runtimes.onnxruntime import _session
from aias.training.pipeline import ColumnsPipeline, Features, LinearPipeline

DESIGN = {
    "members": 2, "width": 48, "layers": 2, "activation": "relu", "expansion": "pieces", "expansion_parts": 8,
    "expansion_width": 4, "vector_width": 4,
}  # fmt: skip
TASK = Task("y", "multiclass", "log_loss", ("a", "b", "c"))


def network():
    x = np.column_stack([np.random.default_rng(0).normal(size=(300, 4)), np.arange(300) % 20])
    inputs = Inputs.fit(x, [4], [20])
    numbers = np.clip(x[:, :4], -3, 3).astype(np.float32)
    found = design(
        inputs, numbers, link="softmax", usual=np.zeros(3), span=np.array([0.0, 1, 0, 1]), settings=DESIGN, seed=0
    )
    return found, x


class Alone:
    def __init__(self, fitted):
        self.fitted = fitted

    def export(self, graph):
        return self.fitted.export(graph, graph.columns)


@pytest.mark.parametrize(("bits", "smaller"), [(16, 1.5), (8, 2.0)])
def test_a_network_in_fewer_bits_is_smaller_and_its_graph_answers_as_it_does(bits, smaller):
    whole, x = network()
    layout = Layout(5, (0, 1, 2, 3), (4,), (20,), 0, 0)
    found = RoundedNetwork.of(whole, bits)
    before, after = (compile_graph(Alone(each), layout, classes=TASK.classes) for each in (FittedMlp(whole, {}), found))

    (said,) = _session(after).run(["probabilities"], {"columns": x})

    np.testing.assert_allclose(said, found.scores(x), atol=1e-6)
    assert len(before) / len(after) > smaller
    assert 0 < np.abs(found.scores(x) - FittedMlp(whole, {}).scores(x)).max() < 0.02


@pytest.mark.parametrize(("bits", "smaller"), [(16, 1.7), (8, 3.0)])
def test_a_table_of_terms_in_fewer_bits_is_smaller_and_its_graph_answers_as_it_does(bits, smaller):
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdefgh"), 6)) for _ in range(300)]
    texts = [" ".join(rng.choice(words, 12)) for _ in range(200)]
    encoder = RowEncoder.fit([Field("text", "text")], {"text": texts})
    encoded = encoder.columns({"text": texts}, 200)
    features = Features(encoder, encoded).some(["terms"])
    weights = rng.normal(size=(features[0].width, 12))
    whole = LinearPipeline(features, LinearModel(weights, np.zeros(12), classes=12, settings={}))
    classes = [f"c{i}" for i in range(12)]

    found = rounded(whole, bits)
    before, after = (compile_graph(each, encoder.layout, classes=classes) for each in (whole, found))
    inputs = {"columns": encoded.columns, "term_ids": encoded.term_ids, "term_segments": encoded.term_segments}
    (said,) = _session(after).run(["probabilities"], inputs)

    np.testing.assert_allclose(said, found.scores(encoded), atol=1e-6)
    assert len(before) / len(after) > smaller
    assert np.abs(found.scores(encoded) - whole.scores(encoded)).max() < 0.02


def test_what_has_neither_terms_nor_a_network_stays_as_it_is():
    trees = ColumnsPipeline([], LinearModel(np.zeros((1, 1)), np.zeros(1), classes=2, settings={}))

    assert rounded(trees, 8).fitted is trees.fitted


@pytest.mark.parametrize(("size", "bits"), [(1e6, 32), (1.0, 16)])
def test_amounts_that_float16_does_not_hold_stay_in_32_bits(size, bits):
    """A term of which no row that judges knew made the answer infinite."""
    texts = [f"house {'mansion' if i % 9 == 0 else 'flat'} {i % 4}" for i in range(60)]
    encoder = RowEncoder.fit([Field("text", "text")], {"text": texts})
    encoded = encoder.columns({"text": texts}, 60)
    features = Features(encoder, encoded).some(["terms"])
    weights = size * np.random.default_rng(0).normal(size=(features[0].width, 1))
    whole = LinearPipeline(features, LinearModel(weights, np.zeros(1), classes=0, settings={}))

    found = rounded(whole, 16)

    assert found.features[0].bits == bits
    np.testing.assert_allclose(found.scores(encoded), whole.scores(encoded), atol=0.01 * size, rtol=0)
