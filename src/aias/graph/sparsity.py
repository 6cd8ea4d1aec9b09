"""Whether zeros among weights make a product faster here: asked of the engine itself."""

import time
from functools import cache
from typing import Final

import numpy as np

from aias.core.graph import FLOAT
from aias.encoders.rows import Encoded
from aias.graph.builder import Builder
from aias.runtimes.onnxruntime import Session

WIDTH: Final = 512
CALLS: Final = 30


@cache
def gain() -> float:
    """Times as fast with half of the weights at zero, the smallest, turn about."""
    rng = np.random.default_rng(0)
    dense = rng.normal(size=(WIDTH, WIDTH)).astype(np.float32)
    sparse = np.where(np.abs(dense) < np.median(np.abs(dense)), np.float32(0), dense)
    row = Encoded(rng.normal(size=(1, WIDTH)), np.zeros(0, np.int64), np.zeros((0, 1), np.int64), 0)
    sessions = [_session(each) for each in (dense, sparse)]
    spent = np.array([[_seconds(each, row) for each in sessions] for _ in range(CALLS)])
    first, second = np.median(spent, axis=0)
    return float(first / second)


def _session(weights: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> Session:
    builder = Builder(width=WIDTH, texts=0)
    x = builder.op("Cast", builder.columns, to=FLOAT)
    return Session(builder.finish_vectors(builder.op("MatMul", x, builder.constant(weights))), output="vectors")


def _seconds(session: Session, row: Encoded) -> float:
    began = time.perf_counter()
    session.run(row)
    return time.perf_counter() - began
