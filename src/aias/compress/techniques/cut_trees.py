"""Trees cut at a depth, fewer of them, and what is left fitted to what all of them said: one linear problem.

LOP (ICML 2025) refits a level of all trees at once as a linear model. Here every node at the depth becomes a leaf, the
trees whose values vary least are left out, and the values of the new leaves are those by which their sums come nearest
to the sums of the whole forest, by ridge regression (LSQR, Paige and Saunders 1982). They are kept in single precision.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Final

import numpy as np

from aias.compress.context import Context
from aias.compress.plain_trees import PlainTrees, in_single
from aias.compress.techniques.contract import Candidate, Made, NotApplicable
from aias.core.arrays import Floats, Ints
from aias.core.forest import Forest
from aias.graph.trees import trees_in
from aias.training.pipeline import ColumnsPipeline, Pipeline
from aias.training.selection.members import Member

__all__ = ["cut_trees"]

CUTS: Final = ((5, 1.0), (4, 0.3), (3, 0.1))
"""Depth, and the share of the trees."""

DEEPER: Final = ((5, 0.5), (6, 0.5), (6, 1.0), (8, 1.0))
"""Tried where a shallower cut is fast and loses too much."""

ROWS_MAX: Final = 8_000
DAMP: Final = 1.0
STEPS_MAX: Final = 40
TREES_MIN: Final = 10


def cut_trees(context: Context) -> Iterator[Candidate]:
    named, part = _imported(context) if context.parent.imported else _base(context) if context.base else _best(context)
    for depth, share in CUTS:
        yield replace(_candidate(context, named, part, depth, share), milder=partial(_deeper, context, named, part))


def _candidate(context: Context, named: str, part: Callable[[int], Pipeline], depth: int, share: float) -> Candidate:
    name = f"{named}, {100 * share:.0f} % of the trees cut at depth {depth}"
    return Candidate(name, partial(_make, context, part, depth, share))


def _deeper(context: Context, named: str, part: Callable[[int], Pipeline]) -> list[Candidate]:
    return [_candidate(context, named, part, depth, share) for depth, share in DEEPER]


def _best(context: Context) -> tuple[str, Callable[[int], Pipeline]]:
    """The heaviest member that is trees, on each fold."""
    forests = [each for each in context.members if _has_forest(context, each)]
    if not forests:
        raise NotApplicable("it has no trees that stand by themselves")
    return forests[0].name, partial(context.part, forests[0])


def _imported(context: Context) -> tuple[str, Callable[[int], Pipeline]]:
    """The trees of the parent's own graph, which are the same for every fold."""
    folder = context.parent.folder
    found = trees_in((folder / "model.onnx").read_bytes()) if folder else None
    if found is None:
        raise NotApplicable("its graph is not trees over its columns alone")
    fitted: Any = PlainTrees(*found, context.task.type == "binary")
    pipeline = ColumnsPipeline([], fitted)
    return "its own trees", lambda _fold: pipeline


def _base(context: Context) -> tuple[str, Callable[[int], Pipeline]]:
    """The trees that a compressed parent is."""
    assert context.base is not None
    if not _is_forest(context.base.at(0).pipeline):
        raise NotApplicable("it is not trees that stand by themselves")
    base = context.base
    return "its own trees", lambda fold: base.at(fold).pipeline


def _has_forest(context: Context, member: Member) -> bool:
    return _is_forest(context.part(member, 0))


def _is_forest(pipeline: Pipeline) -> bool:
    fitted = getattr(pipeline, "fitted", None)
    return hasattr(fitted, "forest") and not getattr(fitted, "extra_width", 0)


def _make(context: Context, part: Callable[[int], Pipeline], depth: int, share: float, fold: int) -> Made:
    pipeline: Any = part(fold)
    rows = context.inside(fold)
    if len(rows) > ROWS_MAX:
        rows = np.sort(np.random.default_rng(context.seed).permutation(rows)[:ROWS_MAX])
    x = pipeline.columns(context.encoded(rows))
    whole: Forest = pipeline.fitted.forest()
    kept = _varied(whole, x, max(TREES_MIN, round(share * whole.trees)))
    trees = _refitted(_cut(whole, kept, depth), x, whole.sums(x))
    fitted: Any = PlainTrees(in_single(trees, x), pipeline.fitted.link, context.task.type == "binary")
    return Made(ColumnsPipeline(pipeline.blocks, fitted), context.encoder)


