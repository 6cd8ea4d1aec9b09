"""`compress/windows.py`, `graph/windows.py`: windows of tokens learn what order says, and the graph reads them so."""

import numpy as np
import pytest

from aias.compress import windows
from aias.compress.windows import learned
from aias.core.deadline import Deadline
from aias.encoders.rows import Encoded
from aias.graph.builder import Builder
from aias.graph.windows import Windows
from aias.runtimes.onnxruntime import Session

RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(9, 6)).astype(np.float32)


def texts(count: int, length: int = 7) -> tuple[np.ndarray, np.ndarray]:
    return RNG.integers(0, 9, (count, length)), np.arange(length) < RNG.integers(2, length + 1, count)[:, None]


def test_two_tokens_in_the_other_order_are_another_answer() -> None:
    tokens, mask = texts(600)
    tokens[tokens < 2] = 5
    mask[:, :4] = True
    y = RNG.integers(0, 2, 600)
    place = RNG.integers(0, 3, 600)
    for row in range(600):
        tokens[row, place[row] : place[row] + 2] = (0, 1) if y[row] else (1, 0)

    kernel = learned(
        tokens, mask, VECTORS, np.eye(2)[y], filters=48, classes=True, seed=0, deadline=Deadline.after(600)
    )  # fmt: skip

    sums = windows.windows(VECTORS[tokens] * mask[:, :, None]) @ kernel.weights
    sums[:, 1:-1] += kernel.bias * mask[:, :, None]
    r = np.maximum(sums.max(axis=1), 0)
    head = np.linalg.lstsq(np.column_stack([r, np.ones(600)])[:400], y[:400] * 2.0 - 1, rcond=None)[0]
    right = (np.column_stack([r, np.ones(600)])[400:] @ head > 0) == y[400:]
    assert right.mean() > 0.9


@pytest.mark.parametrize("classes", [True, False])
def test_gradients_are_those_of_the_loss(classes: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "TOKENS_GONE", 0.0)
    monkeypatch.setattr(windows, "FILTERS_GONE", 0.0)
    tokens, mask = texts(5)
    wanted = RNG.dirichlet(np.ones(3), 5) if classes else RNG.normal(size=(5, 1))
    state = [RNG.normal(size=shape) for shape in ((18, 4), (4,), (4, wanted.shape[1]), (wanted.shape[1],))]

    def loss() -> float:
        sums = windows.windows(VECTORS[tokens].astype(np.float64) * mask[:, :, None]) @ state[0]
        sums[:, 1:-1] += state[1] * mask[:, :, None]
        off = np.maximum(sums.max(axis=1), 0) @ state[2] + state[3]
        if not classes:
            return float(((off - wanted) ** 2).sum() / 2 / len(wanted))
        return float((np.log(np.exp(off).sum(axis=1)) - (wanted * off).sum(axis=1)).mean())

    found = windows._gradients(state, tokens, mask, VECTORS, wanted, classes=classes, rng=np.random.default_rng(0))

    for each, gradient in zip(state, found, strict=True):
        for place in [0, each.size // 2, each.size - 1]:
            held = each.flat[place]
            each.flat[place] = held + 1e-5
            above = loss()
            each.flat[place] = held - 1e-5
            below = loss()
            each.flat[place] = held
            assert gradient.flat[place] == pytest.approx((above - below) / 2e-5, abs=1e-4)


def test_the_graph_reads_a_text_alone_as_beside_a_longer_one() -> None:
    table = RNG.normal(size=(9, 12)).astype(np.float32)
    found = Windows(table, 16)
    builder = Builder(width=0, texts=0, sentences=lambda graph: found.write(graph, texts=1))
    session = Session(builder.finish_vectors(builder.vectors), output="vectors")
    tokens, mask = np.array([[3, 1, 4, 1, 5], [2, 7, 0, 0, 0]]), np.array([[True] * 5, [True, True, *[False] * 3]])

    def vectors(rows: slice, length: int) -> np.ndarray:
        count, nothing = len(tokens[rows]), np.zeros(0, np.int64)
        return np.asarray(session.run(
            Encoded(np.empty((count, 0)), nothing, nothing[:, None], 1, tokens[rows, :length], mask[rows, :length])
        ))  # fmt: skip

    together = vectors(slice(None), 5)
    assert np.array_equal(vectors(slice(1, 2), 2)[0], together[1])
    before, on, after = np.split(table[tokens[0]], 3, axis=1)
    sums = np.pad(before, ((2, 0), (0, 0))) + np.pad(on, ((1, 1), (0, 0))) + np.pad(after, ((0, 2), (0, 0)))
    r = np.maximum(sums.max(axis=0), 0)
    assert together[0] == pytest.approx(r / np.linalg.norm(r), abs=0.02)
