"""All trees with thresholds and leaves of half the bits: three quarters of the size, and the answers stay.

Every value of the rows that may be fitted on goes where it went (`plain_trees.in_single`). One between two of these may
not, if it is within a part in 10 million of a threshold; so what that does is judged on each fold by thresholds that
the others placed.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from aias.compress.context import Context
from aias.compress.plain_trees import plain, told_apart
from aias.compress.techniques.contract import Candidate, Made, NotApplicable
from aias.core.arrays import Ints
from aias.training.ensemble import Ensemble
from aias.training.logarithms import LogPipeline
from aias.training.pipeline import ColumnsPipeline, Pipeline

__all__ = ["single_precision"]


def single_precision(context: Context) -> Iterator[Candidate]:
    fitted = [getattr(_plainly(context.part(each, 0)), "fitted", None) for each in context.members]
    if not any(hasattr(each, "forest") for each in fitted):
        raise NotApplicable("it has no trees that stand by themselves")
    if any(getattr(each, "extra_width", 0) for each in fitted):
        raise NotApplicable("some of its trees read columns that are made beside them")
    if not told_apart(context.encoded(np.arange(context.prepared.table.rows)).columns):
        raise NotApplicable("some columns hold values that are one in single precision")
    yield Candidate("the whole, trees in single precision", partial(_make, context), whole=True)


def _make(context: Context, fold: int) -> Made:
    rows = context.inside(fold)
    teacher: Any = context.teacher(fold)
    if isinstance(teacher, Ensemble):
        parts = [replace(part, pipeline=_in_single(context, part.pipeline, rows)) for part in teacher.parts]
        return Made(context.ensemble(parts), context.encoder)
    return Made(_in_single(context, teacher, rows), context.encoder)


def _plainly(pipeline: Pipeline) -> Pipeline:
    return pipeline.inner if isinstance(pipeline, LogPipeline) else pipeline


def _in_single(context: Context, pipeline: Pipeline, rows: Ints) -> Pipeline:
    if isinstance(pipeline, LogPipeline):
        return replace(pipeline, inner=_in_single(context, pipeline.inner, rows))
    if not (isinstance(pipeline, ColumnsPipeline) and hasattr(pipeline.fitted, "forest")):
        return pipeline
    x = pipeline.columns(context.encoded(rows))
    trees: Any = plain(pipeline.fitted, two=context.task.type == "binary", x=x)
    return ColumnsPipeline(pipeline.blocks, trees)