def _varied(forest: Forest, x: Floats, count: int) -> Ints:
    """The trees, in their order, whose values vary most over the rows."""
    spread = forest.leaf_value[forest.leaves(x)].std(axis=1)
    return np.sort(np.argsort(-spread, kind="stable")[:count])


def _cut(forest: Forest, trees: Ints, depth: int) -> Forest:
    """Only these trees, each node at the depth a leaf; the leaves hold nothing yet, and will hold doubles."""
    depths, outputs = _walked(forest, trees)
    kept = (depths >= 0) & (depths < depth)
    places = np.cumsum(kept) - 1
    sides = {}
    for name in ("left", "right"):
        child, is_leaf = getattr(forest, name)[kept], getattr(forest, f"{name}_is_leaf")[kept]
        ends = is_leaf | ~kept[np.where(is_leaf, 0, child)]
        sides[name] = (child, ends)
    count = int(kept.sum())
    ends = np.concatenate([each[1] for each in sides.values()])
    leaf = np.cumsum(ends) - 1
    leaves = {"left": leaf[:count], "right": leaf[count:]}
    moved = {
        name: np.where(ended, leaves[name], places[np.where(ended, 0, child)]) for name, (child, ended) in sides.items()
    }
    sizes = np.diff(forest.set_ends, prepend=0)
    return replace(
        forest, feature=forest.feature[kept], threshold=forest.threshold[kept], mode=forest.mode[kept],
        missing_left=forest.missing_left[kept], left=moved["left"], right=moved["right"],
        left_is_leaf=sides["left"][1], right_is_leaf=sides["right"][1], leaf_value=np.zeros(int(ends.sum())),
        leaf_output=np.tile(outputs[kept], 2)[ends], roots=places[forest.roots[trees]],
        set_ends=np.cumsum(sizes[kept]), set_values=forest.set_values[np.repeat(kept, sizes)],
        single=False,
    )  # fmt: skip


def _walked(forest: Forest, trees: Ints) -> tuple[Ints, Ints]:
    """Of each node its depth, -1 in trees that are not wanted, and the output of its tree."""
    depths, outputs = np.full(forest.nodes, -1), np.zeros(forest.nodes, np.int64)
    at = forest.roots[trees]
    lefts = at.copy()
    while not (ended := forest.left_is_leaf[lefts]).all():
        lefts = np.where(ended, lefts, forest.left[lefts])
    own = forest.leaf_output[forest.left[lefts]]
    depth = 0
    while len(at):
        depths[at], outputs[at] = depth, own
        inner = [~getattr(forest, f"{side}_is_leaf")[at] for side in ("left", "right")]
        at, own = (
            np.concatenate([forest.left[at][inner[0]], forest.right[at][inner[1]]]),
            np.concatenate([own[inner[0]], own[inner[1]]]),
        )
        depth += 1
    return depths, outputs


def _refitted(forest: Forest, x: Floats, wanted: Floats) -> Forest:
    """The values of the leaves, and the bases, by which the sums come nearest to those wanted, (rows, outputs)."""
    from scipy import sparse
    from scipy.sparse.linalg import lsqr

    found = forest.leaves(x)  # (trees, rows)
    count, rows = len(forest.leaf_value), len(x)
    ends = np.arange(rows + 1) * len(found)
    reached = sparse.csr_matrix((np.ones(found.size), found.T.ravel(), ends), shape=(rows, count))
    values, base = np.zeros(count), wanted.mean(axis=0)
    for output in range(forest.outputs):
        own = forest.leaf_output == output
        if own.any():
            solved = lsqr(reached[:, own], wanted[:, output] - base[output], damp=DAMP, iter_lim=STEPS_MAX)
            values[own] = solved[0]
    return replace(forest, leaf_value=values, base=base)
