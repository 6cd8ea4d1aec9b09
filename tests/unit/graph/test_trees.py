"""Trees are read out of a graph as they were written into it."""

import numpy as np
import pytest

from aias.core.forest import LESS_OR_EQUAL, MEMBER, Forest
from aias.encoders.rows import Layout
from aias.graph.compile import compile_graph
from aias.graph.trees import trees_in
from aias.importing.formats.contract import Input, Plan
from aias.importing.trees import graph_of


def forest(outputs: int, *, base: float = 0.5) -> Forest:
    """Two trees for each output: one asks for a number, then whether a code is in a set."""
    count = 2 * outputs
    at = np.arange(count) * 2
    feature, mode = np.tile([0, 1], count), np.tile(np.array([LESS_OR_EQUAL, MEMBER], np.uint8), count)
    left, right = np.zeros(2 * count, np.int64), np.zeros(2 * count, np.int64)
    left[at], right[at] = at + 1, np.arange(count) * 3
    left[at + 1], right[at + 1] = np.arange(count) * 3 + 1, np.arange(count) * 3 + 2
    sizes = np.where(mode == MEMBER, 2, 0)
    return Forest(
        feature, np.where(mode == MEMBER, 0.0, 0.25), mode, mode != MEMBER, left, right, np.tile([False, True], count),
        np.tile([True, True], count), np.arange(3.0 * count), np.repeat(np.arange(count) % outputs, 3), at,
        np.cumsum(sizes), np.tile([1.0, 3.0], count), np.full(outputs, base),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("plan", "link", "outputs"),
    [
        (Plan("regression", ()), "identity", 1), (Plan("binary", ("no", "yes")), "sigmoid", 1),
        (Plan("multiclass", ("a", "b", "c")), "softmax", 3),
    ],
)  # fmt: skip
@pytest.mark.parametrize("base", [0.0, 0.5])
def test_what_was_written_is_read(plan: Plan, link: str, outputs: int, base: float) -> None:
    whole = forest(outputs, base=base)
    graph = compile_graph(_Over(whole, link), Layout(2, (0, 1), (), (), 0, 0), classes=plan.classes)

    found = trees_in(graph)

    assert found is not None and found[1] == link
    for name, array in whole.state().items():
        np.testing.assert_array_equal(found[0].state()[name], array, err_msg=name)


def test_what_changes_columns_first_is_not_trees_alone() -> None:
    plan = Plan("regression", ())

    assert trees_in(graph_of([Input("a"), Input("b", "category", ("x", "y"))], plan, forest(1), "identity")) is not None
    assert trees_in(graph_of([Input("a"), Input("b")], plan, forest(1), "identity", zeros=[0])) is None


class _Over:
    def __init__(self, whole: Forest, link: str) -> None:
        self.whole, self.link = whole, link

    def export(self, graph):  # type: ignore[no-untyped-def]
        from aias.importing.links import write_link

        return write_link(graph, self.whole.write(graph, graph.columns), self.link)  # type: ignore[arg-type]
