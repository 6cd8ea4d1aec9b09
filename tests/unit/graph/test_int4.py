"""`graph/int4.py`: matrices in four bits by blocks are near what they were, and a sixth of the bytes."""

import numpy as np
import pytest

from aias.encoders.rows import Encoded
from aias.graph.builder import Builder
from aias.graph.int4 import BLOCK, can_be_packed, matrix, packed
from aias.runtimes.onnxruntime import Session

RNG = np.random.default_rng(0)
W = (RNG.normal(size=(128, 96)) * np.exp(RNG.normal(size=(1, 96)))).astype(np.float32)


def test_each_number_is_off_by_half_a_step_of_its_block_at_most() -> None:
    whole, scale = packed(W)

    back = whole.astype(np.float32) * np.repeat(scale, BLOCK, axis=0)
    assert (np.abs(back - W) <= np.repeat(scale, BLOCK, axis=0) / 2 + 1e-6).all()
    assert scale.shape == (128 // BLOCK, 96)


def test_a_block_of_zeros_stays_one() -> None:
    whole, scale = packed(np.zeros((BLOCK, 4), np.float32))

    assert not whole.astype(np.float32).any() and (scale == 1).all()


@pytest.mark.parametrize(
    ("shape", "kind", "can"),
    [((64, 64), np.float32, True), ((63, 96), np.float32, False), ((64, 8), np.float32, False),
     ((4096,), np.float32, False), ((64, 64), np.float64, False)],
)  # fmt: skip
def test_only_large_matrices_of_whole_blocks_are_packed(shape: tuple[int, ...], kind: type, can: bool) -> None:
    assert can_be_packed(np.zeros(shape, kind)) is can


def test_what_is_served_multiplies_by_the_packed_matrix() -> None:
    def graph(packs: bool) -> bytes:
        builder = Builder(width=128, texts=0)
        x = builder.op("Cast", builder.columns, to=1)
        return builder.finish_vectors(builder.op("MatMul", x, matrix(builder, W) if packs else builder.constant(W)))

    x = RNG.normal(size=(5, 128))
    row = Encoded(x, np.zeros(0, np.int64), np.zeros((0, 1), np.int64), 0)
    whole, scale = packed(W)
    expected = x @ (whole.astype(np.float64) * np.repeat(scale, BLOCK, axis=0))

    found = Session(graph(True), output="vectors").run(row)

    np.testing.assert_allclose(found, expected, rtol=0.05, atol=0.05 * np.abs(expected).max())
    assert len(graph(False)) / len(graph(True)) > 5
