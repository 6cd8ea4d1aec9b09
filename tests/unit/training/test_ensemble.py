"""Many fits as one."""

import numpy as np
import onnx
import onnxruntime
import pytest

from aias.core.forest import Forest
from aias.core.task import Task
from aias.graph.builder import Builder
from aias.learners.extra_trees import Trees
from aias.training.ensemble import Ensemble, Part, bagged
from aias.training.pipeline import ColumnsPipeline

BINARY = Task("y", "binary", "roc_auc", ("a", "b"))


def stumps(values: list[float]) -> Forest:
    """x[0] <= 0 gives the value, else 0, in each tree."""
    count = len(values)
    leaves = np.column_stack([values, np.zeros(count)]).ravel() / count
    flags, zeros = np.ones(count, bool), np.zeros(count, np.int64)
    return Forest(
        zeros, np.zeros(count), np.zeros(count, np.uint8), flags, np.arange(count) * 2, np.arange(count) * 2 + 1,
        flags, flags, leaves, np.zeros(2 * count, np.int64), np.arange(count), zeros, np.zeros(0), np.zeros(1),
    )  # fmt: skip


def test_forests_of_many_folds_are_together_as_large_as_one() -> None:
    folds = [ColumnsPipeline([], Trees(stumps([fold / 10] * 8), BINARY, {})) for fold in range(4)]
    parts = bagged(folds, 0.5)
    assert [part.weight for part in parts] == [0.125] * 4
    forests = [part.pipeline.fitted.forest() for part in parts]  # type: ignore[attr-defined]
    assert sum(each.trees for each in forests) == 8
    np.testing.assert_allclose([each.sums(np.array([[-1.0]]))[0, 0] for each in forests], [0.0, 0.1, 0.2, 0.3])


@pytest.mark.parametrize(("nodes", "expected"), [(400, 1), (12_000, 2), (40_000, 4)])
def test_large_forests_stand_apart_in_the_graph_and_answer_as_they_did(nodes: int, expected: int) -> None:
    values = np.random.default_rng(0).uniform(size=(4, nodes))
    parts = [Part(0.25, ColumnsPipeline([], Trees(stumps(list(each)), BINARY, {}))) for each in values]
    builder = Builder(width=1, texts=0)
    model = builder.finish(Ensemble(BINARY, 1, parts).export(builder), classes=BINARY.classes)
    kinds = [node.op_type for node in onnx.load_from_string(model).graph.node]
    assert kinds.count("TreeEnsemble") == expected
    scores = onnxruntime.InferenceSession(model).run(["probabilities"], {"columns": np.array([[-1.0], [1.0]])})[0]
    np.testing.assert_allclose(scores[:, 1], [values.mean(), 0.0], atol=1e-6)
